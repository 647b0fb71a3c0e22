//! Tests documents that the browser brings back, has prepared, or gets through a service worker.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde::Deserialize;

use crate::browser_test::{BrowserTest, alone, assert_own_spans, logged, repeated};
use crate::spans::{NAVIGATION, Trace, parameter, path};
use crate::support::collector::hex;
use crate::support::site::Recorded;

/// Whether the browser did what the script wants of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activations {
    persisted: bool,
    activation_start: f64,
    delivery_type: String,
}

/// What the script says if Chromium has not restored a page from its back-forward cache, as it does now and then on a busy machine.
const NOT_RESTORED: &str = "the page was not restored";

/// The number of pages that the script makes the browser show.
const LOADS: usize = 17;

/// The requests that belong to the navigation of another page than the one in their address.
const OF_OTHERS: [(&str, &str, &str); 6] = [
    // The browser makes no request for a page from the back-forward cache.
    ("after", "back", "restored"),
    ("after", "activated", "prerendered"),
    // A page that is not shown yet, and may never be, belongs to the page that asked for it.
    ("document", "prerendered", "preparing"),
    ("image", "prerendered", "preparing"),
    ("document", "dropped", "preparing-in-vain"),
    ("image", "dropped", "preparing-in-vain"),
];

/// The prefetched documents. The browser tells a listener of one more request for the document that is shown, but makes none.
const PREFETCHED: [&str; 2] = ["prefetched", "unused"];

fn label(request: &Recorded) -> (&str, &str) {
    (request.label(), request.nav.as_deref().unwrap_or_default())
}

/// Returns the label `nav` of a navigation's address.
fn nav_of(navigation: &Span) -> String {
    parameter(navigation, "nav")
}

fn activations(mode: &str) -> Vec<Recorded> {
    let (test, output) = repeated(NOT_RESTORED, 2, |_| {
        let test = BrowserTest::new();
        let mut command = test.collecting_from("activations.mjs");
        command.env("NAVTRACE_MODE", mode);
        let output = test.output(&mut command);
        (test, output)
    });
    let run = test.finished(&output);
    let activations: Activations = logged(&run.log, "ACTIVATIONS ").remove(0);
    assert!(activations.persisted, "the back-forward cache is in use");
    assert!(activations.activation_start > 0.0, "a prerendered page was shown");
    assert_eq!(activations.delivery_type, "navigational-prefetch");

    let ids = run.trace_ids();
    assert_eq!(ids.len(), 1, "{}", run.log);
    let all = test.collected();
    let trace = Trace::of(ids.first().unwrap(), &all);

    let mut loads: BTreeMap<String, &str> = BTreeMap::new();
    for request in run.requests.iter().filter(|request| request.label() != "settling" && request.label() != "worker") {
        let (kind, nav) = label(request);
        let other = OF_OTHERS.iter().find(|other| (other.0, other.1) == (kind, nav));
        // In lightweight mode what a page asks for first may overtake the change of the rules.
        if mode == "lightweight" && kind == "image" && other.is_none() {
            continue;
        }
        let navigation = trace.navigation_of(request);
        let owner = match other {
            Some((_, _, owner)) => owner,
            None if kind == "document" && PREFETCHED.contains(&nav) => "prefetching",
            None => nav,
        };
        // In lightweight mode a request that outlives its page carries the next page's context.
        let is_late = mode == "lightweight" && kind == "left-behind" && nav_of(navigation) == "after-deferring";
        assert!(nav_of(navigation) == owner || is_late, "{kind} of {nav} belongs to {navigation:?}");
        if !is_late {
            let load = if nav == "back" { "back" } else { owner };
            let other = loads.insert(hex(&navigation.span_id), load).filter(|other| *other != load);
            assert_eq!(other, None, "a navigation of its own for {load}");
        }
    }
    assert_eq!(loads.len(), LOADS, "{loads:?}");
    let navigations: Vec<_> = trace.spans().filter(|span| span.name == NAVIGATION).map(nav_of).collect();
    assert_eq!(navigations.len(), LOADS, "{navigations:?}");
    assert_eq!(trace.requests().filter(|span| path(span) == "/transport").count(), 0, "no span of what carries none");
    let preloaded = |request: &&Recorded| request.header("service-worker-navigation-preload").is_some();
    assert_eq!(run.requests.iter().filter(preloaded).count(), 2);
    run.requests
}

#[test]
fn activated_documents_have_navigations_of_their_own() {
    let _guard = alone();
    assert_own_spans(&activations("detailed"));
    activations("lightweight");
}
