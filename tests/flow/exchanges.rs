//! Tests that each exchange has one span of its own, and that only failures count as such, with the real browser.

use std::collections::BTreeMap;
use std::process::Stdio;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde::Deserialize;
use url::Url;

use crate::browser_test::{BrowserTest, beside_others, logged, script_path};
use crate::navtrace::Environment;
use crate::spans::{NAVIGATION, Trace, is_request};
use crate::support::collector::{Collector, attribute, hex};

/// What `exchanges.mjs` logs.
#[derive(Deserialize)]
struct Exchanges {
    wire: Vec<Arrived>,
    results: BTreeMap<String, serde_json::Value>,
}

/// A request as the script's servers received it.
#[derive(Deserialize)]
struct Arrived {
    url: String,
    /// The span id that it carried.
    span: String,
}

/// The requests of the script by their steps, in the order of their start, as [`facts`] shows them. `none` is a span that must not exist.
const REQUESTS: [(&str, &str); 27] = [
    ("address", "client 401 challenged < navigation | client 200 resent 1 < navigation"),
    ("aborted", "internal cancelled unsent < navigation"),
    ("api-body", "client cancelled < navigation"),
    ("blockedbyclient", "internal blocked unsent net::ERR_BLOCKED_BY_CLIENT < navigation"),
    ("call", "client 401 challenged < navigation | client 200 resent 1 < navigation"),
    ("client", "client 401 challenged < navigation | client 200 resent 1 < navigation"),
    ("closed", "client net::ERR_FAILED error < navigation"),
    ("connectionrefused", "internal blocked unsent net::ERR_CONNECTION_REFUSED < navigation"),
    ("elsewhere", "client 302 < navigation"),
    ("error", "client 302 < navigation"),
    ("failed", "internal blocked unsent net::ERR_FAILED < navigation"),
    ("forbidden", "client 204 < navigation | internal unsent net::ERR_FAILED error < navigation"),
    ("font", "client 200 < navigation"),
    ("fulfilled", "none"),
    ("held", "internal cancelled unsent < navigation"),
    ("last", "client 200 < navigation"),
    ("manual", "client 302 < navigation"),
    ("only-cached", "internal blocked unsent net::ERR_CACHE_MISS < navigation"),
    ("own-body", "client cancelled < navigation"),
    ("proxy", "client 407 challenged < navigation | client 200 resent 1 < navigation"),
    ("refused", "client 401 401 error < navigation"),
    ("refusing", "client net::ERR_CONNECTION_REFUSED error < navigation"),
    ("silent", "client cancelled < navigation"),
    ("stream", "client cancelled < navigation"),
    ("withheld", "client blocked net::ERR_BLOCKED_BY_RESPONSE < navigation"),
    ("worker", "client 401 challenged < browser session | client 200 resent 1 < browser session"),
    ("start", "client 200 < navigation"),
];

/// The outcomes of navigations that have no document.
const OUTCOMES: [(&str, &str); 3] = [("elsewhere", "elsewhere"), ("empty", "no-document"), ("refusing", "failed")];

/// Returns the step of an address: the first parameter of its query.
fn step(address: &str) -> String {
    let url = Url::parse(address).or_else(|_| Url::parse("http://any.test").unwrap().join(address)).unwrap();
    url.query_pairs().next().map_or_else(String::new, |(name, _)| name.into_owned())
}

/// The traces of the script's browsers.
struct Traces(Vec<Trace>);

impl Traces {
    fn span(&self, id: &str) -> Option<&Span> {
        self.0.iter().find_map(|trace| trace.span(id))
    }

    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.0.iter().flat_map(Trace::spans)
    }

    fn requests(&self) -> impl Iterator<Item = &Span> {
        self.0.iter().flat_map(Trace::requests)
    }
}

/// Describes a request's span: its kind, status, marks, error and parent.
fn facts(span: &Span, traces: &Traces) -> String {
    let mut facts = vec![if span.kind() == SpanKind::Client { "client" } else { "internal" }.to_owned()];
    facts.push(attribute(span, "http.response.status_code"));
    let marks = ["blocked", "cancelled", "challenged", "unsent"];
    let is_set = |mark: &&str| attribute(span, &format!("navtrace.request.{mark}")) == "true";
    facts.extend(marks.iter().filter(|mark| is_set(mark)).map(|mark| (*mark).to_owned()));
    facts.push(attribute(span, "error.type"));
    let resent = attribute(span, "http.request.resend_count");
    facts.push(if resent.is_empty() { resent } else { format!("resent {resent}") });
    facts.push(if span.status.is_some() { "error" } else { "" }.to_owned());
    facts.retain(|fact| !fact.is_empty());
    format!("{} < {}", facts.join(" "), traces.span(&hex(&span.parent_span_id)).unwrap().name)
}

/// Returns the spans of requests by step, in the order of their start.
fn by_step(traces: &Traces) -> BTreeMap<String, Vec<&Span>> {
    let mut steps: BTreeMap<String, Vec<&Span>> = BTreeMap::new();
    for span in traces.requests() {
        steps.entry(step(&attribute(span, "url.full"))).or_default().push(span);
    }
    for spans in steps.values_mut() {
        spans.sort_by_key(|span| (span.start_time_unix_nano, attribute(span, "http.request.resend_count")));
    }
    steps
}

/// Runs the script, and checks everything that is the same in both modes.
fn exchanges(mode: &str) -> (Traces, Exchanges) {
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let mut command = test.environment.navtrace(["run", "--", "node"]);
    command.arg(script_path("exchanges.mjs")).stdin(Stdio::null());
    command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_MODE", mode);
    command.env("NAVTRACE_EXCLUDE", "*://*/elsewhere*");
    let run = test.run(command);
    let seen = logged(&run.log, "EXCHANGES ").pop().unwrap_or_else(|| panic!("{}", run.log));
    let all = collector.spans();
    let traces = Traces(run.summary().iter().map(|id| Trace::of(id, &all)).collect());

    let spans = by_step(&traces);
    let shown = |step: &str| {
        let facts = spans.get(step).map(|spans| spans.iter().map(|span| facts(span, &traces)).collect::<Vec<_>>());
        facts.map_or_else(|| "none".to_owned(), |facts| facts.join(" | "))
    };
    let found: Vec<_> = REQUESTS.iter().map(|(step, _)| format!("{step}: {}", shown(step))).collect();
    let expected: Vec<_> = REQUESTS.iter().map(|(step, facts)| format!("{step}: {facts}")).collect();
    assert_eq!(found, expected, "{mode}");

    // What never left is below the document that asked for it.
    let document = |step: &str| hex(&spans[step][0].parent_span_id);
    for step in ["failed", "aborted", "blockedbyclient", "held", "only-cached", "silent"] {
        assert_eq!(document(step), document("start"), "{mode}: {step}");
    }
    // A challenge is over before its answer begins, and links to the span of the answer, whose id both carry.
    for step in ["address", "call", "client", "proxy", "worker"] {
        let [challenged, answered] = spans[step][..] else { panic!("{mode}: {step}") };
        assert_eq!(challenged.end_time_unix_nano, answered.start_time_unix_nano, "{mode}: {step}");
        let links: Vec<_> = challenged.links.iter().map(|link| hex(&link.span_id)).collect();
        assert_eq!((links, answered.links.len()), (vec![hex(&answered.span_id)], 0), "{mode}: {step}");
    }
    let navigations = traces.spans().filter(|span| span.name == NAVIGATION);
    let outcomes: BTreeMap<_, _> = navigations
        .map(|span| (step(&attribute(span, "url.full")), attribute(span, "navtrace.navigation.outcome")))
        .filter(|(_, outcome)| outcome != "committed")
        .collect();
    assert_eq!(outcomes, OUTCOMES.map(|(step, outcome)| (step.to_owned(), outcome.to_owned())).into(), "{mode}");

    // The summary counts what the spans show as errors.
    let errors = traces.requests().filter(|span| span.status.is_some()).count();
    let failed = |line: &str| line.split("  ").find_map(|part| part.strip_suffix(" failed")?.parse::<usize>().ok());
    assert_eq!(run.log.lines().filter_map(failed).sum::<usize>(), errors, "{mode}:\n{}", run.log);
    (traces, seen)
}

#[test]
fn each_exchange_has_a_span_and_no_span_is_a_ghost() {
    let _guard = beside_others();
    let (traces, Exchanges { wire, results }) = exchanges("detailed");
    let mut carried: BTreeMap<&str, usize> = BTreeMap::new();
    for Arrived { span, .. } in wire.iter().filter(|arrived| !arrived.url.starts_with("/elsewhere")) {
        *carried.entry(span).or_default() += 1;
    }
    for (id, times) in &carried {
        let span = traces.span(id).unwrap_or_else(|| panic!("{id} has no span"));
        // The browser sends the answer to a challenge with the same headers, and lets nobody change them.
        let exchanges = 1 + usize::from(attribute(span, "http.request.resend_count") == "1");
        assert_eq!(*times, exchanges, "{span:?}");
    }
    let is_set = |span: &Span, mark: &str| attribute(span, &format!("navtrace.request.{mark}")) == "true";
    let ghosts: Vec<_> = traces
        .spans()
        .filter(|span| is_request(span) && !carried.contains_key(hex(&span.span_id).as_str()))
        .filter(|span| !["unsent", "challenged"].iter().any(|mark| is_set(span, mark)))
        .map(|span| step(&attribute(span, "url.full")))
        .collect();
    assert_eq!(ghosts, ["refusing"], "only what nobody accepts is on no wire");
    // The script noticed nothing.
    for (step, status) in
        [("client", 200), ("call", 200), ("worker", 200), ("address", 200), ("proxy", 200), ("refused", 401)]
    {
        assert_eq!(results[step], status, "{step}");
    }
}

#[test]
fn exchanges_in_lightweight_mode_have_the_same_spans() {
    let _guard = beside_others();
    exchanges("lightweight");
}
