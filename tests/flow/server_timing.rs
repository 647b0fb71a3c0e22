//! Tests that the response of a navigation names the navigation's context for scripts and for the page's own instrumentation.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, Run, beside_others, logged, traceparent};
use crate::support::site::TraceParent;

/// A navigation as the scripts log it.
#[derive(Deserialize)]
struct Timing {
    nav: String,
    /// The context that the recipe of docs/spans.md reads.
    named: String,
    /// The context of the request, if the client tells it.
    sent: Option<String>,
    /// The entries that the page reads for itself and for its resources.
    navigation: Vec<String>,
    resources: Vec<String>,
}

/// A client that reads the contexts.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    K6,
    Playwright,
    Puppeteer,
}

/// Returns the contexts that the responses of three navigations name, each with the context of the request.
pub(crate) fn named_and_sent(mode: &str) -> Vec<(TraceParent, TraceParent)> {
    named_to(Client::K6, mode)
}

fn named_to(client: Client, mode: &str) -> Vec<(TraceParent, TraceParent)> {
    let test = BrowserTest::new();
    let mut command = match client {
        Client::K6 => test.traced_command("server-timing.js", &[]),
        Client::Playwright | Client::Puppeteer => test.collecting_from("server-timing.mjs"),
    };
    command.env("NAVTRACE_MODE", mode);
    command.env("CLIENT", if client == Client::Playwright { "playwright" } else { "puppeteer" });
    let run = test.run(command);
    let timings: Vec<Timing> = logged(&run.log, "TIMING ");
    assert_eq!(timings.len(), 3, "{}", run.log);
    let spans = timings.into_iter().map(|Timing { nav, named, sent, navigation, resources }| {
        assert_eq!(navigation, seen(mode, &named, &nav), "{mode}");
        assert_eq!(resources, [""; 0], "resources name none");
        let on_wire = sent_for(&run, &nav);
        assert_eq!(sent.is_some(), client != Client::K6, "k6 1.8 does not tell headers that extensions set");
        if let Some(sent) = sent {
            assert_eq!(TraceParent::parse(&sent).unwrap(), on_wire);
        }
        (TraceParent::parse(&named).unwrap(), on_wire)
    });
    spans.collect()
}

/// Returns the entries that a page sees. The server of the last one has entries of its own, which only detailed mode can remove.
fn seen(mode: &str, named: &str, nav: &str) -> Vec<String> {
    let traceparent = |value: &str| format!("traceparent;desc={value};dur=0");
    let ours = traceparent(named);
    if !nav.ends_with('2') {
        return vec![ours];
    }
    let servers = ["d", "e"].map(|digit| traceparent(&format!("00-{}-{}-01", digit.repeat(32), digit.repeat(16))));
    let [db, cache] = ["db;desc=;dur=12", "cache;desc=a, traceparent;desc=x;dur=1"].map(str::to_owned);
    let [first, second] = servers;
    if mode == "detailed" { vec![db, cache, ours] } else { vec![db, first, cache, second, ours] }
}

/// Returns the context of a navigation's request.
fn sent_for(run: &Run, nav: &str) -> TraceParent {
    let is_document = |request: &&_| is_document_of(request, nav);
    traceparent(run.requests.iter().find(is_document).expect("the document was asked for"))
}

fn is_document_of(request: &crate::support::site::Recorded, nav: &str) -> bool {
    request.label() == "document" && request.nav.as_deref() == Some(nav)
}

#[test]
fn the_response_of_a_navigation_names_its_context() {
    let _guard = beside_others();
    for client in [Client::K6, Client::Playwright, Client::Puppeteer] {
        let pairs = named_to(client, "lightweight");
        assert!(pairs.iter().all(|(named, sent)| named == sent), "{pairs:?}");

        let pairs = named_to(client, "detailed");
        let spans: BTreeSet<_> = pairs.iter().flat_map(|(named, sent)| [&named.span_id, &sent.span_id]).collect();
        assert_eq!(spans.len(), 6, "a navigation and its request have a span each: {pairs:?}");
        assert!(
            pairs.iter().all(|(named, sent)| named.trace_id == sent.trace_id && named.flags == sent.flags),
            "{pairs:?}"
        );
    }
}
