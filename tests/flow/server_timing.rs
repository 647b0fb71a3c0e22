//! Tests that the response of a navigation names the navigation's context for scripts and for the page's own instrumentation.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, exclusive, logged, traceparent};
use crate::support::site::TraceParent;

/// A navigation as the script logs it.
#[derive(Deserialize)]
struct Timing {
    nav: String,
    /// The response's `Server-Timing`.
    header: String,
    /// The entries that the page reads for itself and for its resources.
    navigation: Vec<String>,
    resources: Vec<String>,
}

/// Returns the contexts that the responses of two navigations name, each with the context of the request.
pub(crate) fn named_and_sent(mode: &str) -> Vec<(TraceParent, TraceParent)> {
    let test = BrowserTest::new();
    let run = test.traced_in(mode, "server-timing.js", &[]);
    let timings: Vec<Timing> = logged(&run.log, "TIMING ");
    assert_eq!(timings.len(), 2, "{}", run.log);
    let spans = timings.into_iter().map(|timing| {
        let quoted = timing.header.strip_prefix("traceparent;desc=").expect("a traceparent in Server-Timing");
        let value = quoted.trim_matches('"');
        assert_eq!(timing.navigation, [format!("traceparent={value}")]);
        assert_eq!(timing.resources, [""; 0], "resources name none");
        let of_document = |request: &&_| is_document_of(request, &timing.nav);
        let document = run.requests.iter().find(of_document).expect("the document was asked for");
        (TraceParent::parse(value).unwrap(), traceparent(document))
    });
    spans.collect()
}

fn is_document_of(request: &crate::support::site::Recorded, nav: &str) -> bool {
    request.label() == "document" && request.nav.as_deref() == Some(nav)
}

#[test]
fn the_response_of_a_navigation_names_its_context() {
    let _guard = exclusive();
    let pairs = named_and_sent("lightweight");
    assert!(pairs.iter().all(|(named, sent)| named == sent), "{pairs:?}");

    let pairs = named_and_sent("detailed");
    let spans: BTreeSet<_> = pairs.iter().flat_map(|(named, sent)| [&named.span_id, &sent.span_id]).collect();
    assert_eq!(spans.len(), 4, "a navigation and its request have a span each: {pairs:?}");
    assert!(
        pairs.iter().all(|(named, sent)| named.trace_id == sent.trace_id && named.flags == sent.flags),
        "{pairs:?}"
    );
}
