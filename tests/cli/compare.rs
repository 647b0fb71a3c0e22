//! Tests `navtrace compare`: differences that are more than noise, what explains them, and exit codes.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::process::Output;

use serde_json::Value;

use crate::navtrace::{Environment, stderr, stdout};

/// A generator that always gives the same numbers.
struct Random(u64);

impl Random {
    /// Returns a number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a made-up run is like. Times are in microseconds.
#[derive(Clone, Copy)]
struct Shop {
    seed: u64,
    traces: u64,
    /// How often an order asks for prices.
    price_calls: u64,
    /// How long a query takes at least.
    query: u64,
    /// One answer in so many fails.
    failures: u64,
}

const USUAL: Shop = Shop { seed: 1, traces: 150, price_calls: 1, query: 4000, failures: 1_000_000 };

impl Shop {
    /// Returns the lines of a run, in which each trace is a test that loads the cart and orders.
    fn lines(self) -> String {
        let mut random = Random(self.seed);
        let mut lines = String::new();
        for trace in 1..=self.traces {
            let mut at = trace * 10_000_000;
            let mut spans = [Vec::new(), Vec::new(), Vec::new()];
            let (mut id, start) = (1, at);
            for route in ["/cart", "/api/orders"] {
                id += 10;
                let (server, began) = (id, at);
                at += 2000 + random.below(2000);
                let query = self.query + random.below(self.query / 2);
                spans[1].push(span(self.seed, trace, id + 1, server, "client", "SELECT items", (at, at + query), ""));
                at += query;
                for _ in 0..if route == "/cart" { 1 } else { self.price_calls } {
                    id += 2;
                    let length = 4000 + random.below(2000);
                    let attributes = http("/prices");
                    spans[2].push(span(
                        self.seed,
                        trace,
                        id,
                        server,
                        "server",
                        "GET /prices",
                        (at, at + length),
                        &attributes,
                    ));
                    at += length;
                }
                at += 1000 + random.below(500);
                let failed = if random.below(self.failures) == 0 { r#","status":{"code":2}"# } else { "" };
                let name = format!("GET {route}");
                spans[1].push(span(self.seed, trace, server, 1, "server", &name, (began, at), &(http(route) + failed)));
            }
            let test = r#","attributes":[{"key":"test.case.name","value":{"stringValue":"orders a kettle"}}]"#;
            spans[0].push(span(self.seed, trace, 1, 0, "internal", "orders a kettle", (start, at + 500), test));
            for (service, spans) in ["browser", "shop", "pricing"].into_iter().zip(spans) {
                let _ = writeln!(
                    lines,
                    r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
                    spans.join(",")
                );
            }
        }
        lines
    }
}

fn http(route: &str) -> String {
    format!(
        r#","attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"http.route","value":{{"stringValue":"{route}"}}}}]"#
    )
}

#[allow(clippy::too_many_arguments)]
fn span(
    seed: u64,
    trace: u64,
    id: u64,
    parent: u64,
    kind: &str,
    name: &str,
    (start, end): (u64, u64),
    more: &str,
) -> String {
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    let nanos = |us: u64| 1_700_000_000_000_000_000 + us * 1000;
    format!(
        r#"{{"traceId":"{seed:016x}{trace:016x}","spanId":"{id:016x}","parentSpanId":"{parent}","name":"{name}","kind":"SPAN_KIND_{}","startTimeUnixNano":"{}","endTimeUnixNano":"{}"{more}}}"#,
        kind.to_uppercase(),
        nanos(start),
        nanos(end),
    )
}

fn compared(base: Shop, new: Shop, more: &[&str]) -> Output {
    let environment = Environment::new();
    fs::write(environment.home().join("base.jsonl"), base.lines()).unwrap();
    // The new run is in two files.
    let lines = new.lines();
    let middle = lines.len() / 2 + lines[lines.len() / 2..].find('\n').unwrap() + 1;
    fs::create_dir(environment.home().join("new")).unwrap();
    fs::write(environment.home().join("new/1.jsonl"), &lines[..middle]).unwrap();
    fs::write(environment.home().join("new/2.jsonl"), &lines[middle..]).unwrap();
    let args = [&["compare", "base.jsonl", "new"], more].concat();
    environment.navtrace(args).current_dir(environment.home()).output().unwrap()
}

#[test]
fn what_is_slower_is_explained_by_the_time_of_spans_below() {
    let output = compared(USUAL, Shop { seed: 2, price_calls: 12, ..USUAL }, &["--fail-on-slower", "10%"]);
    assert_eq!(output.status.code(), Some(99), "{}", stderr(&output));
    assert_eq!(stderr(&output), "navtrace: 2 are slower by 10 % or more\n");
    // The example of the documentation is the real one.
    let shown = include_str!("../../docs/check.md").split("```\nbase").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(stdout(&output), format!("base{shown}"));
    // The other way round it is faster, and nothing fails.
    let output =
        compared(Shop { price_calls: 12, ..USUAL }, Shop { seed: 2, ..USUAL }, &["--fail-on-slower", "10%", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((json["slower"].as_array().unwrap().len(), json["faster"].as_array().unwrap().len()), (0, 2));
    let order = json["faster"].as_array().unwrap().iter().find(|found| found["name"] == "GET /api/orders").unwrap();
    let reason = &order["reasons"][0];
    assert_eq!((&reason["service"], &reason["name"]), (&"pricing".into(), &"GET /prices".into()));
    assert_eq!((&reason["baseCalls"], &reason["newCalls"]), (&12.0.into(), &1.0.into()));
    assert!(order["p50"]["high"].as_f64().unwrap() < -40.0, "{order}");
}

#[test]
fn equal_runs_do_not_differ() {
    for seed in 3..8 {
        let output = compared(USUAL, Shop { seed, ..USUAL }, &["--fail-on-slower", "0%"]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.ends_with("\n\n5 without a difference, 0 with too few spans to tell\n"), "{text}");
    }
}

#[test]
fn a_slower_query_and_more_errors_are_found() {
    let output = compared(USUAL, Shop { seed: 2, query: 6000, failures: 5, ..USUAL }, &["--fail-on-slower", "90%"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "\nslower\n",
        "  client  shop  SELECT items  (300 -> 300 spans)\n",
        "by client  shop  SELECT items: own time",
        "\nmore errors\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn few_spans_tell_nothing_and_what_is_new_is_listed() {
    let few = Shop { traces: 4, ..USUAL };
    let output = compared(few, Shop { seed: 2, query: 90_000, price_calls: 0, ..few }, &[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.ends_with("\n0 without a difference, 5 with too few spans to tell\n"), "{text}");
    assert!(!text.contains("slower"), "{text}");

    let environment = Environment::new();
    fs::write(environment.home().join("a.jsonl"), few.lines()).unwrap();
    fs::write(environment.home().join("b.jsonl"), few.lines().replace("/cart", "/basket")).unwrap();
    let mut command = environment.navtrace(["compare", "a.jsonl", "b.jsonl"]);
    let text = stdout(&command.current_dir(environment.home()).output().unwrap());
    assert!(
        text.contains("\nonly in base\n  server  shop  GET /cart\n\nonly in new\n  server  shop  GET /basket\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_compared_is_explained() {
    let environment = Environment::new();
    fs::write(environment.home().join("a.jsonl"), USUAL.lines()).unwrap();
    fs::write(environment.home().join("evil.jsonl"), USUAL.lines().replace("/cart", r"\u001b[2J\u202e")).unwrap();
    let compare = |args: &[&str]| {
        let output =
            environment.navtrace([&["compare"], args].concat()).current_dir(environment.home()).output().unwrap();
        (output.status.code().unwrap(), stderr(&output).lines().next().unwrap_or_default().to_owned(), stdout(&output))
    };
    let (code, message, _) = compare(&["a.jsonl", "missing.jsonl"]);
    assert_eq!(
        (code, message.as_str()),
        (1, "navtrace: missing.jsonl can't be read: No such file or directory (os error 2)")
    );
    assert_eq!(compare(&["-", "-"]).1, "navtrace: standard input can't be both runs; name a file");
    let (code, message, _) = compare(&["a.jsonl", "a.jsonl", "--fail-on-slower", "fast"]);
    assert_eq!(
        (code, message.as_str()),
        (2, "error: invalid value 'fast' for '--fail-on-slower <PERCENT>': expected a percentage, such as 10%")
    );
    let (code, _, text) = compare(&["a.jsonl", "evil.jsonl"]);
    assert!(code == 0 && !text.contains('\x1b') && !text.contains('\u{202e}'), "{text:?}");
    assert!(text.contains(r"GET \u{1b}[2J\u{202e}"), "{text}");
}

/// Returns a run of so many traces of one span each, which takes at least `length` microseconds.
fn steady(seed: u64, traces: u64, route: &str, length: u64) -> String {
    let mut random = Random(seed);
    let of = |trace| {
        let times = (trace * 1_000_000, trace * 1_000_000 + length + random.below(500));
        span(seed, trace, 1, 0, "server", route, times, &http(route))
    };
    let spans: Vec<String> = (1..=traces).map(of).collect();
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

/// Compares two texts, and returns the exit code and both outputs.
fn compared_texts(base: &str, new: &str, more: &[&str]) -> (i32, String, String) {
    let environment = Environment::new();
    fs::write(environment.home().join("base.jsonl"), base).unwrap();
    fs::write(environment.home().join("new.jsonl"), new).unwrap();
    let args = [&["compare", "base.jsonl", "new.jsonl"], more].concat();
    let output = environment.navtrace(args).current_dir(environment.home()).output().unwrap();
    (output.status.code().unwrap(), stdout(&output), stderr(&output))
}

#[test]
fn a_small_difference_counts_if_it_is_to_fail() {
    let (base, new) = (steady(1, 200, "/cart", 100_000), steady(2, 200, "/cart", 103_000));
    for (limit, code, is_listed) in [("2%", 99, true), ("4%", 0, false), ("10%", 0, false)] {
        let (actual, text, errors) = compared_texts(&base, &new, &["--fail-on-slower", limit]);
        assert_eq!((actual, text.contains("\nslower\n")), (code, is_listed), "{limit}: {text}{errors}");
    }
}

#[test]
fn a_slower_tail_counts_though_the_median_is_faster() {
    let base = steady(1, 500, "/cart", 100_000);
    // One in ten is far longer, and the others are shorter.
    let new = steady(2, 450, "/cart", 80_000) + "\n" + &steady(3, 50, "/cart", 400_000);
    for (base, new, median) in [(&base, &new, "(-20 %)"), (&new, &base, "(+25 %)")] {
        let (code, text, errors) = compared_texts(base, new, &["--fail-on-slower", "10%"]);
        assert_eq!((code, errors.as_str()), (99, "navtrace: 1 is slower by 10 % or more\n"), "{text}");
        assert!(text.contains("\nslower\n") && !text.contains("\nfaster\n"), "{text}");
        assert!(text.contains(median) && text.contains("    p95 "), "{text}");
    }
    // Only the median is slower, and not by so much.
    assert_eq!(compared_texts(&new, &base, &["--fail-on-slower", "50%"]).0, 0);
}

#[test]
fn a_verdict_stays_if_the_comparison_cannot_be_printed() {
    let environment = Environment::new();
    for (name, length) in [("base.jsonl", 100_000), ("new.jsonl", 120_000)] {
        fs::write(environment.home().join(name), steady(length, 200, "/cart", length)).unwrap();
    }
    let mut command = environment.navtrace(["compare", "base.jsonl", "new.jsonl", "--fail-on-slower", "7%"]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.current_dir(environment.home()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(99));
    let sentences = "navtrace: 1 is slower by 7 % or more\n\
                     navtrace: standard output can't be written: No space left on device (os error 28)\n";
    assert_eq!(stderr(&output), sentences);
}

#[test]
fn a_comparison_of_nothing_says_so() {
    let few = steady(1, 4, "/cart", 1000);
    for (new, sentence) in [
        (steady(2, 4, "/cart", 9000), "everything in both runs has too few spans to tell"),
        (steady(2, 99, "/basket", 9000), "the runs have nothing in common that could be compared"),
    ] {
        let (code, _, errors) = compared_texts(&few, &new, &["--fail-on-slower", "5%"]);
        assert_eq!((code, errors), (0, format!("navtrace: {sentence}\n")));
    }
}

#[test]
fn impossible_durations_break_nothing() {
    // A start in milliseconds and an end in nanoseconds make it last for decades.
    let lines = steady(1, 20, "/cart", 1000).replace(r#""startTimeUnixNano":"1"#, r#""startTimeUnixNano":"0"#);
    let (code, text, errors) = compared_texts(&lines, &lines, &[]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    assert!(text.ends_with("\n1 without a difference, 0 with too few spans to tell\n"), "{text}");
}
