//! Tests browser contexts that overlap. Chromium stops reporting the requests of the one that was opened last when another one closes.

use std::collections::BTreeSet;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others, is_root, traceparent};
use crate::support::collector::hex;

/// What the user is told of a context whose requests are not reported.
const NOT_REPORTED: &str = "Chromium no longer reports the requests of a browser context";

/// Contexts that close in other orders than the last one first.
const ORDER: &str = "+A +B -A +C +D -B -D +E -C";

/// Number of pages that [`ORDER`] loads, each with 9 requests.
const PAGES: usize = 1 + 2 + 1 + 2 + 3 + 2 + 1 + 2 + 1;
const REQUESTS: usize = 9;

/// Runs the script, and returns the span ids of all that was exported too.
fn overlapping(client: &str, mode: &str, variable: (&str, &str)) -> (Run, BTreeSet<String>) {
    let test = BrowserTest::new();
    let mut command = test.collecting_from("overlap.mjs");
    command.env("CLIENT", client).env(variable.0, variable.1).env("NAVTRACE_MODE", mode);
    if is_root() && client == "puppeteer" {
        command.env("BROWSER_ARGS", "--no-sandbox");
    }
    let mut run = test.run(command);
    run.requests.retain(|request| request.path.starts_with("/page") || request.run.is_some());
    run.requests.retain(|request| request.nav.as_deref() != Some("settling"));
    test.assert_nothing_left();
    let ids = test.collected().iter().map(|span| hex(&span.span_id)).collect();
    (run, ids)
}

#[test]
fn contexts_that_close_in_any_order_keep_their_spans() {
    let _guard = beside_others();
    for client in ["playwright", "puppeteer"] {
        let (run, spans) = overlapping(client, "detailed", ("ORDER", ORDER));
        assert_eq!(run.requests.len(), PAGES * REQUESTS, "{client}");
        let without: Vec<_> =
            run.requests.iter().filter(|request| !spans.contains(&traceparent(request).span_id)).collect();
        assert!(without.is_empty(), "requests whose span is missing: {without:?}");
        assert!(!run.log.contains(NOT_REPORTED), "{}", run.log);
        // Before the first context closes, nothing can be lost.
        let before = |nav: &str| ["A0", "A1", "B1"].contains(&nav);
        let first: Vec<_> =
            run.requests.into_iter().filter(|request| request.nav.as_deref().is_some_and(before)).collect();
        assert_eq!(first.len(), 3 * REQUESTS);
        assert_own_spans(&first);
    }
}

#[test]
fn three_users_at_once_have_headers_on_every_request() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let (run, spans) = overlapping("playwright", mode, ("USERS", "3 4"));
        assert_eq!(run.requests.len(), 3 * 4 * 2 * REQUESTS);
        // The first page may come before the host knows that the window is of another context.
        let second =
            run.requests.iter().filter(|request| request.nav.as_deref().is_some_and(|nav| nav.ends_with("-2")));
        let traces: BTreeSet<_> = second.map(|request| traceparent(request).trace_id).collect();
        assert_eq!(traces.len(), 3 * 4, "{mode}: one trace per context");
        let observed = spans.len() > run.requests.len();
        assert!(observed || run.log.contains(NOT_REPORTED), "{} spans, and nothing said:\n{}", spans.len(), run.log);
        if mode == "detailed" {
            let own: BTreeSet<_> = run.requests.iter().map(|request| traceparent(request).span_id).collect();
            println!("{} of {} requests have a span id of their own", own.len(), run.requests.len());
            assert!(own.len() > run.requests.len() / 2, "{} span ids", own.len());
        }
    }
}
