//! The extension's own pages in a real browser: what they look like to people and to screen readers, and that what the popup shows and does is what
//! a server sees.
//!
//! Screenshots are kept in `target/tmp/popup`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::bench::{Bench, Run, logged, script_path, traceparent, turn};
use crate::navtrace::Environment;
use crate::support::collector::Collector;
use crate::support::site::TraceParent;

/// What the popup showed of a navigation.
#[derive(Debug, Deserialize)]
struct Shown {
    nav: String,
    #[serde(rename = "traceId")]
    trace_id: String,
}

/// The folder for screenshots.
fn shots() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("popup");
    fs::create_dir_all(&folder).unwrap();
    println!("screenshots: {}", folder.display());
    folder
}

/// Adds a script to a command that runs node.
fn script(bench: &Bench, mut command: Command, script: &str, what: &str) -> Command {
    command.arg(script_path(script)).arg(what).env("SHOTS", shots()).stdin(Stdio::null());
    command.env("SITE", bench.site.main()).env("OTHER", bench.site.other());
    command
}

/// A script in a browser of its own that has the extension and no host.
fn alone(bench: &Bench, name: &str, what: &str) -> Run {
    let mut command = bench.without_navtrace("node");
    command.env("EXTENSION", format!("{}/extension", env!("CARGO_MANIFEST_DIR")));
    bench.run(script(bench, command, name, what))
}

/// `navtrace run -- node popup-real.mjs WHAT`.
fn traced(bench: &Bench, what: &str, variables: &[(&str, String)]) -> Run {
    let command = bench.environment.navtrace(["run", "--", "node"]);
    let mut command = script(bench, command, "popup-real.mjs", what);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    bench.run(command)
}

impl Run {
    /// Every request of this navigation carries exactly one header, of one trace, which is the one that the popup showed.
    fn assert_shown(&self, nav: &str) -> TraceParent {
        let shown: BTreeMap<_, _> =
            logged::<Shown>(&self.log, "POPUP ").into_iter().map(|shown| (shown.nav, shown.trace_id)).collect();
        let headers: Vec<_> =
            self.requests.iter().filter(|request| request.nav.as_deref() == Some(nav)).map(traceparent).collect();
        assert!(!headers.is_empty(), "{nav}: no requests");
        for header in &headers {
            assert_eq!(header.trace_id, shown[nav], "{nav}");
        }
        headers.into_iter().next().unwrap()
    }

    /// No request of this navigation carries any header of a trace.
    fn assert_bare(&self, nav: &str) {
        let requests: Vec<_> = self.requests.iter().filter(|request| request.nav.as_deref() == Some(nav)).collect();
        assert!(!requests.is_empty(), "{nav}: no requests");
        for request in requests {
            assert_eq!(request.traceparent, [""; 0], "{nav}: {}", request.label());
        }
    }

    /// What the popup did without and with a host: paused, gone on, begun a new trace.
    fn assert_steered(&self) {
        let first = self.assert_shown("first");
        self.assert_bare("paused");
        let resumed = self.assert_shown("resumed");
        let renewed = self.assert_shown("renewed");
        assert_eq!(resumed.trace_id, first.trace_id, "pausing is no new trace");
        assert_ne!(renewed.trace_id, first.trace_id);
    }
}

#[test]
fn the_popup_says_its_state_to_everybody() {
    let _turn = turn();
    alone(&Bench::new(), "popup.mjs", "popup");
}

#[test]
fn the_options_page_stores_what_was_changed() {
    let _turn = turn();
    alone(&Bench::new(), "popup.mjs", "options");
}

#[test]
fn without_a_host_the_popup_says_so_and_steers() {
    let _turn = turn();
    alone(&Bench::new(), "popup-real.mjs", "alone").assert_steered();
}

/// In the mode, what the popup shows is what the server got, and what is chosen in it is what the server sees.
fn assert_the_popup_steers(mode: &str) {
    let _turn = turn();
    let (bench, collector) = (Bench::new(), Collector::start());
    let mut variables = Environment::exporting(&collector.endpoint()).to_vec();
    variables.extend([
        ("NAVTRACE_MODE", mode.to_owned()),
        ("NAVTRACE_LINK", "https://jaeger.example/trace/{trace_id}".to_owned()),
        ("NAVTRACE_TARGETS", format!("{}/*", bench.site.main())),
    ]);
    let run = traced(&bench, "traced", &variables);
    run.assert_steered();
    run.assert_bare("outside");
    run.assert_shown("chosen");
    run.assert_bare("no-longer");
    run.assert_shown("again");
    let unsampled = run.assert_shown("unsampled");
    assert_eq!(unsampled.flags & 1, 0, "sampled: {unsampled:?}");
    bench.assert_nothing_left();
}

#[test]
fn the_popup_steers_detailed_mode() {
    assert_the_popup_steers("detailed");
}

#[test]
fn the_popup_steers_lightweight_mode() {
    assert_the_popup_steers("lightweight");
}

#[test]
fn the_popup_tells_of_a_collector_that_is_down() {
    let _turn = turn();
    let (bench, collector) = (Bench::new(), Collector::down());
    let run = traced(&bench, "down", &Environment::exporting(&collector.endpoint()));
    run.assert_shown("first");
}

#[test]
fn what_the_options_page_saves_stands_in_the_file_and_holds() {
    let _turn = turn();
    let bench = Bench::new();
    let run = traced(&bench, "options", &[]);
    run.assert_shown("first");
    let file = bench.environment.home().join(".config/navtrace/config.toml");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!text.contains("jaeger.example"), "the setting is back to its default:\n{text}");
    bench.assert_nothing_left();
}
