use std::fs;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::view::trace::{Link, Role, ShownSpan};
use crate::view::tree::Clocks;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const START: u64 = 1_700_000_000_000_000_000;

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// A browser's request and its handling by a service, as OTLP. Ids are in capitals, which OTLP allows.
fn otlp() -> [Value; 2] {
    let id = TRACE.to_uppercase();
    let resource = |name: &str| json!({ "attributes": [text("service.name", name), text("host.name", "h")] });
    let browser = json!([
        { "traceId": id, "spanId": "00000000000000A1", "parentSpanId": "", "name": "browser session", "kind": 1,
          "startTimeUnixNano": START.to_string(), "endTimeUnixNano": (START + 9_000_900).to_string(), "unknown": [{}] },
        { "traceId": id, "spanId": "00000000000000a3", "parentSpanId": "00000000000000A1", "name": "GET", "kind": "SPAN_KIND_CLIENT",
          "startTimeUnixNano": START + 1_000_700, "endTimeUnixNano": START + 3_000_600,
          "attributes": [
              text("http.request.method", "GET"), text("url.full", "http://shop.test/api/products?q=1"),
              { "key": "navtrace.request.from_cache", "value": { "boolValue": true } },
              { "key": "http.response.status_code", "value": { "intValue": "503" } },
              { "key": "ratio", "value": { "doubleValue": 0.5 } },
          ],
          "events": [{ "timeUnixNano": (START + 2_000_000).to_string(), "name": "response", "attributes": [text("k", "v")] }],
          "links": [{ "traceId": "0AF7651916CD43DD8448EB211C80319C", "spanId": "b7ad6b7169203331" }],
          "status": { "code": 2, "message": "unavailable" } },
        { "traceId": id, "spanId": "00000000000000a2", "parentSpanId": "00000000000000a1", "name": "GET", "kind": 3,
          "startTimeUnixNano": START + 1_000_900, "endTimeUnixNano": START + 1_001_800 },
    ]);
    let shop = json!([
        { "traceId": id, "spanId": "00000000000000b1", "parentSpanId": "00000000000000a3", "name": "GET /api/products", "kind": 2,
          "startTimeUnixNano": START + 1_500_000, "endTimeUnixNano": START + 2_500_000 },
    ]);
    let part = |name: &str, scope: &str, spans: &Value| {
        json!({ "resourceSpans": [{
            "resource": resource(name), "scopeSpans": [{ "scope": { "name": scope }, "spans": spans }]
        }] })
    };
    [part("browser", "navtrace", &browser), part("shop", "axum", &shop)]
}

/// The same trace as Jaeger exports it.
fn jaeger() -> Value {
    let us = START / 1000;
    let tag = |key: &str, kind: &str, value: Value| json!({ "key": key, "type": kind, "value": value });
    let kind = |kind: &str| tag("span.kind", "string", kind.into());
    let scope = |name: &str| tag("otel.scope.name", "string", name.into());
    let format = tag("internal.span.format", "string", "otlp".into());
    let above = |id: &str| json!({ "refType": "CHILD_OF", "traceID": TRACE, "spanID": id });
    let process = |name: &str| json!({ "serviceName": name, "tags": [tag("host.name", "string", "h".into())] });
    json!({ "total": 0, "errors": null, "data": [{ "traceID": TRACE, "spans": [
        { "traceID": TRACE, "spanID": "b1", "operationName": "GET /api/products", "references": [above("a3")],
          "startTime": us + 1500, "duration": 1000, "tags": [kind("server"), scope("axum")], "processID": "p2" },
        { "traceID": TRACE, "spanID": "00000000000000a1", "operationName": "browser session", "references": [],
          "startTime": us, "duration": 9000, "tags": [kind("internal"), scope("navtrace"), format], "process": process("browser") },
        { "traceID": TRACE, "spanID": "00000000000000a3", "operationName": "GET", "startTime": us + 1000, "duration": 1999,
          "references": [above("00000000000000a1"), {
              "refType": "FOLLOWS_FROM", "traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "b7ad6b7169203331" }],
          "tags": [
              tag("http.request.method", "string", "GET".into()),
              tag("url.full", "string", "http://shop.test/api/products?q=1".into()),
              tag("navtrace.request.from_cache", "bool", "true".into()),
              tag("http.response.status_code", "int64", "503".into()),
              tag("ratio", "float64", 0.5.into()),
              kind("client"), scope("navtrace"), tag("otel.scope.version", "string", "1".into()),
              tag("error", "bool", true.into()), tag("otel.status_code", "string", "ERROR".into()),
              tag("otel.status_description", "string", "unavailable".into()), ],
          "logs": [{ "timestamp": us + 2000, "fields": [
              tag("event", "string", "response".into()), tag("k", "string", "v".into())] }],
          "processID": "p1" },
        { "traceID": TRACE, "spanID": "00000000000000a2", "operationName": "GET", "parentSpanID": "a1",
          "startTime": us + 1000, "duration": 0, "tags": [kind("client"), scope("navtrace")], "processID": "p1" },
    ], "processes": { "p1": process("browser"), "p2": process("shop") } }] })
}

fn load(path: &Path, selection: &TraceSelection) -> LoadedTraces {
    TraceFiles::open(&[path.to_owned()]).unwrap().load(selection, Detail::Full, Clocks::Both, None).unwrap()
}

fn written_and_loaded(dir: &TempDir, name: &str, text: &str) -> LoadedTraces {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    load(&path, &TraceSelection::Id(TRACE.to_owned()))
}

#[test]
fn what_stands_for_an_iteration_is_named_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let attributes = [
        json!({ "key": "test.scenario", "value": { "stringValue": "ui" } }),
        json!({ "key": "test.vu", "value": { "intValue": "2" } }),
        json!({ "key": "test.iteration.number", "value": { "intValue": 0 } }),
    ];
    let label = |attributes: &[Value]| {
        let span = json!({ "traceId": TRACE, "spanId": "00000000000000a1", "name": "browser session",
            "startTimeUnixNano": "1", "endTimeUnixNano": "2", "attributes": attributes });
        let text = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string();
        written_and_loaded(&dir, "iteration", &text).traces[0].spans[0].label.clone()
    };
    assert_eq!(label(&attributes), "ui, VU 2, iteration 0");
    assert_eq!(label(&attributes[..2]), "browser session");
}

#[test]
fn every_format_gives_the_same_trace() {
    let dir = tempfile::tempdir().unwrap();
    let parts = otlp();
    let lines = parts.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let all: Vec<&Value> = parts.iter().flat_map(|part| part["resourceSpans"].as_array().unwrap()).collect();
    let document = json!({ "resourceSpans": all });
    let expected = written_and_loaded(&dir, "lines", &lines);
    assert!(expected.warnings.is_empty());
    for (name, text) in [
        ("document", document.to_string()),
        ("pretty", serde_json::to_string_pretty(&document).unwrap()),
        ("v3", serde_json::to_string_pretty(&json!({ "result": document })).unwrap()),
        ("jaeger", jaeger().to_string()),
        ("jaeger-pretty", serde_json::to_string_pretty(&jaeger()).unwrap()),
    ] {
        let loaded = written_and_loaded(&dir, name, &text);
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        assert_eq!(loaded.traces, expected.traces, "{name}");
    }

    let file = TraceFiles::open(&[dir.path().join("lines")]).unwrap();
    let outline = file.load(&TraceSelection::Id(TRACE.to_owned()), Detail::Outline, Clocks::AsGiven, None);
    let facts =
        |span: &ShownSpan| (span.label.clone(), span.role, span.cached, span.error, span.place.critical, span.depth);
    let outline: Vec<_> = outline.unwrap().traces[0].spans.iter().map(facts).collect();
    assert_eq!(outline, expected.traces[0].spans.iter().map(facts).collect::<Vec<_>>());

    let spans = &expected.traces[0].spans;
    let tree: Vec<_> =
        spans.iter().map(|span| (&span.id[14..], span.depth, span.place.start_us, span.place.duration_us)).collect();
    assert_eq!(tree, [("a1", 0, 0, 9000), ("a2", 1, 1000, 0), ("a3", 1, 1000, 1999), ("b1", 2, 1500, 1000)]);
    let ShownSpan { label, role, kind, error, message, cached, attributes, resource, events, links, .. } = &spans[2];
    assert_eq!((label.as_str(), *role, *kind), ("GET /api/products", Role::Request, "client"));
    assert!(*error && *cached && message == "unavailable");
    assert_eq!(attributes.len(), 5);
    assert_eq!(
        attributes[3..],
        [("http.response.status_code".to_owned(), 503.into()), ("ratio".to_owned(), 0.5.into())]
    );
    assert_eq!(resource, &[("host.name".to_owned(), "h".into())]);
    assert_eq!(
        (events[0].name.as_str(), events[0].after_us, links[0].trace_id.as_str()),
        ("response", 1000, "0af7651916cd43dd8448eb211c80319c")
    );
}

#[test]
fn otlp_attribute_values_become_plain_json() {
    let dir = tempfile::tempdir().unwrap();
    let of = |value: Value| json!({ "key": "k", "value": value });
    let values = [
        (json!({ "intValue": "-9007199254740993" }), json!(-9_007_199_254_740_993_i64)),
        (json!({ "intValue": 7 }), json!(7)),
        (json!({ "doubleValue": "NaN" }), json!("NaN")),
        (json!({ "bytesValue": "AAE=" }), json!("AAE=")),
        (json!({ "arrayValue": { "values": [{ "stringValue": "a" }, { "intValue": "1" }] } }), json!(["a", 1])),
        (json!({ "arrayValue": {} }), json!([])),
        (json!({ "kvlistValue": { "values": [of(json!({ "boolValue": false }))] } }), json!({ "k": false })),
        (json!({}), json!(null)),
    ];
    let attributes: Vec<Value> = values.iter().map(|(value, _)| of(value.clone())).collect();
    let line = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [
        { "traceId": TRACE, "spanId": "1", "attributes": attributes, "events": "not a list" } ] }] }] });
    let loaded = written_and_loaded(&dir, "t", &line.to_string());
    let span = &loaded.traces[0].spans[0];
    assert_eq!(span.service, "unknown service");
    for ((_, found), (_, expected)) in span.attributes.iter().zip(&values) {
        assert_eq!(found, expected);
    }
}

#[test]
fn null_is_the_default_value_and_ids_may_be_base64() {
    let dir = tempfile::tempdir().unwrap();
    let span = json!({
        "traceId": "S/kvNXezTaajzpKdDg5HNg==", "spanId": "AAAAAAAAAAE=", "parentSpanId": "AAAAAAAAAAA=", "name": null, "kind": null,
        "startTimeUnixNano": null, "endTimeUnixNano": null, "attributes": null, "events": null, "status": null,
        "links": [{ "traceId": "CvdlGRbNQ92ESOshHIAxnA", "spanId": "t61rcWkgMzE" }],
    });
    let line = json!({ "resourceSpans": [
        { "resource": null, "scopeSpans": [{ "scope": null, "spans": [span] }] },
        { "scopeSpans": [{ "scope": { "name": null }, "spans": null }] },
    ] });
    let loaded = written_and_loaded(&dir, "t", &line.to_string());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let span = &loaded.traces[0].spans[0];
    assert_eq!((span.id.as_str(), &span.parent), ("0000000000000001", &None));
    let Link { trace_id, span_id } = &span.links[0];
    assert_eq!((trace_id.as_str(), span_id.as_str()), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
}

#[test]
fn a_span_of_zipkin_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let us = START / 1000;
    let span = json!({
        "traceId": "a3ce929d0e0e4736", "id": "1", "parentId": "0000000000000000", "kind": "PRODUCER", "name": "send",
        "timestamp": us, "duration": 5, "shared": true, "debug": false,
        "localEndpoint": { "serviceName": "mail", "ipv4": "10.0.0.1" }, "remoteEndpoint": { "serviceName": "queue" },
        "annotations": [{ "timestamp": us + 2, "value": "ws" }],
        "tags": { "error": "", "k": "v", "otel.library.name": "navtrace" },
    });
    let path = dir.path().join("t");
    fs::write(&path, json!([span]).to_string()).unwrap();
    let traces = load(&path, &TraceSelection::All { max_spans: 9 }).traces;
    assert_eq!(traces[0].id, "0000000000000000a3ce929d0e0e4736");
    let span = &traces[0].spans[0];
    assert_eq!((span.service.as_str(), span.kind, span.error, span.place.duration_us), ("mail", "producer", true, 5));
    assert_eq!((&span.parent, span.resource.as_slice()), (&None, &[("ipv4".to_owned(), json!("10.0.0.1"))][..]));
    let peer = ("remoteEndpoint".to_owned(), json!({ "serviceName": "queue" }));
    assert_eq!(span.attributes, [("k".to_owned(), json!("v")), peer]);
    assert_eq!((span.events[0].name.as_str(), span.events[0].after_us), ("ws", 2));
}

#[test]
fn as_many_traces_as_fit_are_loaded_errors_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let line = |trace: u32, start: u64, error: bool| {
        let span = |id: u32| {
            json!({ "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "startTimeUnixNano": start,
                "status": { "code": if error { 2 } else { 0 } } })
        };
        json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span(1), span(2)] }] }] }).to_string()
    };
    let invalid = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"no id"}]}]}]}"#;
    let lines = [line(3, 30, false), line(2, 20, false), line(1, 90, true), invalid.to_owned()].join("\n");
    fs::write(&path, lines).unwrap();
    for (max_spans, ids, left_out) in
        [(100, &["1", "2", "3"][..], (0, 0)), (5, &["1", "2"], (1, 2)), (0, &["1"], (2, 4))]
    {
        let loaded = load(&path, &TraceSelection::All { max_spans });
        assert_eq!(loaded.traces.iter().map(|trace| &trace.id[31..]).collect::<Vec<_>>(), ids);
        assert_eq!((loaded.left_out_traces, loaded.left_out_spans), left_out);
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].starts_with("1 span of /"), "{:?}", loaded.warnings);
        let ending = " skipped: the trace id is not hexadecimal";
        assert!(loaded.warnings[0].ends_with(ending), "{:?}", loaded.warnings);
    }
}

#[test]
fn spans_beyond_the_limit_of_a_trace_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let spans = |from: usize, to: usize| {
        let span = |id: usize| format!(r#"{{"traceId":"{TRACE}","spanId":"{id:016x}"}}"#);
        let spans = (from..to).map(span).collect::<Vec<_>>().join(",");
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
    };
    let text = [spans(1, 60_000), spans(60_000, MAX_TRACE_SPANS + 8)].join("\n");
    let loaded = written_and_loaded(&dir, "t", &text);
    assert_eq!((loaded.traces[0].spans.len(), loaded.left_out_spans), (MAX_TRACE_SPANS, 7));
}

#[test]
fn traces_beyond_the_list_are_counted_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let span = |number: u64| {
        let (start, end) = (START + number * 1_000_000, START + (number + 1) * 1_000_000);
        let code = if number >= 100_000 { 2 } else { 0 };
        format!(
            r#"{{"traceId":"{number:08x}{number:024x}","spanId":"00000000000000a1","name":"test","startTimeUnixNano":{start},"endTimeUnixNano":{end},"status":{{"code":{code}}}}}"#
        )
    };
    let spans = (0..100_100).map(span).collect::<Vec<_>>().join(",");
    fs::write(&path, format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)).unwrap();
    let files = TraceFiles::open_run(&[path]).unwrap();
    let run = files.run.as_ref().unwrap();
    assert_eq!((run.totals.traces, run.totals.failed_traces, run.totals.duration_ms), (100_100, 100, 100_100.0));
    assert_eq!((run.tests.len(), run.tests[0].failed, run.tests[0].durations.count), (1, 100, 100_100));
    assert_eq!((run.left_out_tests, run.further_trace_spans), (0, 0));

    let load = |selection| files.load(&selection, Detail::Outline, Clocks::AsGiven, None).unwrap();
    let found = load(TraceSelection::Id(format!("{:08X}", 100_099)));
    assert_eq!((found.traces[0].id.as_str(), found.traces[0].spans.len()), ("00018703000000000000000000018703", 1));
    let loaded = load(TraceSelection::All { max_spans: 2 });
    assert_eq!((loaded.left_out_traces, loaded.left_out_spans), (100_098, 100_098));
}

#[test]
fn a_long_resource_costs_no_more_for_two_thousand_spans_than_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(8 << 20);
    let otlp = |spans: usize| {
        let span = |id: usize| json!({ "traceId": TRACE, "spanId": format!("{id:016x}") });
        let attribute = json!({ "key": "long", "value": { "stringValue": long } });
        let spans: Vec<Value> = (1..=spans).map(span).collect();
        let scope = json!({ "scope": { "name": long }, "spans": spans });
        json!({ "resourceSpans": [{ "resource": { "attributes": [attribute] }, "scopeSpans": [scope] }] })
    };
    let jaeger = |spans: usize| {
        let span = |id: usize| json!({ "traceID": TRACE, "spanID": format!("{id:016x}"), "processID": "p" });
        let process = json!({ "serviceName": long, "tags": [{ "key": "long", "value": long }] });
        let spans: Vec<Value> = (1..=spans).map(span).collect();
        json!({ "data": [{ "spans": spans, "processes": { "p": process } }] })
    };
    for document in [&otlp as &dyn Fn(usize) -> Value, &jaeger] {
        let duration = |spans: usize| {
            let path = dir.path().join("t");
            fs::write(&path, document(spans).to_string()).unwrap();
            let start = Instant::now();
            let loaded = load(&path, &TraceSelection::All { max_spans: spans });
            let duration = start.elapsed();
            assert_eq!(loaded.traces[0].spans.len(), spans);
            for span in &loaded.traces[0].spans {
                let (kept, rest) = span.resource[0].1.as_str().unwrap().split_once("… (").unwrap();
                assert_eq!(rest, format!("{} more bytes are in the trace file)", long.len() - kept.len()));
            }
            duration
        };
        let (one, many) = (duration(1), duration(2000));
        println!("one span: {one:?}, 2000 spans: {many:?}");
        assert!(many < one * 10, "{many:?}, {one:?} for one span");
    }
}
