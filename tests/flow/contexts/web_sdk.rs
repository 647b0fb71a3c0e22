//! Tests pages that are instrumented with OpenTelemetry's web SDK: their contexts are overridden, kept, or join by `Server-Timing`.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;

use super::{Collected, MODES, collected, id, links};
use crate::browser_test::{BrowserTest, beside_others, logged, traceparent};
use crate::spans::{NAVIGATION, SESSION, is_request, path};
use crate::support::collector::{attribute, hex};
use crate::support::sdk::{PageSpans, make_page_script};
use crate::support::site::Recorded;

/// Returns the request of a kind and the browser's span of it.
fn exchange<'a>(seen: &'a Collected, kind: &str) -> (&'a Recorded, &'a Span) {
    let request = seen.run.requests.iter().find(|request| request.label() == kind);
    let request = request.unwrap_or_else(|| panic!("no {kind}"));
    let mark = format!("kind={kind}&");
    let is_of = |span: &&Span| {
        is_request(span)
            && span.name != "OPTIONS"
            && attribute(span, "url.full").contains(&mark)
            && path(span) == request.path
    };
    (request, seen.spans.iter().find(is_of).unwrap_or_else(|| panic!("no span of {kind}")))
}

fn with_sdk(mode: &str, propagation: &str, existing: &str) -> (Collected, PageSpans) {
    make_page_script();
    let test = BrowserTest::new();
    let variables = [("PROPAGATION", propagation)];
    let seen = collected(&test, mode, "otel.js", &variables, |command| {
        command.env("NAVTRACE_EXISTING", existing);
    });
    let mut pages: Vec<PageSpans> = logged(&seen.run.log, "OTEL ");
    assert_eq!(pages.len(), 1, "{}", seen.run.log);
    seen.assert_whole(&pages[0].spans.iter().map(|span| span.span_id.as_str()).collect::<Vec<_>>());
    (seen, pages.remove(0))
}

#[test]
fn contexts_of_the_web_sdk_are_overridden_and_linked() {
    let _guard = beside_others();
    let (seen, page) = with_sdk("detailed", "own", "override");
    let of: BTreeMap<_, _> = ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"]
        .map(|kind| (kind, page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it")))
        .into();
    let [session] = seen.named(SESSION)[..] else { panic!("one session") };
    for (kind, pages) in of {
        let (request, span) = exchange(&seen, kind);
        let sent = traceparent(request);
        assert_eq!((sent.trace_id, sent.span_id), id(span), "{kind} carries the browser's context");
        assert_eq!(span.trace_id, session.trace_id);
        assert_eq!(links(span), BTreeSet::from([(pages.trace_id.clone(), pages.span_id.clone())]), "{kind}");
    }
    let (_, plain) = exchange(&seen, "plain-xhr");
    assert!(links(plain).is_empty());
}

#[test]
fn contexts_of_the_web_sdk_can_be_kept() {
    let _guard = beside_others();
    let (seen, page) = with_sdk("detailed", "own", "keep");
    for kind in ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"] {
        let pages = page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it");
        let (request, span) = exchange(&seen, kind);
        let sent = traceparent(request);
        assert_eq!(
            (&sent.trace_id, &sent.span_id),
            (&pages.trace_id, &pages.span_id),
            "{kind} carries the page's context"
        );
        assert_eq!(links(span), BTreeSet::from([(sent.trace_id, sent.span_id)]), "{kind}");
    }
    let (request, span) = exchange(&seen, "plain-xhr");
    let sent = traceparent(request);
    assert_eq!((sent.trace_id, sent.span_id), id(span), "what has no context gets one");
}

#[test]
fn the_web_sdk_joins_by_server_timing() {
    let _guard = beside_others();
    for mode in MODES {
        let (seen, page) = with_sdk(mode, "server-timing", "override");
        let [session] = seen.named(SESSION)[..] else { panic!("one session") };
        let navigation = seen.named(NAVIGATION)[0];
        for kind in ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"] {
            let pages = page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it");
            assert_eq!(pages.trace_id, hex(&session.trace_id), "{mode}: the page joined");
            let (request, span) = exchange(&seen, kind);
            assert_eq!(traceparent(request).trace_id, pages.trace_id, "{mode} {kind}");
            assert!(links(span).is_empty(), "{mode} {kind}");
            // Rules can't read the page's header, so in lightweight mode the two spans are siblings.
            let parent = if mode == "detailed" { pages.span_id.clone() } else { hex(&navigation.span_id) };
            assert_eq!(hex(&span.parent_span_id), parent, "{mode} {kind}");
        }
        let load = page.spans.iter().find(|span| span.name == "documentLoad").expect("the page has measured its load");
        assert_eq!(load.parent_span_id.as_deref(), Some(hex(&navigation.span_id).as_str()), "{mode}");
    }
}

#[test]
fn rules_override_contexts_of_the_web_sdk() {
    let _guard = beside_others();
    let (seen, _) = with_sdk("lightweight", "own", "override");
    let [session] = seen.named(SESSION)[..] else { panic!("one session") };
    for kind in ["sdk-fetch", "sdk-fetch-cross", "plain-xhr"] {
        let (request, span) = exchange(&seen, kind);
        assert_eq!(
            (traceparent(request).trace_id, &span.trace_id),
            (hex(&session.trace_id), &session.trace_id),
            "{kind}"
        );
        assert_eq!(request.header("tracestate"), None);
    }
}
