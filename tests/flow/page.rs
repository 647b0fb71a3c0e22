//! Tests the page of traces in a real browser: layout, accessibility, hostile text, 10,000 spans, and long texts.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use navtrace::testing::page::{self, Page};
use navtrace::testing::trace::{CorrectedTimes, Event, Link, Place, Role, ShownSpan, Trace};
use serde_json::json;

use crate::browser_test::{alone, beside_others, script_path};
use crate::navtrace::Environment;

fn span(number: usize, parent: Option<usize>, depth: usize, label: &str) -> ShownSpan {
    ShownSpan {
        id: format!("{:016x}", number + 1),
        parent: parent.map(|parent| format!("{:016x}", parent + 1)),
        depth,
        service: if number % 3 == 2 { "shop" } else { "browser" }.to_owned(),
        name: "GET".to_owned(),
        label: label.to_owned(),
        role: Role::Request,
        kind: if number % 3 == 2 { "server" } else { "client" },
        place: Place { start_us: number as u64 * 1000, duration_us: 900, ..Place::default() },
        error: false,
        message: String::new(),
        cached: false,
        attributes: vec![("url.full".to_owned(), json!(format!("http://shop.test/{number}")))],
        resource: vec![("os.type".to_owned(), json!("linux"))],
        events: Vec::new(),
        links: Vec::new(),
        remark: None,
    }
}

/// Returns a trace of a session, navigations below it, and requests below those.
fn trace(id: u8, spans: usize) -> Trace {
    let mut trace = Trace {
        id: format!("{id:032x}"),
        start: 1_700_000_000_000_000_000,
        start_ms: 1_700_000_000_000.0,
        duration_us: spans as u64 * 1000,
        link: None,
        spans: vec![span(0, None, 0, "browser session")],
        clocks: Vec::new(),
        corrected: None,
    };
    trace.spans[0].role = Role::Session;
    trace.spans[0].place.duration_us = trace.duration_us;
    trace.spans[0].place.critical = true;
    let mut navigation = 0;
    for number in 1..spans {
        if number % 10 == 1 {
            navigation = number;
            let mut group = span(number, Some(0), 1, &format!("navigation http://shop.test/{number}"));
            group.role = Role::Navigation;
            // Shorter than its requests, which may last longer than the page load.
            group.place.duration_us = 6000;
            group.events = [("commit", 1000), ("domContentLoaded", 2500), ("load", 4000)]
                .map(|(name, after)| Event { name: name.into(), after_us: after, attributes: Vec::new() })
                .into();
            trace.spans.push(group);
        } else {
            trace.spans.push(span(number, Some(navigation), 2, &format!("GET /{number}")));
        }
    }
    trace
}

fn write(dir: &Path, name: &str, traces: &[Trace]) {
    let html = page::render(&Page {
        source: name,
        traces,
        left_out_traces: 2,
        left_out_spans: 7,
        run: None,
        correct_clocks: false,
    });
    fs::write(dir.join(format!("{name}.html")), html).unwrap();
}

fn check(dir: &Path, what: &str) {
    let mut command = Command::new("node");
    command.arg(script_path("page.mjs")).args([what.as_ref(), dir.as_os_str()]).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_page_is_accessible_in_every_layout() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = trace(1, 60);
    first.link = Some("https://jaeger.test/trace/1".to_owned());
    for (place, message) in [(5, "it broke"), (44, "")] {
        first.spans[place].error = true;
        first.spans[place].message = message.to_owned();
    }
    first.spans[7].cached = true;
    first.spans[8].remark = Some("parent missing");
    first.spans[9].links = vec![Link { trace_id: format!("{:032x}", 2), span_id: format!("{:016x}", 3) }];
    write(dir.path(), "normal", &[first, trace(2, 30)]);
    let mut single = trace(3, 12);
    // A service that joined its client's span.
    single.spans[3].id = single.spans[2].id.clone();
    single.spans[3].depth = 3;
    let right = single.spans.iter().map(|span| span.place.clone()).enumerate().collect();
    single.corrected =
        Some(CorrectedTimes { start_ms: single.start_ms, duration_us: single.duration_us, spans: right });
    single.clocks = vec!["the clock of shop is 5.00 s ahead of that of browser".to_owned()];
    for span in single.spans.iter_mut().filter(|span| span.service == "shop") {
        span.place.start_us += 5_000_000;
    }
    single.duration_us += 5_000_000;
    single.spans[7].place.fault = Some("no start time".to_owned());
    write(dir.path(), "single", &[single]);
    write(dir.path(), "empty", &[]);
    write_run(dir.path());
    let _guard = beside_others();
    check(dir.path(), "normal");
}

#[test]
fn hostile_text_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    let evil =
        "</script><script>globalThis.evil = 1</script><img src=x onerror=\"globalThis.evil = 1\"><b id=evil>\u{2028}";
    let mut trace = trace(1, 12);
    trace.link = Some("javascript:globalThis.evil=1".to_owned());
    for span in &mut trace.spans {
        for text in [&mut span.label, &mut span.service, &mut span.name, &mut span.message] {
            *text = evil.to_owned();
        }
        span.error = true;
        span.attributes = vec![(evil.to_owned(), json!(evil)), ("o".to_owned(), json!({ evil: [evil] }))];
        span.resource = vec![(evil.to_owned(), json!(evil))];
        span.events = vec![Event { name: evil.into(), after_us: 1, attributes: vec![(evil.into(), json!(evil))] }];
        span.links = vec![Link { trace_id: evil.into(), span_id: evil.into() }];
    }
    trace.spans[3].id = evil.to_owned();
    let html = page::render(&Page {
        source: evil,
        traces: &[trace],
        left_out_traces: 0,
        left_out_spans: 0,
        run: None,
        correct_clocks: false,
    });
    fs::write(dir.path().join("hostile.html"), html).unwrap();
    let _guard = beside_others();
    check(dir.path(), "hostile");
}

/// Writes the page of a run from the files of two machines.
fn write_run(dir: &Path) {
    let environment = Environment::new();
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    for machine in 1..=2 {
        let span = |id: u64, name: &str, attributes: &[serde_json::Value]| {
            let failed = id == 3 && machine == 2;
            json!({ "traceId": format!("{machine:032x}"), "spanId": format!("{id:016x}"), "parentSpanId": if id == 1 { String::new() } else { format!("{:016x}", 1) },
                "name": name, "kind": if id == 1 { 1 } else { 3 }, "startTimeUnixNano": 1_700_000_000_000_000_000_u64 + id,
                "endTimeUnixNano": 1_700_000_000_000_000_000_u64 + id * 90_000_000, "attributes": attributes,
                "status": { "code": if failed { 2 } else { 0 }, "message": "it broke" } })
        };
        let request =
            |path: &str| [text("http.request.method", "GET"), text("url.full", &format!("http://shop.test/{path}"))];
        let spans = [
            span(1, "browser session", &[]),
            span(2, "GET", &request("a")),
            span(3, "GET", &request(&"long/".repeat(60))),
        ];
        let resource = [
            text("service.name", "browser"),
            text("host.name", &format!("load-{machine}")),
            text("navtrace.run.id", "nightly-7"),
        ];
        let line = json!({ "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": [{ "scope": { "name": "navtrace" }, "spans": spans }] }] });
        fs::write(environment.home().join(format!("{machine}.jsonl")), line.to_string()).unwrap();
    }
    let html = dir.join("run.html");
    let output = environment
        .navtrace(["view".as_ref(), environment.home().as_os_str(), "--html".as_ref(), html.as_os_str()])
        .output();
    assert!(output.unwrap().status.success());
}

/// Writes the page of 2,000 spans with 100 KB each, from their trace file.
fn write_long(dir: &Path) {
    let environment = Environment::new();
    let path = environment.home().join("long.jsonl");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let long = "x".repeat(100_000);
    for number in 1..=2000 {
        let parent = if number == 1 { String::new() } else { format!("{:016x}", 1) };
        let span = json!({ "traceId": format!("{:032x}", 1), "spanId": format!("{number:016x}"), "parentSpanId": parent, "name": "GET",
            "startTimeUnixNano": 1_700_000_000_000_000_000_u64 + number, "endTimeUnixNano": 1_700_000_001_000_000_000_u64 + number,
            "attributes": [{ "key": "http.request.body", "value": { "stringValue": long } }] });
        writeln!(file, "{}", json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] })).unwrap();
    }
    drop(file);
    let html = dir.join("long.html");
    let output =
        environment.navtrace(["view".as_ref(), path.as_os_str(), "--html".as_ref(), html.as_os_str()]).output();
    assert!(output.unwrap().status.success());
}

#[test]
fn a_page_of_many_or_long_spans_is_quick() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "small", &[trace(1, 500)]);
    write(dir.path(), "large", &[trace(1, 10_000)]);
    write_long(dir.path());
    let _guard = alone();
    check(dir.path(), "large");
}
