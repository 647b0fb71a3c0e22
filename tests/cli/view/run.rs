//! Tests `navtrace view` with several files: all traces of a run together.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{exit_and_stderr, view};
use crate::navtrace::{Environment, stderr, stdout};

/// Nanoseconds since the epoch, of so many milliseconds after the start of the run.
fn at(ms: u64) -> String {
    (1_700_000_000_000_000_000 + ms * 1_000_000).to_string()
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect()
}

/// Returns a line with the spans of one resource and scope.
fn line(scope: &str, resource: &[(&str, &str)], spans: &[Value]) -> String {
    let spans = json!([{ "scope": { "name": scope }, "spans": spans }]);
    json!({ "resourceSpans": [{ "resource": { "attributes": attributes(resource) }, "scopeSpans": spans }] })
        .to_string()
}

/// Returns a span of `kind`, from `start` for `took` milliseconds. With a parent of 0 it is a root.
fn span(
    trace: u64,
    id: u64,
    parent: u64,
    name: &str,
    kind: u8,
    (start, took): (u64, u64),
    of: &[(&str, &str)],
) -> Value {
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    let failed = of.iter().any(|(key, _)| *key == "error.type");
    json!({
        "traceId": format!("{trace:08x}{trace:024x}"), "spanId": format!("{id:016x}"), "parentSpanId": parent, "name": name,
        "kind": kind, "startTimeUnixNano": at(start), "endTimeUnixNano": at(start + took), "attributes": attributes(of),
        "status": { "code": if failed { 2 } else { 0 } },
    })
}

/// Returns the browser's spans of one iteration of a scenario on a machine. Its request fails if `status` is given.
fn iteration(trace: u64, machine: &str, scenario: &str, took: u64, status: &str) -> String {
    let resource = [("service.name", "browser"), ("host.name", machine), ("navtrace.run.id", "nightly-7"), ("k", "v")];
    let url = format!("http://shop.test/api/orders/{trace}?q=1");
    let mut call = vec![("http.request.method", "GET"), ("url.full", url.as_str())];
    call.extend((!status.is_empty()).then_some(("error.type", status)));
    let spans = [
        span(trace, 1, 0, "browser session", 1, (0, took), &[("test.scenario", scenario)]),
        span(trace, 2, 1, "navigation", 1, (1, took - 2), &[("url.full", "http://shop.test/")]),
        span(trace, 3, 2, "GET", 3, (2, took / 2), &call),
    ];
    line("navtrace", &resource, &spans)
}

/// Returns the shop's span of an iteration.
fn answer(trace: u64, took: u64) -> String {
    let route = [("http.request.method", "GET"), ("http.route", "/api/orders/{id}")];
    line("axum", &[("service.name", "shop"), ("host.name", "backend")], &[span(trace, 4, 3, "x", 2, (3, took), &route)])
}

/// Writes the files of two machines that ran one test: 30 iterations of one scenario, 2 of another.
fn two_machines(environment: &Environment) {
    let dir = environment.home().join("run/deeper");
    fs::create_dir_all(&dir).unwrap();
    let of = |machine: &str, from: u64| {
        let lines = (from..from + 15).flat_map(|trace| {
            let status = if trace == 3 { "503" } else { "" };
            [iteration(trace, machine, "browse", trace * 10, status), answer(trace, trace * 4)]
        });
        lines.chain([iteration(from + 100, machine, "checkout", 1000, "")]).collect::<Vec<_>>().join("\n")
    };
    fs::write(environment.home().join("run/one.jsonl"), of("load-1", 1)).unwrap();
    // A span that was exported twice.
    fs::write(dir.join("two.jsonl"), of("load-2", 16) + "\n" + &answer(16, 64)).unwrap();
    fs::write(dir.join("readme.txt"), "not read").unwrap();
}

#[test]
fn files_and_folders_are_shown_as_one_run() {
    let environment = Environment::new();
    two_machines(&environment);
    let output = view(&environment, &["run"]).env("COLUMNS", "100").output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let text = stdout(&output);
    assert_snapshot!(text, @"
    run nightly-7  2023-11-14T22:13:20.000Z  1.00 s  2 files
    32 traces (1 failed)  126 spans (1 error)  32 requests (1 failed)
    browser, shop

    failures, each with a trace
           1  00000003000000000000000000000003  503  browser  GET shop.test/api/orders/{id}

    slowest requests, with their traces
     500.0 ms  00000074000000000000000000000074  browser  GET shop.test/api/orders/{id}  load-2
     500.0 ms  00000065000000000000000000000065  browser  GET shop.test/api/orders/{id}  load-1
     150.0 ms  0000001e00000000000000000000001e  browser  GET shop.test/api/orders/{id}  load-2
     145.0 ms  0000001d00000000000000000000001d  browser  GET shop.test/api/orders/{id}  load-2
     140.0 ms  0000001c00000000000000000000001c  browser  GET shop.test/api/orders/{id}  load-2
     135.0 ms  0000001b00000000000000000000001b  browser  GET shop.test/api/orders/{id}  load-2
     130.0 ms  0000001a00000000000000000000001a  browser  GET shop.test/api/orders/{id}  load-2
     125.0 ms  00000019000000000000000000000019  browser  GET shop.test/api/orders/{id}  load-2
     120.0 ms  00000018000000000000000000000018  browser  GET shop.test/api/orders/{id}  load-2
     115.0 ms  00000017000000000000000000000017  browser  GET shop.test/api/orders/{id}  load-2

    endpoints
       count  errors        p50        p95        p99        max
          32       1    80.0 ms   500.0 ms   500.0 ms   500.0 ms  browser  GET shop.test/api/orders/{id}
          32       0   158.0 ms   998.0 ms   998.0 ms   998.0 ms  browser  page shop.test/
          30       0    60.0 ms   116.0 ms   120.0 ms   120.0 ms  shop  GET /api/orders/{id}

    tests
       count  failed        p50        p95        p99        max
          30       1   150.0 ms   290.0 ms   300.0 ms   300.0 ms  browse
           2       0     1.00 s     1.00 s     1.00 s     1.00 s  checkout

    machines, by requests
       count  failed        p50        p95        p99        max
          16       1    40.0 ms   500.0 ms   500.0 ms   500.0 ms  load-1, 16 tests, 1 failed
          16       0   115.0 ms   500.0 ms   500.0 ms   500.0 ms  load-2, 16 tests
    ");
    // A file that is named twice is read once, and a single one is shown so on request.
    for args in [&["run/one.jsonl", "run/deeper/two.jsonl"][..], &["run", "run/one.jsonl", "run/deeper"]] {
        assert_eq!(stdout(&view(&environment, args).env("COLUMNS", "100").output().unwrap()), text, "{args:?}");
    }
    let one = stdout(&view(&environment, &["run/one.jsonl", "--run"]).output().unwrap());
    assert!(one.starts_with("run nightly-7  2023-11-14T22:13:20.000Z  1.00 s  1 file\n16 traces"), "{one}");
}

#[test]
fn a_trace_may_be_in_several_files() {
    let environment = Environment::new();
    fs::write(environment.home().join("browser.jsonl"), iteration(7, "load-1", "browse", 100, "")).unwrap();
    fs::write(environment.home().join("shop.jsonl"), answer(7, 40)).unwrap();
    let output = view(&environment, &["browser.jsonl", "shop.jsonl", "00000007"]).output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("4 spans  browser, shop\n") && !text.contains("parent missing"), "{text}");
}

#[test]
fn a_run_as_json_has_documented_fields() {
    let environment = Environment::new();
    two_machines(&environment);
    let output = view(&environment, &["run", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let run: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(run["runs"], json!(["nightly-7"]));
    let totals = json!({
        "files": 2, "startMs": 1_700_000_000_000.0, "durationMs": 1000.0, "traces": 32, "failedTraces": 1, "spans": 126,
        "errors": 1, "requests": 32, "failedRequests": 1, "cachedRequests": 0, "services": ["browser", "shop"],
    });
    assert_eq!(run["totals"], totals);
    let call = json!({ "kind": "request", "service": "browser", "name": "GET shop.test/api/orders/{id}" });
    let with = |call: &Value, more: Value| {
        let fields = call.as_object().unwrap().clone().into_iter().chain(more.as_object().unwrap().clone());
        Value::Object(fields.collect())
    };
    let failure = json!({
        "reason": "503", "count": 1, "traceId": "00000003000000000000000000000003", "spanId": "0000000000000003",
    });
    assert_eq!(run["failures"], json!([with(&call, failure)]));
    assert_eq!(run["slowest"].as_array().unwrap().len(), 20);
    let slow = json!({
        "durationMs": 150.0, "error": false, "machine": "load-2", "traceId": "0000001e00000000000000000000001e",
        "spanId": "0000000000000003",
    });
    assert_eq!(run["slowest"][2], with(&call, slow));
    let operation = json!({ "errors": 1, "count": 32, "p50Ms": 80.0, "p95Ms": 500.0, "p99Ms": 500.0, "maxMs": 500.0 });
    assert_eq!(run["operations"][0], with(&call, operation));
    let test = json!({
        "name": "browse", "failed": 1, "count": 30, "p50Ms": 150.0, "p95Ms": 290.0, "p99Ms": 300.0, "maxMs": 300.0,
    });
    assert_eq!(run["tests"][0], test);
    let machine = json!({
        "name": "load-2", "tests": 16, "failedTests": 0, "failedRequests": 0,
        "requests": { "count": 16, "p50Ms": 115.0, "p95Ms": 500.0, "p99Ms": 500.0, "maxMs": 500.0 },
    });
    assert_eq!(run["machines"][1], machine);
    assert_eq!(run["unreadable"], json!([]));
    for field in ["leftOutSpans", "leftOutTests", "furtherTraceSpans"] {
        assert_eq!(run[field], 0, "{field}");
    }
}

#[test]
fn files_that_can_not_be_read_are_named_and_the_rest_is_shown() {
    let environment = Environment::new();
    two_machines(&environment);
    let write = |name: &str, text: &str| fs::write(environment.home().join(name), text).unwrap();
    write("run/deeper/package.json", "{\"name\":\"package\"}");
    write("run/empty.jsonl", "");
    fs::create_dir(environment.home().join("nothing")).unwrap();
    let foreign = "is not a trace file: expected OTLP JSON (of navtrace run, the OpenTelemetry Collector or Tempo), or JSON from Jaeger or Zipkin";
    // A folder may have other files, but what is named must be there.
    for (args, code, sentences) in [
        (&["run"][..], 0, vec![format!("run/deeper/package.json {foreign}"), "run/empty.jsonl is empty".to_owned()]),
        (
            &["run/one.jsonl", "missing.jsonl"],
            1,
            vec!["missing.jsonl can't be read: No such file or directory (os error 2)".to_owned()],
        ),
        (
            &["nothing", "run/one.jsonl"],
            1,
            vec!["there are no trace files in nothing; their names are *.jsonl or *.json".to_owned()],
        ),
    ] {
        let output = view(&environment, args).output().unwrap();
        let expected = sentences.iter().map(|sentence| format!("navtrace: {sentence}\n")).collect::<Vec<_>>().concat();
        assert_eq!((output.status.code(), stderr(&output)), (Some(code), expected), "{args:?}");
        assert!(stdout(&output).starts_with("run nightly-7 "), "{args:?}");
        let json = stdout(&view(&environment, &[args, &["--json"]].concat()).output().unwrap());
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["unreadable"], json!(sentences));
    }
    for (args, code, sentence) in [
        (&["nothing"][..], 1, "there are no trace files in nothing; their names are *.jsonl or *.json"),
        (&["run", "00000003", "--json"], 2, "--json shows all traces together: leave out the trace id"),
        (&["run/one.jsonl", "0003", "--run"], 2, "--run shows all traces together: leave out the trace id"),
    ] {
        let expected = (code, format!("navtrace: {sentence}\n"));
        assert_eq!(exit_and_stderr(&view(&environment, args).output().unwrap()), expected, "{args:?}");
    }
}

#[test]
fn what_has_no_place_in_the_tables_is_counted() {
    let environment = Environment::new();
    let spans = |trace| {
        let (test, route) = (format!("test {trace}"), format!("/{trace}"));
        [
            span(trace, 1, 0, "test", 1, (0, 5), &[("test.case.name", &test)]),
            span(trace, 2, 1, "x", 2, (1, 2), &[("http.request.method", "GET"), ("http.route", &route)]),
        ]
    };
    let spans: Vec<Value> = (1..=8200).flat_map(spans).collect();
    fs::write(environment.home().join("many.jsonl"), line("t", &[("service.name", "shop")], &spans)).unwrap();
    let text = stdout(&view(&environment, &["many.jsonl", "--run"]).output().unwrap());
    for line in ["4104 spans of further endpoints", "8 tests of further names"] {
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
}
