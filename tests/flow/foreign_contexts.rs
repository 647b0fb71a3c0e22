//! Tests what becomes of the contexts that a page's own instrumentation sets, in the formats of several vendors.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::browser_test::{BrowserTest, beside_others, traceparent};
use crate::spans::is_request;
use crate::support::collector::{attribute, hex};
use crate::support::site::{Origin, Recorded};

/// The trace of all contexts but Datadog's.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// A trace id of 64 bits.
const DATADOG_TRACE: &str = "0000000000000000112210f47de98115";

/// A trace id and a span id.
type Link = (&'static str, &'static str);

/// Returns the headers of each request, by its kind, and the context to which its span must have a link.
fn contexts() -> Vec<(&'static str, Value, Option<Link>)> {
    let of_trace = Some((TRACE, SPAN));
    let of_datadog = (DATADOG_TRACE, "000000024cb016ea");
    let datadog = json!({
        "x-datadog-trace-id": "1234567890123456789",
        "x-datadog-parent-id": "9876543210",
        "x-datadog-sampling-priority": "1",
        "x-datadog-origin": "rum",
    });
    let mut whole = datadog.clone();
    whole["x-datadog-tags"] = json!("_dd.p.dm=-1,_dd.p.tid=640cfd8d00000000");
    let mut beside = datadog.clone();
    beside["traceparent"] = json!("00-0000000000000000112210f47de98115-000000024cb016ea-01");
    beside["tracestate"] = json!("dd=s:1;o:rum");
    // {"v":[0,1],"d":{"ty":"Browser","ac":"1","ap":"2","id":"00f067aa0ba902b7","tr":"4bf92f3577b34da6a3ce929d0e0e4736","ti":1}}
    let newrelic = "eyJ2IjpbMCwxXSwiZCI6eyJ0eSI6IkJyb3dzZXIiLCJhYyI6IjEiLCJhcCI6IjIiLCJpZCI6IjAwZjA2N2FhMGJhOTAyYjciLCJ0ciI6IjRiZjkyZjM1NzdiMzRkYTZhM2NlOTI5ZDBlMGU0NzM2IiwidGkiOjF9fQ==";
    let ids = format!("{TRACE}-{SPAN}");
    vec![
        ("datadog", datadog, Some(of_datadog)),
        ("datadog-128", whole, Some(("640cfd8d00000000112210f47de98115", of_datadog.1))),
        ("datadog-w3c", beside, Some(of_datadog)),
        (
            "sentry",
            json!({
                "sentry-trace": format!("{ids}-1"),
                "baggage": format!("own=1,sentry-trace_id={TRACE},sentry-public_key=key, sentry-environment=test"),
            }),
            of_trace,
        ),
        ("newrelic", json!({"newrelic": newrelic}), of_trace),
        ("b3", json!({"b3": format!("{ids}-1")}), of_trace),
        ("b3multi", json!({"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-Sampled": "1"}), of_trace),
        ("jaeger", json!({"uber-trace-id": format!("{TRACE}:{SPAN}:0:1")}), of_trace),
        (
            "xray",
            json!({"X-Amzn-Trace-Id": format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &TRACE[..8], &TRACE[8..])}),
            of_trace,
        ),
        ("google", json!({"X-Cloud-Trace-Context": format!("{TRACE}/67667974448284343;o=1")}), of_trace),
        ("elastic", json!({"elastic-apm-traceparent": format!("00-{ids}-01")}), of_trace),
        ("instana", json!({"X-INSTANA-T": TRACE, "X-INSTANA-S": SPAN, "X-INSTANA-L": "1"}), of_trace),
        (
            "lightstep",
            json!({"ot-tracer-traceid": &TRACE[16..], "ot-tracer-spanid": SPAN, "ot-tracer-sampled": "true"}),
            Some(("0000000000000000a3ce929d0e0e4736", SPAN)),
        ),
        // Its segments are no spans.
        (
            "skywalking",
            json!({"sw8": "1-NGJmOTJmMzUtNzdiMy00ZGE2LWEzY2UtOTI5ZDBlMGU0NzM2-c2VnbWVudA==-0-YQ==-Yg==-L2M=-ZA=="}),
            None,
        ),
    ]
}

/// A run with one setting for the contexts that exist already.
struct Seen {
    requests: Vec<Recorded>,
    /// The links of the request spans, by kind.
    links: BTreeMap<String, Vec<(String, String)>>,
}

fn seen(mode: &str, existing: &str) -> Seen {
    let test = BrowserTest::new();
    let mut command = test.collecting_from("foreign.mjs");
    let headers: BTreeMap<_, _> = contexts().into_iter().map(|(kind, headers, _)| (kind, headers)).collect();
    command.env("OTHER", test.site.other()).env("CONTEXTS", json!(headers).to_string());
    command.env("NAVTRACE_MODE", mode).env("NAVTRACE_EXISTING", existing);
    command.env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
    let run = test.run(command);
    let kind = |url: &str| url.split("kind=").nth(1).map(|rest| rest.split('&').next().unwrap().to_owned());
    let spans = test.collected();
    let links = spans.iter().filter(|span| is_request(span)).filter_map(|span| {
        let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
        Some((kind(&attribute(span, "url.full"))?, links))
    });
    Seen { links: links.collect(), requests: run.requests }
}

impl Seen {
    fn of(&self, origin: Origin, kind: &str) -> &Recorded {
        let mut found = self.requests.iter().filter(|request| request.origin == origin && request.label() == kind);
        found.next().unwrap_or_else(|| panic!("no {kind} at {origin:?}"))
    }

    /// Returns the headers that a page set on a request, as far as they are there.
    fn left(&self, origin: Origin, kind: &str, headers: &Value) -> BTreeMap<String, String> {
        let request = self.of(origin, kind);
        let names = headers.as_object().unwrap().keys().map(|name| name.to_lowercase());
        names.filter_map(|name| Some((name.clone(), request.header(&name)?.to_owned()))).collect()
    }
}

/// Returns headers as a server receives them.
fn sent(headers: &Value) -> BTreeMap<String, String> {
    let headers = headers.as_object().unwrap();
    headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn other_contexts_are_overridden_and_linked() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight", "static"] {
        let seen = seen(mode, "override");
        let ours = traceparent(seen.of(Origin::Main, "document")).trace_id;
        for (kind, headers, link) in contexts() {
            let request = seen.of(Origin::Main, kind);
            assert_eq!(traceparent(request).trace_id, ours, "{mode}: {kind}");
            let mut left = seen.left(Origin::Main, kind, &headers);
            left.remove("traceparent");
            // Rules can replace a header, but not a part of one.
            let baggage = left.remove("baggage");
            assert_eq!(left, BTreeMap::new(), "{mode}: {kind}");
            if mode == "detailed" {
                assert_eq!(baggage.as_deref(), (kind == "sentry").then_some("own=1"));
                let link = link.map(|(trace, span)| (trace.to_owned(), span.to_owned()));
                assert_eq!(seen.links[kind], Vec::from_iter(link), "{kind}");
            }
            assert_eq!(seen.left(Origin::Other, kind, &headers), sent(&headers), "{mode}: {kind}, which is no target");
        }
        assert_eq!(traceparent(seen.of(Origin::Main, "joined")).trace_id, ours);
        for kind in ["joined", "worker"] {
            let request = seen.of(Origin::Main, kind);
            assert!(request.header("x-b3-traceid").or(request.header("b3")).is_none(), "{mode}: {kind}");
        }
        if mode == "detailed" {
            assert_eq!(seen.of(Origin::Main, "joined").header("tracestate"), Some("vendor=1,other=2"));
        }
        let mut clients = seen.requests.iter().filter(|request| request.label() == "client");
        let last = clients.next_back().unwrap();
        let joined = if mode == "static" { ours.as_str() } else { DATADOG_TRACE };
        assert_eq!(traceparent(last).trace_id, joined, "{mode}: a client's context is joined in other formats too");
        assert_eq!(
            last.header("x-datadog-trace-id").is_some(),
            mode == "detailed",
            "{mode}: it no longer contradicts ours"
        );
    }
}

#[test]
fn other_contexts_are_kept_and_linked() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight", "static"] {
        let seen = seen(mode, "keep");
        for (kind, headers, link) in contexts() {
            let mut expected = sent(&headers);
            let mut left = seen.left(Origin::Main, kind, &headers);
            let is_ours =
                seen.of(Origin::Main, kind).header("traceparent") != expected.get("traceparent").map(String::as_str);
            // Rules can't see what a page sets, so they set the configured headers in any case.
            assert_eq!(is_ours, mode != "detailed", "{mode}: {kind}");
            if is_ours {
                for headers in [&mut expected, &mut left] {
                    headers.retain(|name, _| name != "traceparent" && name != "tracestate");
                }
            }
            assert_eq!(left, expected, "{mode}: {kind}");
            if mode == "detailed" {
                let link = link.map(|(trace, span)| (trace.to_owned(), span.to_owned()));
                assert_eq!(seen.links[kind], Vec::from_iter(link), "{kind}");
            }
            assert_eq!(seen.left(Origin::Other, kind, &headers), sent(&headers), "{mode}: {kind}, which is no target");
        }
        let joined = seen.of(Origin::Main, "joined");
        assert!(joined.header("x-b3-traceid").is_some() && joined.traceparent.len() == 1, "{mode}");
    }
}
