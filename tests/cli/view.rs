//! Tests `navtrace view`: what the terminal shows.

mod files;
mod formats;
mod run;
mod shared_ids;
mod times;

use std::fs::{self, File};
use std::process::{Output, Stdio};

use insta::assert_snapshot;

use crate::navtrace::{Environment, stderr, stdout};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Returns a line of a trace file. Spans are (id, parent, name, start, end, more JSON), with times in milliseconds.
fn line(trace: &str, service: &str, scope: &str, spans: &[(&str, &str, &str, u64, u64, &str)]) -> String {
    let span = |(id, parent, name, start, end, rest): &(&str, &str, &str, u64, u64, &str)| {
        let nanos = |ms: u64| 1_700_000_000_000_000_000 + ms * 1_000_000;
        format!(
            r#"{{"traceId":"{trace}","spanId":"{id:0>16}","parentSpanId":"{}","name":"{name}","kind":3,"startTimeUnixNano":"{}","endTimeUnixNano":"{}"{rest}}}"#,
            if parent.is_empty() { String::new() } else { format!("{parent:0>16}") },
            nanos(*start),
            nanos(*end),
        )
    };
    let spans = spans.iter().map(span).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},"scopeSpans":[{{"scope":{{"name":"{scope}"}},"spans":[{spans}]}}]}}]}}"#
    )
}

fn url(path: &str) -> String {
    format!(
        r#","attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"url.full","value":{{"stringValue":"http://shop.test{path}"}}}}]"#
    )
}

/// Returns a trace of a browser and a service.
fn shop() -> String {
    let (home, cart) = (url("/"), url("/cart"));
    let failed = format!(r#","status":{{"code":2,"message":"out of stock"}}{cart}"#);
    let browser = [
        ("1", "", "browser session", 0, 1000, ""),
        ("2", "1", "navigation", 10, 900, home.as_str()),
        ("4", "2", "GET", 300, 800, failed.as_str()),
        ("3", "2", "GET", 20, 120, home.as_str()),
    ];
    let service = [("5", "4", "GET /cart", 310, 790, ""), ("6", "99", "cron", 400, 401, "")];
    [line(TRACE, "browser", "navtrace", &browser), line(TRACE, "shop", "axum", &service)].join("\n") + "\n"
}

fn view(environment: &Environment, args: &[&str]) -> std::process::Command {
    let mut command = environment.navtrace([&["view"], args].concat());
    command.current_dir(environment.home()).env("LC_ALL", "C.UTF-8").env("COLUMNS", "90").stdin(Stdio::null());
    command
}

fn exit_and_stderr(output: &Output) -> (i32, String) {
    assert_eq!(stdout(output), "");
    (output.status.code().unwrap(), stderr(output))
}

#[test]
fn the_waterfall_fits_the_terminal() {
    let environment = Environment::new();
    fs::write(environment.home().join("t.jsonl"), shop()).unwrap();
    let shown = |columns: &str, locale: &str| {
        let output = view(&environment, &["t.jsonl"]).env("COLUMNS", columns).env("LC_ALL", locale).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
        let text = stdout(&output);
        // The first line is never cut.
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= columns.parse().unwrap()), "{text}");
        text
    };
    assert_snapshot!(shown("90", "C.UTF-8"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session                               browser  ████████████████████████     1.00 s
    └─ navigation http://shop.test/               browser  █████████████████████      890.0 ms
       ├─ GET /                                   browser  ██                         100.0 ms
       └─ GET /cart ✗ out of stock                browser         ████████████        500.0 ms
          └─ GET /cart                            shop            ███████████         480.0 ms
    cron (parent missing)                         shop              █                   1.0 ms
    ");
    assert_snapshot!(shown("60", "C"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session          browser  ###############     1.00 s
    `- navigation http://sh~ browser  #############     890.0 ms
       |- GET /              browser  #                 100.0 ms
       `- GET /cart ! out o~ browser      ########      500.0 ms
          `- GET /cart       shop         #######       480.0 ms
    cron (parent missing)    shop           #             1.0 ms
    ");
    assert_snapshot!(shown("40", "C.UTF-8"), @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop
    browser session                   1.00 s
    └─ navigation http://shop.tes…  890.0 ms
       ├─ GET /                     100.0 ms
       └─ GET /cart ✗ out of stock  500.0 ms
          └─ GET /cart              480.0 ms
    cron (parent missing)             1.0 ms
    ");
}

#[test]
fn a_trace_looks_the_same_in_every_format() {
    let environment = Environment::new();
    let write = |name: &str, text: &str| fs::write(environment.home().join(name), text).unwrap();
    let lines = shop();
    write("lines.jsonl", &lines);
    let documents: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all: Vec<_> = documents.iter().flat_map(|line| line["resourceSpans"].as_array().unwrap().clone()).collect();
    let document = serde_json::json!({ "resourceSpans": all });
    write("document.json", &serde_json::to_string_pretty(&document).unwrap());
    write("jaeger-v3.json", &serde_json::json!({ "result": document }).to_string());
    let expected = stdout(&view(&environment, &["lines.jsonl"]).output().unwrap());
    for name in ["document.json", "jaeger-v3.json"] {
        assert_eq!(stdout(&view(&environment, &[name]).output().unwrap()), expected, "{name}");
    }
    let input = File::open(environment.home().join("lines.jsonl")).unwrap();
    assert_eq!(stdout(&view(&environment, &["-"]).stdin(input).output().unwrap()), expected);
    // By its id or a prefix of that.
    for id in [TRACE, "4bf9", "4BF92F35"] {
        assert_eq!(stdout(&view(&environment, &["lines.jsonl", id]).output().unwrap()), expected);
    }
}

#[test]
fn several_traces_are_listed_with_errors_first() {
    let environment = Environment::new();
    let other = line("0af7651916cd43dd8448eb211c80319c", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    fs::write(environment.home().join("t.jsonl"), format!("{other}\n{}", shop())).unwrap();
    let output = view(&environment, &["t.jsonl"]).env("COLUMNS", "110").output().unwrap();
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        format!("{TRACE}     1.00 s      6 spans  1 error  browser session  browser, shop")
    );
    assert_eq!(lines.next().unwrap(), "0af7651916cd43dd8448eb211c80319c     5.0 ms      1 span   nightly  job");
    let head = format!("\ntrace {TRACE}  2023-11-14T22:13:20.000Z  1.00 s  6 spans  1 error  browser, shop\n");
    assert!(text.contains(&head), "{text}");
    // Only a terminal gets a hint on what to do next.
    assert_eq!(stderr(&output), "");
}

#[test]
fn control_characters_are_escaped() {
    let environment = Environment::new();
    let evil = r"\u001b]0;owned\u0007\u202e\r\nnavtrace: fake";
    fs::write(environment.home().join("t.jsonl"), line(TRACE, evil, "x", &[("1", "", evil, 0, 5, "")])).unwrap();
    for colour in [false, true] {
        let mut command = view(&environment, &["t.jsonl"]);
        command.env("COLUMNS", "200");
        if colour {
            command.env("CLICOLOR_FORCE", "1");
        }
        let text = stdout(&command.output().unwrap());
        assert!(!text.contains("\x1b]") && !text.contains(['\x07', '\u{202e}', '\r']), "{text:?}");
        assert_eq!(text.contains("\x1b["), colour, "{text:?}");
        assert!(text.contains(r"\u{1b}]0;owned\u{7}\u{202e}\u{d}\u{a}navtrace: fake"), "{text}");
    }
    let mut command = view(&environment, &["t.jsonl"]);
    command.env("NO_COLOR", "1");
    assert!(!stdout(&command.output().unwrap()).contains('\x1b'));
}
