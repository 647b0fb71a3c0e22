//! Tests the formats of other tools: Tempo, Zipkin, Jaeger.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{TRACE, exit_and_stderr, shop, stdout, view};
use crate::navtrace::{Environment, stderr};

fn shown(environment: &Environment, name: &str, document: &Value) -> String {
    let path = environment.home().join(name);
    // On one line, and on many.
    fs::write(&path, document.to_string()).unwrap();
    let output = view(environment, &[name]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{name}");
    fs::write(&path, serde_json::to_string_pretty(document).unwrap()).unwrap();
    assert_eq!(stdout(&view(environment, &[name]).output().unwrap()), stdout(&output), "{name}");
    stdout(&output)
}

/// Returns OTLP resource spans with ids in base64 and enumerations by name, as protobuf's own JSON has them.
fn protobuf_json() -> Vec<Value> {
    let base64 = |hex: &Value| {
        let hex = hex.as_str().unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        Value::from(BASE64_STANDARD.encode(bytes))
    };
    let lines = shop();
    let documents = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut all: Vec<Value> = documents.flat_map(|line| line["resourceSpans"].as_array().unwrap().clone()).collect();
    for span in all.iter_mut().flat_map(|resource| resource["scopeSpans"][0]["spans"].as_array_mut().unwrap()) {
        for key in ["traceId", "spanId", "parentSpanId"] {
            span[key] = base64(&span[key]);
        }
        span["kind"] = "SPAN_KIND_CLIENT".into();
        if span["status"]["code"] == 2 {
            span["status"]["code"] = "STATUS_CODE_ERROR".into();
        }
    }
    all
}

#[test]
fn the_json_of_tempo_is_read() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let expected = stdout(&view(&environment, &["t.jsonl"]).output().unwrap());
    let spans = protobuf_json();
    let mut old = json!({ "batches": spans.clone() }).to_string();
    for (new, before) in [("scopeSpans", "instrumentationLibrarySpans"), ("scope", "instrumentationLibrary")] {
        old = old.replace(&format!("\"{new}\""), &format!("\"{before}\""));
    }
    let hex: Vec<Value> = shop()
        .lines()
        .flat_map(|line| serde_json::from_str::<Value>(line).unwrap()["resourceSpans"].as_array().unwrap().clone())
        .collect();
    for (name, document) in [
        ("v1.json", json!({ "batches": spans.clone() })),
        ("old.json", serde_json::from_str(&old).unwrap()),
        ("v2.json", json!({ "trace": { "resourceSpans": spans.clone() }, "metrics": {}, "status": "COMPLETE" })),
        ("batches-in-trace.json", json!({ "trace": { "batches": spans } })),
        ("hex.json", json!({ "batches": hex })),
    ] {
        assert_eq!(shown(&environment, name, &document), expected, "{name}");
    }
    assert!(expected.contains(TRACE));
}

/// Returns the trace of [`shop`] as Zipkin has it, with the service's span in that of the browser.
fn zipkin() -> Value {
    let us = |ms: u64| (1_700_000_000_000_u64 + ms) * 1000;
    let span = |id: &str, parent: &str, kind: &str, name: &str, service: &str, from: u64, to: u64| {
        let mut span = json!({
            "traceId": TRACE, "id": format!("{id:0>16}"), "kind": kind, "name": name, "timestamp": us(from), "duration": (to - from) * 1000,
            "localEndpoint": { "serviceName": service, "ipv4": "127.0.0.1", "port": 80 },
        });
        if !parent.is_empty() {
            span["parentId"] = format!("{parent:0>16}").into();
        }
        span
    };
    let mut client = span("4", "2", "CLIENT", "get", "browser", 300, 800);
    client["tags"] = json!({ "http.method": "GET", "http.path": "/cart", "error": "out of stock" });
    client["annotations"] = json!([{ "timestamp": us(310), "value": "wr" }]);
    let mut server = span("4", "2", "SERVER", "get /cart", "shop", 310, 790);
    server["shared"] = true.into();
    let mut root = span("1", "", "", "session", "browser", 0, 1000);
    root["kind"] = Value::Null;
    json!([
        server,
        root,
        client,
        span("2", "1", "CLIENT", "visit", "browser", 10, 900),
        span("5", "4", "CLIENT", "select", "shop", 320, 350)
    ])
}

#[test]
fn the_json_of_zipkin_is_read() {
    let environment = Environment::new();
    let spans = zipkin();
    let text = shown(&environment, "zipkin.json", &spans);
    insta::assert_snapshot!(text, @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  5 spans  1 error  browser, shop
    session                                       browser  ████████████████████████     1.00 s
    └─ visit                                      browser  █████████████████████      890.0 ms
       └─ get /cart ✗ out of stock                browser         ████████████        500.0 ms
          └─ get /cart                            shop            ███████████         480.0 ms
             └─ select                            shop            █                    30.0 ms
    ");
    // The answer for several traces has a list of each.
    assert_eq!(shown(&environment, "traces.json", &json!([spans])), text);
    assert_eq!(shown(&environment, "span.json", &json!([spans, []])), text);
}

#[test]
fn a_reference_that_follows_is_a_parent_if_there_is_no_other() {
    let environment = Environment::new();
    let us = 1_700_000_000_000_000_u64;
    let span = |id: &str, references: Value| {
        json!({ "traceID": TRACE, "spanID": id, "operationName": format!("op {id}"), "references": references,
            "startTime": us + 1000 * u64::from_str_radix(id, 16).unwrap(), "duration": 1000, "processID": "p" })
    };
    let to = |kind: &str, id: &str| json!({ "refType": kind, "traceID": TRACE, "spanID": id });
    let spans = [
        span("1", json!([])),
        span("2", json!([to("FOLLOWS_FROM", "1")])),
        span("3", json!([to("FOLLOWS_FROM", "2"), to("CHILD_OF", "1")])),
        // Each follows from the other.
        span("8", json!([to("FOLLOWS_FROM", "9")])),
        span("9", json!([to("FOLLOWS_FROM", "8")])),
        span("a", json!([to("CHILD_OF", "9")])),
        span("b", json!([to("CHILD_OF", "b")])),
    ];
    let document =
        json!({ "data": [{ "traceID": TRACE, "spans": spans, "processes": { "p": { "serviceName": "s" } } }] });
    insta::assert_snapshot!(shown(&environment, "jaeger.json", &document), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.001Z  11.0 ms  7 spans  s
    op 1                                              s  ██                             1.0 ms
    ├─ op 2                                           s    ██                           1.0 ms
    └─ op 3                                           s      ███                        1.0 ms
    op 8 (its own ancestor)                           s                  ██             1.0 ms
    └─ op 9                                           s                    ███          1.0 ms
       └─ op a                                        s                       ██        1.0 ms
    op b (its own ancestor)                           s                         ███     1.0 ms
    ");
}

#[test]
fn a_span_that_can_not_be_read_costs_no_other() {
    let environment = Environment::new();
    let shown = |name: &str, document: &str| {
        fs::write(environment.home().join(name), document).unwrap();
        let output = view(&environment, &[name]).output().unwrap();
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let whole = shown("t.jsonl", &shop());
    let browser = shop().replacen(r#""spans":["#, r#""spans":[{"traceId":7},{"startTimeUnixNano":"soon"},"#, 1);
    let (code, text, warnings) = shown("t.jsonl", &browser);
    assert_eq!((code, text), (Some(0), whole.1), "{warnings}");
    let sentence = "navtrace: 2 spans in line 1 of t.jsonl can't be read and are skipped: invalid type: integer `7`, expected a string\n";
    assert_eq!(warnings, sentence);

    let spans = zipkin();
    let whole = shown("zipkin.json", &spans.to_string());
    let more = [&[json!({ "id": "7" })], &spans.as_array().unwrap()[..]].concat();
    for document in [json!(more), json!([more])] {
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            let (code, shown, warnings) = shown("zipkin.json", &text);
            assert_eq!((code, &shown), (Some(0), &whole.1), "{warnings}");
            let place = if text.contains('\n') { "" } else { "line 1 of " };
            let sentence = format!(
                "navtrace: 1 span in {place}zipkin.json can't be read and is skipped: missing field `traceId`\n"
            );
            assert_eq!(warnings, sentence);
        }
    }

    let span = |id: &str, duration: Value| json!({ "traceID": TRACE, "spanID": id, "operationName": "op", "startTime": 1_700_000_000_000_000_u64, "duration": duration });
    let jaeger = json!({ "data": [{ "traceID": TRACE, "spans": [span("1", json!(5)), span("2", json!([])), null] }] });
    let (code, text, warnings) = shown("jaeger.json", &jaeger.to_string());
    assert!(code == Some(0) && text.contains("  1 span  "), "{text}");
    assert!(
        warnings.starts_with(
            "navtrace: 2 spans in line 1 of jaeger.json can't be read and are skipped: expected a whole number"
        ),
        "{warnings}"
    );
    // With no other there is nothing to show.
    let alone = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}"#;
    let sentence = "navtrace: alone.json has no spans: 1 span in line 1 of alone.json can't be read and is skipped: invalid type: integer `7`, expected a string\n";
    assert_eq!(shown("alone.json", alone), (Some(1), String::new(), sentence.to_owned()));
}

#[test]
fn an_unknown_format_gets_one_sentence() {
    let environment = Environment::new();
    let sentence = "is not a trace file: expected OTLP JSON (of navtrace run, the OpenTelemetry Collector or Tempo), or JSON from Jaeger or Zipkin\n";
    for text in [
        "[1, 2]",
        "[{\"a\": 1}]",
        "[\n  {\n    \"a\": 1\n  }\n]\n",
        "{\"trace\": 1}",
        "{\"trace\": {}}",
        "7",
        "\"text\"",
        "<xml/>",
        "{\n}\n",
    ] {
        fs::write(environment.home().join("other.json"), text).unwrap();
        let output = view(&environment, &["other.json"]).output().unwrap();
        assert_eq!(exit_and_stderr(&output), (1, format!("navtrace: other.json {sentence}")), "{text}");
    }
    for text in ["[]", "[[]]", "{\"batches\": []}", "{\"trace\": {\"resourceSpans\": []}}"] {
        fs::write(environment.home().join("empty.json"), text).unwrap();
        let output = view(&environment, &["empty.json"]).output().unwrap();
        assert_eq!(exit_and_stderr(&output), (1, "navtrace: empty.json has no spans\n".to_owned()), "{text}");
    }
}
