//! Tests what browsers do over HTTP/2 alone: streaming uploads, and what a server names in Early Hints.

use axum::http::Version;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others};
use crate::spans::{NAVIGATION, Trace, is_cached, parameter};
use crate::support::collector::attribute;
use crate::support::site::{ACCEPTING, Recorded};

/// The pages that the script loads before the last one.
const PAGES: [&str; 3] = ["hinting", "last", "uploading"];

/// The requests by which a page waits for its own context, and the last page, for whose spans the browser closes too early.
const SETTLING: &str = "settling";

/// Returns the requests that carry a header, which are all but one that the browser tells nobody of.
fn loaded(mode: &str) -> Vec<Recorded> {
    let test = BrowserTest::over_http2();
    let mut command = test.collecting_from("http2.mjs");
    command.env("NAVTRACE_MODE", mode).env("BROWSER_ARGS", format!("--{ACCEPTING}"));
    let Run { log, mut requests } = test.run(command);
    let versions: Vec<_> = requests.iter().filter(|request| request.version != Version::HTTP_2).collect();
    assert!(versions.is_empty(), "{versions:?}");
    requests.retain(|request| request.label() != SETTLING && request.nav.as_deref() != Some(SETTLING));

    // Extensions are not asked about what Early Hints name. If the page comes at once, Chromium may drop that, and the page itself asks.
    let is_hinted = |request: &Recorded| request.label() == "hinted";
    let untold = requests.extract_if(.., |request| is_hinted(request) && request.traceparent.is_empty()).count();
    assert!(untold <= 1, "{untold} requests");
    let is_asked = requests.iter().any(is_hinted);

    let uploads: Vec<_> = requests.iter().filter(|request| request.label().starts_with("upload")).collect();
    assert_eq!(uploads.len(), 2, "{uploads:?}");
    assert!(
        uploads.iter().all(|upload| upload.header("content-length").is_none()),
        "uploads are streamed: {uploads:?}"
    );

    let run = Run { log, requests };
    let ids = run.trace_ids();
    assert_eq!(ids.len(), 1, "{}", run.log);
    let mut spans = test.collected();
    spans.retain(|span| !attribute(span, "url.full").contains(&format!("={SETTLING}")));
    let trace = Trace::of(ids.first().unwrap(), &spans);
    // In lightweight mode the first requests of a page race against the change of the rules.
    let is_certain = |request: &&Recorded| {
        mode == "detailed" || request.label() == "document" || request.label().starts_with("upload")
    };
    for request in run.requests.iter().filter(is_certain) {
        let navigation = trace.navigation_of(request);
        assert_eq!(Some(parameter(navigation, "nav")), request.nav, "{} belongs to {navigation:?}", request.label());
    }
    let mut navigations: Vec<_> =
        trace.spans().filter(|span| span.name == NAVIGATION).map(|span| parameter(span, "nav")).collect();
    navigations.sort_unstable();
    assert_eq!(navigations, PAGES);
    // What Early Hints name is then served by the cache, which makes the only span of it.
    let (cached, sent): (Vec<_>, Vec<_>) = trace.requests().partition(|span| is_cached(span));
    let served: Vec<_> = cached.iter().map(|span| parameter(span, "kind")).collect();
    assert_eq!(served, if is_asked { vec![] } else { vec!["hinted"] });
    let mut spans: Vec<_> = sent.iter().map(|span| (parameter(span, "kind"), parameter(span, "nav"))).collect();
    let mut wire: Vec<_> = run
        .requests
        .iter()
        .map(|request| (request.label().to_owned(), request.nav.clone().unwrap_or_default()))
        .collect();
    spans.sort_unstable();
    wire.sort_unstable();
    assert_eq!(spans, wire, "each request has one span");
    assert!(sent.iter().all(|span| attribute(span, "network.protocol.version").is_empty()), "Chromium says 1.1 for 2");
    run.requests
}

#[test]
fn streamed_uploads_have_headers_and_early_hints_no_span() {
    let _guard = beside_others();
    assert_own_spans(&loaded("detailed"));
    loaded("lightweight");
}
