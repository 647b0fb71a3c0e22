//! What the coverage page asks for, and how it went.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::record::Recorded;
use super::traceparent::TraceParent;

/// A kind of request that the coverage page makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// What its URLs say as `kind`; for `preflight` see [`Recorded::label`].
    pub name: &'static str,
    /// How many requests one load makes at least: a redirect makes one per hop.
    pub at_least: usize,
    /// Whether it goes, or is redirected, to the other origin.
    pub cross_origin: bool,
}

const fn own(name: &'static str, at_least: usize) -> Kind {
    Kind { name, at_least, cross_origin: false }
}

const fn cross(name: &'static str, at_least: usize) -> Kind {
    Kind { name, at_least, cross_origin: true }
}

/// How many requests come at least from what k6 1.8.1 leaves waiting for a debugger: a shared worker and a prerendered page. Without
/// a client, or with one that releases them, it is one each.
const PAUSED: usize = 0;

const KINDS: &[Kind] = &[
    own("document", 1),
    own("script", 1),
    cross("script-cross", 1),
    cross("script-crossorigin", 1),
    own("module", 1),
    own("module-import", 1),
    own("style", 1),
    own("css-import", 1),
    own("css-image", 1),
    own("font", 1),
    own("favicon", 1),
    own("image", 1),
    cross("image-cross", 1),
    own("image-redirect", 3),
    cross("image-redirect-cross", 2),
    own("video", 1),
    own("audio", 1),
    own("object", 1),
    own("embed", 1),
    own("iframe", 1),
    cross("iframe-cross", 1),
    cross("iframe-cross-fetch", 1),
    own("iframe-sandbox", 1),
    own("sandbox-image", 1),
    own("srcdoc-image", 1),
    own("form-post", 1),
    own("fetch", 1),
    cross("fetch-cross", 1),
    cross("fetch-preflight", 1),
    cross("preflight", 1),
    own("fetch-redirect", 2),
    own("fetch-keepalive", 1),
    own("xhr", 1),
    own("xhr-sync", 1),
    own("beacon", 1),
    own("ping", 1),
    own("eventsource", 1),
    own("websocket", 1),
    own("worker", 1),
    own("worker-import", 1),
    own("worker-fetch", 1),
    own("shared-worker", 1),
    own("shared-worker-fetch", PAUSED),
    own("service-worker", 1),
    own("service-worker-import", 1),
    own("service-worker-install-fetch", 1),
    own("service-worker-page", 1),
    own("service-worker-page-fetch", 1),
    own("popup", 1),
    own("prefetch", 1),
    own("preload", 1),
    own("modulepreload", 1),
    own("speculation-prefetch", 1),
    own("speculation-prerender", 1),
    own("prerender-image", PAUSED),
];

/// Returns every kind of request of the coverage page.
pub fn coverage_kinds() -> &'static [Kind] {
    KINDS
}

/// Prints per kind: the requests seen, those with exactly one header that is valid, and the different span ids among these.
///
/// Kinds of the coverage page of which nothing arrived stand there with 0; the last line is the total.
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

/// What one load of the coverage page reported of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageResults {
    /// The run of the load.
    pub run: String,
    /// By kind, `ok`, `paused` where the client never let it run, or the reason of the failure.
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

/// Reads what `coverage.js` logs, from k6's log in any of its formats.
pub fn page_results(log: &str) -> Vec<PageResults> {
    log.lines().filter_map(line_results).collect()
}

/// The script's mark before its JSON.
const MARK: &str = "COVERAGE ";

fn line_results(line: &str) -> Option<PageResults> {
    let from = line.find(MARK)? + MARK.len();
    // As a field of k6's log line the message is a quoted string, so the JSON's own quotes are escaped.
    let text = line[from..].replace("\\\"", "\"");
    let value = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>().next()?.ok()?;
    let results = value.get("results")?.as_object()?;
    Some(PageResults {
        run: value.get("run")?.as_str()?.to_owned(),
        results: results
            .iter()
            .map(|(kind, result)| (kind.clone(), result.as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}
