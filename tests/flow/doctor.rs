//! `navtrace doctor` with the real browser.

use crate::bench::turn;
use crate::navtrace::{Environment, stdout};

#[test]
fn every_link_holds() {
    let _turn = turn();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).output().unwrap();
    let words = stdout(&output);
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert_eq!(lines.len(), 7);
    assert!(lines.iter().all(|line| line.starts_with("ok    ")), "{words}");
    assert!(lines[5].ends_with("detailed: a span id for every request"), "{words}");
    assert!(lines[6].contains("the server received traceparent: 00-"), "{words}");
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn the_mode_that_was_chosen_is_named() {
    let _turn = turn();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_MODE", "lightweight").output().unwrap();
    let words = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("  lightweight, as NAVTRACE_MODE says: a span id for every navigation\n"), "{words}");
}

#[test]
fn a_program_that_is_no_browser_fails_where_it_breaks() {
    let _turn = turn();
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo Chromium 150; echo no display >&2; exit 1");
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_BROWSER", browser).output().unwrap();
    let words = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("FAIL  browser start    the browser ended at once: no display\n"), "{words}");
    assert!(words.contains("FAIL  page load        not tried, because the browser did not start\n"), "{words}");
}
