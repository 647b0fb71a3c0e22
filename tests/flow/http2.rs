//! Tests what browsers do over HTTP/2 alone: streaming uploads, and what a server names in Early Hints.

use axum::http::Version;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, exclusive};
use crate::spans::{NAVIGATION, Trace, is_cached, parameter};
use crate::support::collector::attribute;
use crate::support::site::{ACCEPTING, Recorded};

/// The pages that the script loads.
const PAGES: [&str; 3] = ["hinting", "last", "uploading"];

/// Returns the requests that carry a header, which are all but one that the browser tells nobody of.
fn loaded(mode: &str) -> Vec<Recorded> {
    let test = BrowserTest::over_http2();
    let mut command = test.collecting_from("http2.mjs");
    command.env("NAVTRACE_MODE", mode).env("BROWSER_ARGS", format!("--{ACCEPTING}"));
    let Run { log, mut requests } = test.run(command);
    let versions: Vec<_> = requests.iter().filter(|request| request.version != Version::HTTP_2).collect();
    assert!(versions.is_empty(), "{versions:?}");

    let hinted: Vec<_> = requests.extract_if(.., |request| request.label() == "hinted").collect();
    let [hinted] = hinted.as_slice() else { panic!("what Early Hints name is loaded once: {hinted:?}") };
    assert_eq!(hinted.traceparent, [""; 0], "extensions are not asked about what Early Hints name");

    let uploads: Vec<_> = requests.iter().filter(|request| request.label().starts_with("upload")).collect();
    assert_eq!(uploads.len(), 2, "{uploads:?}");
    assert!(
        uploads.iter().all(|upload| upload.header("content-length").is_none()),
        "uploads are streamed: {uploads:?}"
    );

    let run = Run { log, requests };
    let ids = run.trace_ids();
    assert_eq!(ids.len(), 1, "{}", run.log);
    let trace = Trace::of(ids.first().unwrap(), &test.collected());
    for request in &run.requests {
        let navigation = trace.navigation_of(request);
        assert_eq!(Some(parameter(navigation, "nav")), request.nav, "{} belongs to {navigation:?}", request.label());
    }
    let mut navigations: Vec<_> =
        trace.spans().filter(|span| span.name == NAVIGATION).map(|span| parameter(span, "nav")).collect();
    navigations.sort_unstable();
    assert_eq!(navigations, PAGES);
    // The later use of what Early Hints name is served by the cache, and the only span of it.
    let (cached, sent): (Vec<_>, Vec<_>) = trace.requests().partition(|span| is_cached(span));
    assert_eq!(cached.iter().map(|span| parameter(span, "kind")).collect::<Vec<_>>(), ["hinted"]);
    let mut spans: Vec<_> = sent.iter().map(|span| (parameter(span, "kind"), parameter(span, "nav"))).collect();
    let mut wire: Vec<_> = run
        .requests
        .iter()
        .map(|request| (request.label().to_owned(), request.nav.clone().unwrap_or_default()))
        .collect();
    // The script asks what has arrived, which the site does not record.
    spans.retain(|(kind, _)| kind != "seen");
    spans.sort_unstable();
    wire.sort_unstable();
    assert_eq!(spans, wire, "each request has one span");
    assert!(sent.iter().all(|span| attribute(span, "network.protocol.version").is_empty()), "Chromium says 1.1 for 2");
    run.requests
}

#[test]
fn streamed_uploads_have_headers_and_early_hints_no_span() {
    let _guard = exclusive();
    assert_own_spans(&loaded("detailed"));
    loaded("lightweight");
}
