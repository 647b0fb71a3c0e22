//! Tests the popup's commands in a real browser: pause, new trace, and choices for the session.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::browser_test::{BrowserTest, Run, beside_others, logged, traceparent};
use crate::spans::{Trace, is_unfinished};
use crate::support::collector::{attribute, hex};
use crate::support::site::{Recorded, TraceParent};

/// Copies the extension, with an empty page instead of the popup.
pub(crate) fn extension(test: &BrowserTest) -> PathBuf {
    let copy = test.environment.home().join("extension");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("extension");
    assert!(Command::new("cp").arg("-R").args([&source, &copy]).status().unwrap().success());
    fs::create_dir_all(copy.join("popup")).unwrap();
    fs::write(copy.join("popup/popup.html"), "<!doctype html><title>a page of the extension</title>").unwrap();
    copy
}

/// Returns the contexts of a step's requests, at least one.
fn contexts(run: &Run, step: &str) -> Vec<TraceParent> {
    let requests = run.requests.iter().filter(|request| request.run.as_deref() == Some(step));
    let contexts: Vec<_> = requests.map(traceparent).collect();
    assert!(!contexts.is_empty(), "nothing was asked for in the step {step}");
    contexts
}

fn traces(run: &Run, step: &str) -> BTreeSet<String> {
    contexts(run, step).into_iter().map(|context| context.trace_id).collect()
}

/// Asserts that the requests of a step carry no header of navtrace.
fn assert_no_headers(run: &Run, step: &str) {
    let requests: Vec<_> = run.requests.iter().filter(|request| request.run.as_deref() == Some(step)).collect();
    assert!(!requests.is_empty(), "nothing was asked for in the step {step}");
    for request in requests {
        assert_eq!(request.traceparent, [""; 0], "{step}: {}", request.path);
    }
}

fn control(mode: &str) {
    let test = BrowserTest::new();
    let mut command = test.collecting_from("control.mjs");
    command
        .env("NAVTRACE_MODE", mode)
        .env("NAVTRACE_EXTENSION", extension(&test))
        .env("NAVTRACE_LINK", "http://jaeger.test/trace/{trace_id}");
    let run = test.run(command);
    let steered = |request: &&Recorded| request.header("sec-ch-navtrace").is_some();
    assert_eq!(run.requests.iter().filter(steered).map(|request| &request.path).collect::<Vec<_>>(), [""; 0]);
    let logged_views: Value = logged(&run.log, "CONTROL ").remove(0);
    let session = |n: usize| logged_views["sessions"][n].as_str().unwrap().to_owned();
    let only = |n: usize| BTreeSet::from([session(n)]);

    // The first view.
    let first = &logged_views["first"];
    assert_eq!(first["mode"], mode);
    assert_eq!(first["link"], "http://jaeger.test/trace/{trace_id}");
    assert_eq!(first["tab"]["traced"], true);
    let navigation = &first["tab"]["navigations"][0];
    assert!(navigation["url"].as_str().unwrap().contains("run=before"), "{navigation}");
    assert!(navigation["requests"].as_array().unwrap().len() >= 4, "{navigation}");
    assert_eq!(navigation["status"], 200);
    assert_eq!(traces(&run, "before"), only(0));

    // The rule that keeps the record applies to no request, not even to its own domain.
    let asked: Vec<_> = run.requests.iter().filter(|request| request.run.as_deref() == Some("record")).collect();
    let domains: BTreeSet<_> = asked.iter().filter_map(|request| request.header("host")?.split(':').next()).collect();
    assert_eq!(domains, BTreeSet::from(["navtrace.invalid", "x.navtrace.invalid"]));
    assert!(asked.len() >= 16, "{asked:?}");
    let carriers: Vec<_> = run.requests.iter().filter(|request| request.header("navtrace-record").is_some()).collect();
    assert!(carriers.is_empty(), "{carriers:#?}");

    // Paused, also in the next worker, and resumed.
    assert_no_headers(&run, "paused");
    assert_no_headers(&run, "killed");
    assert_eq!(logged_views["killed"]["paused"], true);
    assert_eq!(session(1), session(0));
    assert_eq!(traces(&run, "resumed"), only(0));

    // A new trace, also for the open document.
    assert_ne!(session(2), session(0));
    assert_eq!(traces(&run, "slow"), only(0));
    assert_eq!(traces(&run, "same-document"), only(2));
    assert_eq!(traces(&run, "new-trace"), only(2));

    // Choices, which the next host follows too.
    assert_eq!(logged_views["refusals"][0]["command"], "choose");
    let sentence = logged_views["refusals"][0]["message"].as_str().unwrap();
    assert!(sentence.starts_with("\"shop\" is not a valid pattern"), "{sentence}");
    assert_no_headers(&run, "elsewhere");
    for step in ["unsampled", "reconnected"] {
        assert!(contexts(&run, step).iter().all(|context| context.flags & 1 == 0), "{step}");
        assert_eq!(traces(&run, step), only(3));
    }

    // Both traces are complete.
    let all = test.collected();
    let before = Trace::of(&session(0), &all);
    let slow: Vec<_> = before.requests().filter(|span| attribute(span, "url.full").contains("/slow")).collect();
    assert!(slow.len() == 1 && !is_unfinished(slow[0]), "{slow:?}");
    let after = Trace::of(&session(2), &all);
    assert!(after.requests().any(|span| attribute(span, "url.full").contains("run=same-document")));
    let exported: BTreeSet<_> = all.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(exported, BTreeSet::from([session(0), session(2)]), "{}", run.log);
}

#[test]
fn commands_of_the_popup_work_in_detailed_mode() {
    let _guard = beside_others();
    control("detailed");
}

#[test]
fn commands_of_the_popup_work_in_lightweight_mode() {
    let _guard = beside_others();
    control("lightweight");
}
