//! Tests that users choose which kinds of requests have a span of their own, with the real browser.

use std::collections::BTreeSet;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others, traceparent};
use crate::navtrace::Environment;
use crate::spans::{SESSION, Trace};
use crate::support::collector::{Collector, attribute, hex};
use crate::support::site::Recorded;

/// Kinds of the coverage page that are calls of a backend.
const CALLS: [&str; 20] = [
    "document",
    "iframe",
    "iframe-cross",
    "iframe-cross-fetch",
    "iframe-sandbox",
    "form-post",
    "fetch",
    "fetch-cross",
    "fetch-preflight",
    "fetch-redirect",
    "fetch-keepalive",
    "xhr",
    "xhr-sync",
    "beacon",
    "ping",
    "eventsource",
    "websocket",
    "worker-fetch",
    "service-worker-page-fetch",
    "popup",
];

/// Kinds of the coverage page that are not.
const OTHERS: [&str; 18] = [
    "script",
    "script-cross",
    "script-crossorigin",
    "module",
    "module-import",
    "style",
    "css-import",
    "css-image",
    "font",
    "favicon",
    "image",
    "image-cross",
    "image-redirect",
    "video",
    "audio",
    "worker",
    "preload",
    "modulepreload",
];

/// Runs an iteration over the coverage page with spans for calls only.
fn calls(test: &BrowserTest, mode: &str, other_resources: &str, collector: &Collector) -> Run {
    let mut command = test.traced_command("coverage.js", &[]);
    command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_MODE", mode);
    command.env("NAVTRACE_RESOURCES", "calls").env("NAVTRACE_OTHER_RESOURCES", other_resources);
    let run = test.run(command);
    run.assert_whole(&["1-0"]);
    test.assert_nothing_left();
    run
}

/// Returns the requests of some kinds, which must all be there.
fn of_kinds<'a>(run: &'a Run, kinds: &[&str]) -> Vec<&'a Recorded> {
    let labels: BTreeSet<&str> = run.requests.iter().map(Recorded::label).collect();
    let missing: Vec<_> = kinds.iter().filter(|kind| !labels.contains(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    run.requests.iter().filter(|request| kinds.contains(&request.label())).collect()
}

#[test]
fn only_calls_have_spans_and_others_carry_the_sessions() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let run = calls(&test, "detailed", "session", &collector);
    let calls: Vec<Recorded> = of_kinds(&run, &CALLS).into_iter().cloned().collect();
    assert_own_spans(&calls);

    let [id] = &run.trace_ids().into_iter().collect::<Vec<_>>()[..] else { panic!("one iteration has one trace") };
    let trace = Trace::of(id, &collector.spans());
    let root = trace.spans().find(|span| span.name == SESSION).unwrap();
    for request in of_kinds(&run, &OTHERS) {
        assert_eq!(traceparent(request).span_id, hex(&root.span_id), "{}", request.label());
    }
    assert_eq!(trace.without(&calls), [""; 0], "every call has a span");
    let kinds: BTreeSet<String> =
        trace.requests().map(|span| attribute(span, "navtrace.request.resource_type")).collect();
    assert_eq!(kinds, ["main_frame", "ping", "sub_frame", "websocket", "xmlhttprequest"].map(ToOwned::to_owned).into());
}

#[test]
fn other_kinds_carry_nothing_if_the_user_says_so() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let (test, collector) = (BrowserTest::new(), Collector::start());
        let run = calls(&test, mode, "none", &collector);
        for request in of_kinds(&run, &OTHERS) {
            assert_eq!(request.traceparent, [""; 0], "{mode}: {}", request.label());
        }
        for request in of_kinds(&run, &CALLS) {
            traceparent(request);
        }
    }
}

#[test]
fn the_summary_recommends_calls_where_most_requests_are_not() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    for (resources, recommends) in [("all", true), ("calls", false)] {
        let mut command = test.traced_command("cached.js", &[("NAVIGATIONS", "1")]);
        command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_RESOURCES", resources);
        let run = test.run(command);
        assert_eq!(
            run.log.contains("NAVTRACE_RESOURCES=calls gives spans only to the rest"),
            recommends,
            "{}",
            run.log
        );
    }
}
