//! Tests the extension's own pages in a real browser: layout, accessibility, and that a server receives what the popup shows and does.
//!
//! Screenshots go to `target/tmp/popup`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::browser_test::{BrowserTest, Run, beside_others, logged, script_path, traceparent};
use crate::navtrace::Environment;
use crate::support::collector::Collector;
use crate::support::site::TraceParent;

/// The trace that the popup showed during a navigation.
#[derive(Debug, Deserialize)]
struct ShownTrace {
    nav: String,
    #[serde(rename = "traceId")]
    trace_id: String,
}

/// Makes the folder for screenshots.
fn screenshot_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("popup");
    fs::create_dir_all(&folder).unwrap();
    println!("screenshots: {}", folder.display());
    folder
}

/// Adds the arguments for a script to a command that runs node.
fn script(test: &BrowserTest, mut command: Command, script: &str, what: &str) -> Command {
    command.arg(script_path(script)).arg(what).env("SHOTS", screenshot_folder()).stdin(Stdio::null());
    command.env("SITE", test.site.main()).env("OTHER", test.site.other());
    command
}

/// Runs a script in a browser with the extension and without a host.
fn alone(test: &BrowserTest, name: &str, what: &str) -> Run {
    let mut command = test.without_navtrace("node");
    command.env("EXTENSION", format!("{}/extension", env!("CARGO_MANIFEST_DIR")));
    test.run(script(test, command, name, what))
}

/// Runs `navtrace run -- node popup-real.mjs WHAT`.
fn traced(test: &BrowserTest, what: &str, variables: &[(&str, String)]) -> Run {
    let command = test.environment.navtrace(["run", "--", "node"]);
    let mut command = script(test, command, "popup-real.mjs", what);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    test.run(command)
}

impl Run {
    /// Asserts that all requests of a navigation carry the trace that the popup showed, and returns the first context.
    fn assert_shown(&self, nav: &str) -> TraceParent {
        let shown: BTreeMap<_, _> =
            logged::<ShownTrace>(&self.log, "POPUP ").into_iter().map(|shown| (shown.nav, shown.trace_id)).collect();
        let headers: Vec<_> =
            self.requests.iter().filter(|request| request.nav.as_deref() == Some(nav)).map(traceparent).collect();
        assert!(!headers.is_empty(), "{nav}: no requests");
        for header in &headers {
            assert_eq!(header.trace_id, shown[nav], "{nav}");
        }
        headers.into_iter().next().unwrap()
    }

    /// Asserts that no request of a navigation carries a `traceparent`.
    fn assert_no_headers(&self, nav: &str) {
        let requests: Vec<_> = self.requests.iter().filter(|request| request.nav.as_deref() == Some(nav)).collect();
        assert!(!requests.is_empty(), "{nav}: no requests");
        for request in requests {
            assert_eq!(request.traceparent, [""; 0], "{nav}: {}", request.label());
        }
    }

    /// Asserts that the popup paused, resumed and began a new trace, which works with and without a host.
    fn assert_commands_worked(&self) {
        let first = self.assert_shown("first");
        self.assert_no_headers("paused");
        let resumed = self.assert_shown("resumed");
        let renewed = self.assert_shown("renewed");
        assert_eq!(resumed.trace_id, first.trace_id, "pausing is no new trace");
        assert_ne!(renewed.trace_id, first.trace_id);
    }
}

#[test]
fn the_popup_is_accessible_in_every_state() {
    let _guard = beside_others();
    alone(&BrowserTest::new(), "popup.mjs", "popup");
}

#[test]
fn the_options_page_stores_changes() {
    let _guard = beside_others();
    alone(&BrowserTest::new(), "popup.mjs", "options");
}

#[test]
fn the_popup_works_without_a_host() {
    let _guard = beside_others();
    alone(&BrowserTest::new(), "popup-real.mjs", "alone").assert_commands_worked();
}

/// Asserts that the server receives what the popup shows and what is chosen there.
fn assert_popup_controls(mode: &str) {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let mut variables = Environment::exporting(&collector.endpoint()).to_vec();
    variables.extend([
        ("NAVTRACE_MODE", mode.to_owned()),
        ("NAVTRACE_LINK", "https://jaeger.example/trace/{trace_id}".to_owned()),
        ("NAVTRACE_TARGETS", format!("{}/*", test.site.main())),
    ]);
    let run = traced(&test, "traced", &variables);
    run.assert_commands_worked();
    run.assert_no_headers("outside");
    run.assert_shown("chosen");
    run.assert_no_headers("no-longer");
    run.assert_shown("again");
    let unsampled = run.assert_shown("unsampled");
    assert_eq!(unsampled.flags & 1, 0, "sampled: {unsampled:?}");
    test.assert_nothing_left();
}

#[test]
fn the_popup_controls_detailed_mode() {
    assert_popup_controls("detailed");
}

#[test]
fn the_popup_controls_lightweight_mode() {
    assert_popup_controls("lightweight");
}

#[test]
fn the_popup_reports_a_collector_that_is_down() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::down());
    let run = traced(&test, "down", &Environment::exporting(&collector.endpoint()));
    run.assert_shown("first");
}

#[test]
fn the_options_page_writes_the_config_file() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = traced(&test, "options", &[]);
    run.assert_shown("first");
    let file = test.environment.home().join(".config/navtrace/config.toml");
    let content = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!content.contains("jaeger.example"), "the setting is back to its default:\n{content}");
    test.assert_nothing_left();
}
