//! What the popup asks for, in a real browser: pause, a new trace, and choices for the session.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bench::{Bench, Run, logged, script_path, traceparent, turn};
use crate::spans::{Trace, is_unfinished};
use crate::support::collector::{attribute, hex, read_line, spans};
use crate::support::site::TraceParent;

/// A copy of the extension that has a page where the popup is.
fn extension(bench: &Bench) -> PathBuf {
    let copy = bench.environment.home().join("extension");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("extension");
    assert!(Command::new("cp").arg("-R").args([&source, &copy]).status().unwrap().success());
    fs::create_dir_all(copy.join("popup")).unwrap();
    fs::write(copy.join("popup/popup.html"), "<!doctype html><title>a page of the extension</title>").unwrap();
    copy
}

/// The contexts of a step's requests, of which there is at least one.
fn contexts(run: &Run, step: &str) -> Vec<TraceParent> {
    let requests = run.requests.iter().filter(|request| request.run.as_deref() == Some(step));
    let contexts: Vec<_> = requests.map(traceparent).collect();
    assert!(!contexts.is_empty(), "nothing was asked for in the step {step}");
    contexts
}

fn traces(run: &Run, step: &str) -> BTreeSet<String> {
    contexts(run, step).into_iter().map(|context| context.trace_id).collect()
}

/// Nothing of navtrace's goes with the requests of a step.
fn assert_bare(run: &Run, step: &str) {
    let requests: Vec<_> = run.requests.iter().filter(|request| request.run.as_deref() == Some(step)).collect();
    assert!(!requests.is_empty(), "nothing was asked for in the step {step}");
    for request in requests {
        assert_eq!(request.traceparent, [""; 0], "{step}: {}", request.path);
        assert_eq!(request.header("navtrace"), None, "{step}: {}", request.path);
    }
}

fn control(mode: &str) {
    let bench = Bench::new();
    let file = bench.environment.home().join("traces.jsonl");
    let mut command = bench.environment.navtrace(["run", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&file).args(["--", "node"]).arg(script_path("control.mjs")).stdin(Stdio::null());
    command.env("SITE", bench.site.main()).env("NAVTRACE_MODE", mode).env_remove("OTEL_TRACES_EXPORTER");
    command.env("NAVTRACE_EXTENSION", extension(&bench)).env("NAVTRACE_LINK", "http://jaeger.test/trace/{trace_id}");
    let run = bench.run(command);
    let said: Value = logged(&run.log, "CONTROL ").remove(0);
    let session = |n: usize| said["sessions"][n].as_str().unwrap().to_owned();
    let only = |n: usize| BTreeSet::from([session(n)]);

    // The view of the beginning.
    let first = &said["first"];
    assert_eq!(first["mode"], mode);
    assert_eq!(first["link"], "http://jaeger.test/trace/{trace_id}");
    assert_eq!(first["tab"]["traced"], true);
    let navigation = &first["tab"]["navigations"][0];
    assert!(navigation["url"].as_str().unwrap().contains("run=before"), "{navigation}");
    assert!(navigation["requests"].as_array().unwrap().len() >= 4, "{navigation}");
    assert_eq!(navigation["status"], 200);
    assert_eq!(traces(&run, "before"), only(0));

    // Paused, also by the next worker, and back again.
    assert_bare(&run, "paused");
    assert_bare(&run, "killed");
    assert_eq!(said["killed"]["paused"], true);
    assert_eq!(session(1), session(0));
    assert_eq!(traces(&run, "resumed"), only(0));

    // A new trace, also for the document that is there.
    assert_ne!(session(2), session(0));
    assert_eq!(traces(&run, "slow"), only(0));
    assert_eq!(traces(&run, "same-document"), only(2));
    assert_eq!(traces(&run, "new-trace"), only(2));

    // Choices, of which the next host learns too.
    assert_eq!(said["refusals"][0]["command"], "choose");
    let sentence = said["refusals"][0]["message"].as_str().unwrap();
    assert!(sentence.starts_with("\"shop\" is wrong"), "{sentence}");
    assert_bare(&run, "elsewhere");
    for step in ["unsampled", "reconnected"] {
        assert!(contexts(&run, step).iter().all(|context| context.flags & 1 == 0), "{step}");
        assert_eq!(traces(&run, step), only(3));
    }

    // Both traces are whole.
    let text = fs::read_to_string(&file).unwrap();
    let all: Vec<_> = text.lines().flat_map(|line| spans(&read_line(line))).collect();
    let before = Trace::of(&session(0), &all);
    let slow: Vec<_> = before.requests().filter(|span| attribute(span, "url.full").contains("/slow")).collect();
    assert!(slow.len() == 1 && !is_unfinished(slow[0]), "{slow:?}");
    let after = Trace::of(&session(2), &all);
    assert!(after.requests().any(|span| attribute(span, "url.full").contains("run=same-document")));
    let exported: BTreeSet<_> = all.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(exported, BTreeSet::from([session(0), session(2)]), "{}", run.log);
}

#[test]
fn the_popups_commands_hold_in_detailed_mode() {
    let _turn = turn();
    control("detailed");
}

#[test]
fn the_popups_commands_hold_in_lightweight_mode() {
    let _turn = turn();
    control("lightweight");
}
