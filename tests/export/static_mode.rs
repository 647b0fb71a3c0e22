//! Tests that the root span of a browser in static mode is exported by the launcher's own process, however the browser ends.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::collector::{Collector, hex, read_line, spans, value};
use crate::setup::{ExportTest, TIMEOUT, exit_and_stderr, is_locked, wait_until};

/// Keeps a copy of the rules, so that a test knows the context that requests carry.
const KEEP_RULES: &str =
    r#"for arg; do case "$arg" in --load-extension=*) cp "${arg#*=}/rules.json" "$HOME/rules";; esac; done"#;

/// Returns the command of a launch in static mode of a script that stands in for the browser.
fn launch(test: &ExportTest, script: &str) -> Command {
    let browser = test.environment.program("chromium", &format!("{KEEP_RULES}; {script}"));
    let mut command = test.command(&["launch", "--no-sandbox"]);
    command.env("NAVTRACE_BROWSER", browser).env("NAVTRACE_MODE", "static");
    command
}

/// Returns the `traceparent` that requests carry.
fn carried(test: &ExportTest) -> String {
    let rules = fs::read_to_string(test.environment.home().join("rules")).unwrap();
    let rules: serde_json::Value = serde_json::from_str(&rules).unwrap();
    rules[0]["action"]["requestHeaders"][0]["value"].as_str().unwrap().to_owned()
}

fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-{:02x}", hex(&span.trace_id), hex(&span.span_id), span.flags & 0xff)
}

/// Waits until no process of the launch and no temporary file is left.
fn wait_gone(test: &ExportTest) {
    let deadline = Instant::now() + TIMEOUT;
    while !(test.environment.processes().is_empty() && test.environment.left_behind().is_empty()) {
        let left = (test.environment.processes(), test.environment.left_behind());
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a browser that runs until it is killed, and returns once its session is in the journal.
fn running(test: &ExportTest) -> Child {
    let child =
        launch(test, r#"touch "$HOME/started"; exec sleep 60"#).process_group(0).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + TIMEOUT;
    let is_started = || test.environment.home().join("started").exists();
    while !is_started()
        || !test.journals().iter().any(|journal| fs::read_to_string(journal).unwrap_or_default().lines().count() == 2)
    {
        assert!(Instant::now() < deadline, "there is no journal");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn the_root_span_has_the_context_that_requests_carry() {
    let test = ExportTest::new().set("OTEL_SERVICE_NAME", "checkout-tests");
    let before = nanos(SystemTime::now());
    assert!(launch(&test, "sleep 0.3").status().unwrap().success());
    wait_gone(&test);
    let spans = test.collector.spans();
    let [root] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((root.name.as_str(), traceparent(root)), ("browser session", carried(&test)));
    assert!(root.parent_span_id.is_empty());
    let duration = root.end_time_unix_nano - root.start_time_unix_nano;
    assert!(root.start_time_unix_nano >= before && duration >= 250_000_000, "{root:?}");
    let resource = test.collector.arrived()[0].request.resource_spans[0].resource.clone().unwrap();
    assert_eq!(value(&resource.attributes, "service.name"), "checkout-tests");
    // The script's interpreter, not the launcher.
    assert!(value(&resource.attributes, "process.executable.name").ends_with("sh"), "{resource:?}");
    assert_eq!(value(&resource.attributes, "browser.brands"), "");
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn the_root_span_is_below_the_parent_of_the_environment() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let test = ExportTest::new().set("TRACEPARENT", parent).set("TRACESTATE", "a=1");
    assert!(launch(&test, "true").status().unwrap().success());
    let root = &test.wait_for_spans(1)[0];
    assert_eq!(hex(&root.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((hex(&root.parent_span_id).as_str(), root.trace_state.as_str()), ("00f067aa0ba902b7", "a=1"));
    assert_eq!(carried(&test), traceparent(root));
    wait_gone(&test);
}

#[test]
fn a_session_may_link_to_the_context_of_the_environment() {
    let parent = |flags: &str| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    let test = ExportTest::new().set("TRACEPARENT", &parent("01")).set("NAVTRACE_PARENT", "link");
    assert!(launch(&test, "true").status().unwrap().success());
    let root = &test.wait_for_spans(1)[0];
    assert_eq!(
        (hex(&root.parent_span_id), root.trace_state.as_str(), carried(&test)),
        (String::new(), "", traceparent(root))
    );
    assert_ne!(hex(&root.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    let links: Vec<_> = root.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
    assert_eq!(links, [("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), "00f067aa0ba902b7".to_owned())]);
    wait_gone(&test);
    // A run that is not sampled has no sampled sessions.
    let test = ExportTest::new().set("TRACEPARENT", &parent("00")).set("NAVTRACE_PARENT", "link");
    assert!(launch(&test, "true").status().unwrap().success());
    assert!(carried(&test).ends_with("-00"), "{}", carried(&test));
    wait_gone(&test);
    assert_eq!(test.collector.spans(), []);
}

/// Runs a command that starts two browsers, the second one without the environment, and returns the attributes of their resources.
fn resources_of_a_run(test: &ExportTest, program: &str, arguments: &[&str]) -> Vec<Vec<KeyValue>> {
    let browser = test.environment.program("chromium", KEEP_RULES);
    let script =
        r#""$CHROME_BIN" --no-sandbox; env -i HOME="$HOME" TMPDIR="$TMPDIR" PATH="$PATH" "$CHROME_BIN" --no-sandbox"#;
    let command = test.environment.program(program, script);
    let mut run = test.command(&[&["run", "--mode", "static"], arguments, &["--"]].concat());
    let output = run.arg(command).env("NAVTRACE_BROWSER", browser).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    wait_gone(test);
    let arrived = test.collector.arrived();
    let of = arrived.iter().flat_map(|request| &request.request.resource_spans);
    of.map(|spans| spans.resource.clone().unwrap().attributes).collect()
}

#[test]
fn browsers_of_a_run_share_its_id() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    for (variables, arguments, id, attempt) in [
        (&[][..], &[][..], "", ""),
        (&[("TRACEPARENT", parent.as_str())], &[], trace, ""),
        (
            &[("TRACEPARENT", parent.as_str()), ("NAVTRACE_RUN_ID", "nightly 7")],
            &["--run-attempt", "2"],
            "nightly 7",
            "2",
        ),
        (&[("OTEL_RESOURCE_ATTRIBUTES", "navtrace.run.id=mine")], &["--run-id", "other"], "mine", ""),
    ] {
        let test = variables.iter().fold(ExportTest::new(), |test, (name, value)| test.set(name, value));
        let resources = resources_of_a_run(&test, "k6-custom", arguments);
        assert_eq!(resources.len(), 2, "{resources:?}");
        let of = |key: &str| resources.iter().map(|attributes| value(attributes, key)).collect::<Vec<_>>();
        let ids = of("navtrace.run.id");
        let is_random = id.is_empty() && ids[0].len() == 32 && ids[0].bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(ids[0] == ids[1] && (ids[0] == id || is_random), "{ids:?}");
        assert_eq!(of("navtrace.run.attempt"), [attempt; 2]);
        assert!(of("host.name").iter().all(|name| !name.is_empty()));
        // k6 has many iterations, which would be too much for one trace.
        let traces: BTreeSet<_> = test.collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
        assert!(traces.len() == 2 && !traces.contains(trace), "{traces:?}");
    }
    // Other programs, and k6 if the user wants it, are part of the trace.
    for (program, arguments) in [("tests", &[][..]), ("k6", &["--parent", "join"])] {
        let test = ExportTest::new().set("TRACEPARENT", &parent);
        resources_of_a_run(&test, program, arguments);
        assert!(test.collector.spans().iter().all(|span| hex(&span.trace_id) == trace), "{program}");
    }
}

#[test]
fn a_browser_killed_with_its_group_has_its_root_span() {
    let test = ExportTest::new();
    let mut child = running(&test);
    kill_process_group(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::KILL).unwrap();
    child.wait().unwrap();
    let spans = test.wait_for_spans(1);
    assert_eq!(traceparent(&spans[0]), carried(&test));
    wait_gone(&test);
    assert_eq!((test.collector.spans().len(), test.journals().len()), (1, 0));
}

#[test]
fn a_root_span_that_cannot_be_sent_is_kept() {
    let mut test = ExportTest::with(Collector::down());
    assert!(launch(&test, "true").status().unwrap().success());
    wait_gone(&test);
    let kept: Vec<_> =
        test.spooled().iter().flat_map(|file| spans(&read_line(&fs::read_to_string(file).unwrap()))).collect();
    assert_eq!(kept.iter().map(traceparent).collect::<Vec<_>>(), [carried(&test)]);
    test.collector.up();
    // The next browser sends it while it runs.
    assert!(launch(&test, "sleep 1").status().unwrap().success());
    test.wait_for_spans(2);
    wait_gone(&test);
    assert_eq!((test.spooled().len(), test.journals().len()), (0, 0));
}

#[test]
fn a_watcher_that_is_killed_too_loses_nothing() {
    let test = ExportTest::new();
    let mut child = running(&test);
    for process in test.environment.processes() {
        let id = process.split(' ').next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
    }
    child.wait().unwrap();
    let journals = test.journals();
    let [journal] = journals.as_slice() else { panic!("{journals:?}") };
    // A process that is killed keeps its locks for a moment after its parent has seen its end.
    wait_until("the watcher has ended", || !is_locked(journal));
    let (code, message) = test.flush();
    assert_eq!((code, message), (0, format!("navtrace: 1 span sent to {}\n", test.target())));
    assert_eq!(traceparent(&test.collector.spans()[0]), carried(&test));
}

#[test]
fn nothing_is_exported_where_nothing_is_sampled_or_wanted() {
    for (name, value) in [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_TRACES_EXPORTER", "none")] {
        let test = ExportTest::new().set(name, value);
        assert!(launch(&test, "true").status().unwrap().success());
        wait_gone(&test);
        assert!(test.collector.arrived().is_empty(), "{name}={value}");
        let flags = &carried(&test)[53..];
        assert_eq!(flags, if name == "OTEL_TRACES_SAMPLER" { "00" } else { "01" });
        let leftovers = test.state_dir().exists().then(|| test.journals().len() + test.spooled().len());
        assert_eq!(leftovers.unwrap_or_default(), 0);
    }
}

/// Runs `navtrace run` with a command that starts the browser once. Returns the lines of navtrace, in which durations are replaced by `N s`.
fn run(test: &ExportTest) -> Vec<String> {
    let browser = test.environment.program("chromium", &format!("{KEEP_RULES}; sleep 0.1"));
    let mut command = test.command(&["run", "--", "sh", "-c", r#""$CHROME_BIN" --no-sandbox"#]);
    command.env("NAVTRACE_BROWSER", browser).env("NAVTRACE_MODE", "static");
    let (code, message) = exit_and_stderr(&command.output().unwrap());
    assert_eq!(code, 0, "{message}");
    let is_duration = |part: &str| part.strip_suffix(" s").is_some_and(|number| number.parse::<f64>().is_ok());
    let lines = message.lines().filter(|line| line.starts_with("navtrace: ") && !line.contains("--no-sandbox"));
    let lines = lines.map(|line| {
        let parts = line.split("  ").map(|part| if is_duration(part) { "N s" } else { part });
        parts.collect::<Vec<_>>().join("  ")
    });
    lines.collect()
}

#[test]
fn the_summary_says_what_static_mode_leaves_out() {
    for (name, value, exported) in [
        ("OTEL_TRACES_SAMPLER", "always_on", "1 span exported"),
        ("OTEL_TRACES_SAMPLER", "always_off", "not sampled"),
        ("OTEL_TRACES_EXPORTER", "none", "nothing exported"),
    ] {
        let test = ExportTest::new().set(name, value);
        let lines = run(&test);
        let id = carried(&test)[3..35].to_owned();
        let line = format!("navtrace:   {id}  N s  static mode: navigations and requests have no spans  {exported}");
        assert_eq!(lines, ["navtrace: 1 trace".to_owned(), line]);
        wait_gone(&test);
    }
}
