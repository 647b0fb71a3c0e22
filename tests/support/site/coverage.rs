//! The kinds of requests of the coverage page, and its results.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use serde::Deserialize;

use super::record::Recorded;
use super::traceparent::TraceParent;

/// A kind of request that the coverage page makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The `kind` in its URLs. For `preflight` see [`Recorded::label`].
    pub name: &'static str,
    /// Minimum of requests in one load. A redirect counts once per hop.
    pub at_least: usize,
}

const fn kind(name: &'static str, at_least: usize) -> Kind {
    Kind { name, at_least }
}

/// Minimum of requests from targets that k6 1.8.1 keeps paused: a shared worker and a prerendered page. Other clients let each make one.
const PAUSED: usize = 0;

/// Minimum of requests that browsers make over HTTP/2 alone.
const HTTP2: usize = 0;

const KINDS: &[Kind] = &[
    kind("document", 1),
    kind("script", 1),
    kind("script-cross", 1),
    kind("script-crossorigin", 1),
    kind("module", 1),
    kind("module-import", 1),
    kind("style", 1),
    kind("css-import", 1),
    kind("css-image", 1),
    kind("font", 1),
    kind("favicon", 1),
    kind("image", 1),
    kind("image-cross", 1),
    kind("image-redirect", 3),
    kind("image-redirect-cross", 2),
    kind("video", 1),
    kind("audio", 1),
    kind("object", 1),
    kind("embed", 1),
    kind("iframe", 1),
    kind("iframe-cross", 1),
    kind("iframe-cross-fetch", 1),
    kind("iframe-sandbox", 1),
    kind("sandbox-image", 1),
    kind("srcdoc-image", 1),
    kind("form-post", 1),
    kind("fetch", 1),
    kind("fetch-cross", 1),
    kind("fetch-preflight", 1),
    kind("preflight", 1),
    kind("fetch-redirect", 2),
    kind("fetch-keepalive", 1),
    kind("fetch-later", 1),
    kind("fetch-stream", HTTP2),
    kind("xhr", 1),
    kind("xhr-sync", 1),
    kind("beacon", 1),
    kind("ping", 1),
    kind("eventsource", 1),
    kind("websocket", 1),
    kind("worker", 1),
    kind("worker-import", 1),
    kind("worker-fetch", 1),
    kind("shared-worker", 1),
    kind("shared-worker-fetch", PAUSED),
    kind("service-worker", 1),
    kind("service-worker-import", 1),
    kind("service-worker-install-fetch", 1),
    kind("service-worker-page", 1),
    kind("service-worker-page-fetch", 1),
    kind("navigation-preload", 1),
    kind("navigation-preload-worker", 1),
    kind("popup", 1),
    kind("prefetch", 1),
    kind("preload", 1),
    kind("modulepreload", 1),
    kind("speculation-prefetch", 1),
    kind("speculation-prerender", 1),
    kind("prerender-image", PAUSED),
];

/// Returns every kind of request of the coverage page.
pub fn coverage_kinds() -> &'static [Kind] {
    KINDS
}

/// Returns a table with the requests of each kind, those with exactly one valid header, and the number of their span ids.
///
/// Kinds without a request have 0. The last line is the total.
pub fn coverage_table(requests: &[Recorded]) -> String {
    let mut rows: BTreeMap<&str, Row> = KINDS.iter().map(|kind| (kind.name, Row::default())).collect();
    let mut total = Row::default();
    for request in requests {
        rows.entry(request.label()).or_default().count(request);
        total.count(request);
    }
    let mut table = format!("{:<30} {:>8} {:>6} {:>6}\n", "kind", "requests", "valid", "spans");
    for (label, row) in rows.into_iter().chain([("total", total)]) {
        let _ = writeln!(table, "{label:<30} {:>8} {:>6} {:>6}", row.requests, row.valid, row.spans.len());
    }
    table
}

#[derive(Debug, Default)]
struct Row {
    requests: usize,
    valid: usize,
    spans: HashSet<String>,
}

impl Row {
    fn count(&mut self, request: &Recorded) {
        self.requests += 1;
        if let [value] = &request.traceparent[..]
            && let Ok(parent) = TraceParent::parse(value)
        {
            self.valid += 1;
            self.spans.insert(parent.span_id);
        }
    }
}

/// The results of one load of the coverage page, as the page logs them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PageResults {
    pub run: String,
    /// For each kind `ok`, `paused` if the client never let it run, or the reason of a failure.
    pub results: BTreeMap<String, String>,
}

impl PageResults {
    /// Returns the kinds that failed, each with its reason.
    pub fn failures(&self) -> Vec<(&str, &str)> {
        self.results
            .iter()
            .filter(|(_, result)| !["ok", "paused"].contains(&result.as_str()))
            .map(|(kind, result)| (kind.as_str(), result.as_str()))
            .collect()
    }
}
