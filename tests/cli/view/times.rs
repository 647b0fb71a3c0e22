//! Tests times that can't be right: single spans, and services whose clock is off.

use std::fs;

use insta::assert_snapshot;

use super::{TRACE, line, stdout, view};
use crate::navtrace::{Environment, stderr};

const DAY: u64 = 86_400_000;

/// Returns standard output and standard error for a file.
fn shown(environment: &Environment, lines: &[String], options: &[&str]) -> (String, String) {
    fs::write(environment.home().join("t.jsonl"), lines.join("\n")).unwrap();
    let output = view(environment, &[&["t.jsonl"], options].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    (stdout(&output), stderr(&output))
}

fn browser() -> String {
    let spans = [
        ("1", "", "browser session", 0, 1000, ""),
        ("2", "1", "navigation", 10, 900, ""),
        ("3", "2", "GET /first", 20, 120, ""),
        ("4", "2", "GET /second", 300, 800, ""),
    ];
    line(TRACE, "browser", "x", &spans)
}

#[test]
fn a_time_that_can_not_be_right_is_drawn_at_the_parent() {
    let environment = Environment::new();
    let spans = [
        ("5", "4", "no start", 1, 790, ""),
        ("6", "4", "a year ahead", 365 * DAY, 365 * DAY + 200, ""),
        ("7", "6", "below that", 365 * DAY + 50, 365 * DAY + 150, ""),
        ("8", "4", "reversed", 500, 400, ""),
        ("9", "4", "no end", 500, 1, ""),
        ("a", "4", "endless", 500, 365 * DAY, ""),
    ];
    let nanos = |ms: u64| (1_700_000_000_000_000_000 + ms * 1_000_000).to_string();
    let broken = line(TRACE, "shop", "x", &spans);
    let broken = broken.replacen(&format!(r#""startTimeUnixNano":"{}""#, nanos(1)), r#""startTimeUnixNano":0"#, 1);
    let broken = broken.replacen(&format!(r#""endTimeUnixNano":"{}""#, nanos(1)), r#""endTimeUnixNano":null"#, 1);
    let (text, messages) = shown(&environment, &[browser(), broken], &[]);
    assert_snapshot!(text, @"
    trace 4bf92f3577b34da6a3ce929d0e0e4736  2023-11-14T22:13:20.000Z  1.00 s  10 spans  browser, shop
    browser session                               browser  ████████████████████████     1.00 s
    └─ navigation                                 browser  █████████████████████      890.0 ms
       ├─ GET /first                              browser  ██                         100.0 ms
       └─ GET /second                             browser         ████████████        500.0 ms
          ├─ no start (no start time)             shop            █                       0 µs
          ├─ a year ahead (365 d too late)        shop            █████               200.0 ms
          │  └─ below that                        shop             ██                 100.0 ms
          ├─ reversed (ends before it starts)     shop                 █                  0 µs
          ├─ no end (no end time)                 shop                 █                  0 µs
          └─ endless (lasts 365 d)                shop                 ███████        300.0 ms
    ");
    assert_eq!(messages, "navtrace: 5 spans have times that can't be right, and are drawn at their parents\n");
}

#[test]
fn a_list_of_traces_ignores_times_that_can_not_be_right() {
    let environment = Environment::new();
    let other = line("0af7651916cd43dd8448eb211c80319c", "job", "x", &[("1", "", "nightly", 0, 5, "")]);
    let far = line(TRACE, "shop", "x", &[("5", "4", "a year ahead", 365 * DAY, 365 * DAY + 200, "")]);
    let epoch = line(TRACE, "shop", "x", &[("6", "4", "no start", 77, 90, "")]);
    let epoch = epoch.replace("1700000000077000000", "0");
    let text = shown(&environment, &[far, epoch, browser(), other], &[]).0;
    let first = format!("{TRACE}     1.00 s      6 spans  browser session");
    assert!(text.starts_with(&first), "{text}");
}

/// Returns servers of both requests, whose clock is this much ahead.
fn servers(ahead: u64) -> String {
    let spans = [
        ("5", "3", "GET /first", 30 + ahead, 110 + ahead, ""),
        ("6", "4", "GET /second", 310 + ahead, 790 + ahead, ""),
        ("7", "6", "select", 320 + ahead, 350 + ahead, ""),
    ];
    line(TRACE, "shop", "x", &spans).replace(r#""kind":3"#, r#""kind":2"#)
}

#[test]
fn a_clock_that_is_off_is_said_and_can_be_corrected() {
    let environment = Environment::new();
    let (right, messages) = shown(&environment, &[browser(), servers(0)], &[]);
    assert_eq!(messages, "");
    for (ahead, amount) in [(5000, "5.00 s"), (365 * DAY, "365 d")] {
        let (_, messages) = shown(&environment, &[browser(), servers(ahead)], &[]);
        let sentence = format!(
            "navtrace: the clock of shop is {amount} ahead of that of browser: --correct-clocks shows its spans as if it were right\n"
        );
        assert!(messages.ends_with(&sentence), "{messages}");
        let (text, messages) = shown(&environment, &[browser(), servers(ahead)], &["--correct-clocks"]);
        assert_eq!(text, right);
        assert_eq!(
            messages,
            format!(
                "navtrace: the clock of shop is {amount} ahead of that of browser: its spans are shown as if it were right\n"
            )
        );
    }
}
