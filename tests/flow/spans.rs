//! Checks exported spans of the browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use url::Url;

use crate::browser_test::{BrowserTest, traceparent};
use crate::support::collector::{attribute, hex, spans_in};
use crate::support::site::Recorded;

/// Name of a session's root span.
pub(crate) const SESSION: &str = "browser session";

/// Name of a navigation's span.
pub(crate) const NAVIGATION: &str = "navigation";

/// The spans of one session by id, with one root and without a missing parent.
pub(crate) struct Trace {
    spans: BTreeMap<String, Span>,
}

impl Trace {
    /// Selects the spans of a session and checks them. No span may be there twice.
    pub(crate) fn of(trace_id: &str, all: &[Span]) -> Self {
        let mut spans = BTreeMap::new();
        for span in all.iter().filter(|span| hex(&span.trace_id) == trace_id) {
            let before = spans.insert(hex(&span.span_id), span.clone());
            assert!(before.is_none(), "a span was exported twice: {before:?} and {span:?}");
        }
        let roots: Vec<_> = spans.values().filter(|span| span.parent_span_id.is_empty()).collect();
        let names: Vec<_> = roots.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, [SESSION], "the roots of {trace_id}, which has {} spans", spans.len());
        let orphans: Vec<_> = spans
            .values()
            .filter(|span| !span.parent_span_id.is_empty() && !spans.contains_key(&hex(&span.parent_span_id)))
            .map(|span| format!("{} {}", span.name, attribute(span, "url.full")))
            .collect();
        assert_eq!(orphans, [""; 0], "spans without a parent in {trace_id}, which has {} spans", spans.len());
        Self { spans }
    }

    pub(crate) fn span(&self, id: &str) -> Option<&Span> {
        self.spans.get(id)
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.values()
    }

    /// Finds the navigation that a request carries, or the navigation of the request's span.
    pub(crate) fn navigation_of(&self, request: &Recorded) -> &Span {
        let span = self.span(&traceparent(request).span_id);
        let span = span.unwrap_or_else(|| panic!("{request:?} carries the id of no span"));
        let navigation = if span.name == NAVIGATION { Some(span) } else { self.span(&hex(&span.parent_span_id)) };
        navigation
            .filter(|span| span.name == NAVIGATION)
            .unwrap_or_else(|| panic!("{request:?} carries the id of {span:?}, which belongs to no navigation"))
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &Span> {
        self.spans().filter(|span| is_request(span))
    }

    /// Lists the requests without a span of the same id, method and path.
    pub(crate) fn without(&self, requests: &[Recorded]) -> Vec<String> {
        let is_missing = |request: &&Recorded| {
            let span = self.span(&traceparent(request).span_id);
            span.is_none_or(|span| span.name != request.method || path(span) != request.path)
        };
        requests.iter().filter(is_missing).map(|request| format!("{} {}", request.method, request.label())).collect()
    }
}

pub(crate) fn is_request(span: &Span) -> bool {
    !attribute(span, "http.request.method").is_empty()
}

/// Tells whether a span is a request that the browser's cache answered.
pub(crate) fn is_cached(span: &Span) -> bool {
    let cached = attribute(span, "navtrace.request.from_cache") == "true";
    let unsent = attribute(span, "navtrace.request.unsent") == "true";
    let kind = if cached || unsent { SpanKind::Internal } else { SpanKind::Client };
    assert_eq!(span.kind(), kind, "{span:?}");
    cached
}

/// Tells whether a span was still open when the browser ended.
pub(crate) fn is_unfinished(span: &Span) -> bool {
    attribute(span, "navtrace.unfinished") == "true"
}

/// Returns the path of a span's URL.
pub(crate) fn path(span: &Span) -> String {
    let url = attribute(span, "url.full");
    Url::parse(&url).unwrap_or_else(|error| panic!("{url}: {error}")).path().to_owned()
}

/// Returns a parameter of a span's address, empty if there is none.
pub(crate) fn parameter(span: &Span, name: &str) -> String {
    let url = attribute(span, "url.full");
    let url = Url::parse(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Lists a folder of the state directory.
fn state(test: &BrowserTest, folder: &str) -> Vec<PathBuf> {
    let folder = test.environment.home().join(".local/state/navtrace").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Returns the spans in the spool.
pub(crate) fn spooled(test: &BrowserTest) -> Vec<Span> {
    let files = state(test, "spool");
    assert!(files.iter().all(|file| file.extension().is_some_and(|extension| extension == "jsonl")), "{files:?}");
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| spans_in(&text)).collect()
}

pub(crate) fn assert_no_journal(test: &BrowserTest) {
    assert_eq!(state(test, "sessions"), [""; 0].map(PathBuf::from), "journals are left");
}
