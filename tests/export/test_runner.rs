//! Tests the spans of tests that a test runner reports, and what hosts learn of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use navtrace::testing::RUN_SOCKET;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::collector::{Behaviour, Collector, attribute, hex};
use crate::host::TestHost;
use crate::observations::{START, committed, completed, navigates};
use crate::setup::{ExportTest, exit_and_stderr};

/// A reporter's calls for two attempts of a test, of which the first fails, and a test whose end is never reported.
const CALLS: &str = r"
const { default: Reporter } = await import(process.env.PW_TEST_REPORTER);
const reporter = new Reporter();
reporter.onBegin();
const location = { file: '/tests/a.spec.js', line: 3 };
const test = { titlePath: () => ['', '', 'a.spec.js', 'buys'], location, expectedStatus: 'passed', tags: [], annotations: [] };
const results = ['failed', 'passed', 'passed'].map((status, retry) => (
  { workerIndex: retry, retry, startTime: new Date(1e12), duration: 500, status, errors: [], annotations: [] }));
for (const result of results) {
  reporter.onTestBegin(test, result);
  // The text of a page may have half a character.
  const step = { category: 'pw:api', title: 'Navigate', startTime: new Date(1e12), duration: 100, error: { message: 'no \ud83d' } };
  reporter.onStepBegin(test, result, step);
  if (result === results[2]) break;
  reporter.onStepEnd(test, result, step);
  reporter.onTestEnd(test, result);
}
await reporter.onEnd();
console.log(test.annotations.map(({ description }) => description).join(' '), process.env.PW_TEST_REPORTER === process.env.NAVTRACE_REPORTER);
";

/// Runs a reporter, and returns what it printed and what navtrace said.
fn run_reporter(test: &ExportTest, change: impl FnOnce(&mut Command)) -> (String, String) {
    run_script(test, CALLS, change)
}

fn run_script(test: &ExportTest, calls: &str, change: impl FnOnce(&mut Command)) -> (String, String) {
    let script = test.environment.home().join("calls.mjs");
    fs::write(&script, calls).unwrap();
    let browser = test.environment.program("chromium", "exit 9");
    let mut run = test.command(&["run", "--", "node"]);
    run.arg(script).env("NAVTRACE_BROWSER", browser);
    change(&mut run);
    let output = run.output().unwrap();
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    (printed, exit_and_stderr(&std::process::Output { stdout: Vec::new(), ..output }).1)
}

/// Returns the test's spans in their order, each followed by its steps, as `name<parent`.
fn tree(spans: &[Span]) -> Vec<String> {
    let name = |id: &[u8]| spans.iter().find(|span| span.span_id == id).map_or("-", |span| &span.name);
    let mut lines: Vec<_> = spans
        .iter()
        .map(|span| {
            let end = if attribute(span, "navtrace.unfinished") == "true" { " unfinished" } else { "" };
            format!("{} {}<{}{end}", attribute(span, "navtrace.test.retry"), span.name, name(&span.parent_span_id))
        })
        .collect();
    lines.sort();
    lines
}

const SPANS: [&str; 6] =
    [" Navigate<buys", " Navigate<buys", " Navigate<buys unfinished", "0 buys<-", "1 buys<-", "2 buys<- unfinished"];

#[test]
fn each_attempt_is_a_trace_and_the_reporter_learns_of_it() {
    let test = ExportTest::new();
    let (printed, log) = run_reporter(&test, |_| ());
    let spans = test.collector.spans();
    assert_eq!(tree(&spans), SPANS, "{log}");
    let id = |retry: &str| {
        let root = spans.iter().find(|span| attribute(span, "navtrace.test.retry") == retry).unwrap();
        hex(&root.trace_id)
    };
    // With a collector elsewhere there is no page to link to.
    assert_eq!(printed, format!("{} {} true\n", id("0"), id("1")));
    assert!(spans.iter().all(|span| !attribute(span, "code.file.path").is_empty() || span.name == "Navigate"));
}

#[test]
fn spans_of_tests_are_kept_while_the_collector_is_down() {
    let mut test = ExportTest::with(Collector::down());
    let (_, log) = run_reporter(&test, |_| ());
    assert_eq!(log.matches("the next traced browser or `navtrace flush` sends them").count(), 1, "{log}");
    assert_eq!(test.spooled_ids().len(), SPANS.len());
    test.collector.up();
    let (code, message) = test.flush();
    assert_eq!(code, 0, "{message}");
    assert_eq!(tree(&test.collector.spans()), SPANS);
}

#[test]
fn a_collector_that_refuses_the_spans_of_tests_is_named_once() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Refuses(400, None));
    let (_, log) = run_reporter(&test, |_| ());
    assert_eq!((log.matches("refused").count(), log.matches("spans of tests").count()), (1, 1), "{log}");
}

#[test]
fn a_reporter_of_the_user_is_left_alone() {
    let test = ExportTest::new();
    let other = test.environment.home().join("other.mjs");
    fs::write(&other, "export default class { onBegin() {} onTestBegin() {} onStepBegin() {} onStepEnd() {} onTestEnd() {} onEnd() {} }")
        .unwrap();
    let (printed, log) = run_reporter(&test, |run| {
        run.env("PW_TEST_REPORTER", &other);
    });
    assert_eq!(printed, " false\n");
    let expected =
        format!("navtrace: PW_TEST_REPORTER is set to {}, so Playwright Test does not load", other.display());
    // Said last, where the output of the tests can't hide it.
    let last = log.lines().next_back().unwrap();
    assert!(last.starts_with(&expected) && last.contains("process.env.NAVTRACE_REPORTER"), "{log}");
    assert_eq!(log.matches("PW_TEST_REPORTER").count(), 1, "{log}");
    assert_eq!(test.collector.spans(), []);

    // The configuration may name navtrace's reporter.
    let calls = CALLS.replace("PW_TEST_REPORTER);", "NAVTRACE_REPORTER);");
    let (_, log) = run_script(&test, &calls, |run| {
        run.env("PW_TEST_REPORTER", &other);
    });
    assert!(!log.contains("PW_TEST_REPORTER"), "{log}");
}

#[test]
fn where_no_test_ran_no_browser_is_missing() {
    let test = ExportTest::new();
    let calls = "const { default: Reporter } = await import(process.env.PW_TEST_REPORTER);
        const reporter = new Reporter({ _mode: 'list' });
        reporter.onBegin();
        await reporter.onEnd();";
    let (_, log) = run_script(&test, calls, |_| ());
    assert!(!log.contains("no browser was traced"), "{log}");
    let (_, log) = run_reporter(&test, |_| ());
    assert!(log.contains("no browser was traced"), "{log}");
}

/// The trace of the run.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// `navtrace run`, as a host sees it.
struct Runner(UnixListener);

impl Runner {
    /// Starts a host in the environment of a worker process, and answers the host's question.
    fn host(&self, test: &ExportTest) -> (TestHost, UnixStream) {
        let mut command = test.command(&[crate::setup::ORIGIN]);
        command.env(RUN_SOCKET, self.0.local_addr().unwrap().as_pathname().unwrap()).env("TEST_WORKER_INDEX", "3");
        command.env("TRACEPARENT", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let host = test.host_below_browser(&command);
        let (stream, _) = self.0.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let follow: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&follow["report"], &follow["worker"]), (&json!("follow-worker"), &json!(3)));
        let ancestors = follow["ancestors"].as_array().unwrap();
        assert_eq!(ancestors[..2], [host.browser(), std::process::id()], "{follow}");
        (host, stream)
    }
}

fn tell(mut stream: &UnixStream, notice: &Value) {
    stream.write_all(format!("{notice}\n").as_bytes()).unwrap();
}

#[test]
fn a_host_passes_the_test_on_and_puts_navigations_below_steps() {
    let test = ExportTest::new();
    let runner = Runner(UnixListener::bind(test.environment.home().join("socket")).unwrap());
    let (mut first, run) = runner.host(&test);
    let running = |span_id: &str| json!({"traceId": TRACE, "spanId": span_id, "flags": "01", "tracestate": ""});
    let message = |test: Value| json!({"v": 1, "type": "test", "test": test});
    let step = |id: &str, start: f64, end: Option<f64>| {
        let end = end.map(|end| START + end);
        json!({"notice": "step", "traceId": TRACE, "spanId": id, "start": START + start, "end": end})
    };
    // Told before the extension has a session, or after.
    tell(&run, &step("00000000000000b0", -50.0, None));
    tell(&run, &json!({"notice": "test", "test": running("00000000000000a1")}));
    let session = first.start_session();
    assert_eq!(first.answer(), message(running("00000000000000a1")));
    tell(&run, &json!({"notice": "test", "test": null}));
    assert_eq!(first.answer(), message(Value::Null));
    tell(&run, &json!({"notice": "test", "test": running("00000000000000a2")}));
    assert_eq!(first.answer(), message(running("00000000000000a2")));

    tell(&run, &step("00000000000000b1", 0.0, None));
    tell(&run, &step("00000000000000b2", 10.0, Some(20.0)));
    // Read after the steps.
    tell(&run, &json!({"notice": "test", "test": null}));
    assert_eq!(first.answer(), message(Value::Null));
    first.observe(&[navigates(-10.0, "0", 0xe1, 0xe0), completed(-9.0, "0", 200), committed(-8.0, 0xe0)]);
    first.observe(&[navigates(15.0, "1", 0xc1, 0xc0), completed(16.0, "1", 200), committed(17.0, 0xc0)]);
    // The next host knows the steps from the journal.
    first.kill();
    let (mut second, run) = runner.host(&test);
    second.resume(&session);
    second.continue_batches_of(&first);
    second.observe(&[navigates(40.0, "2", 0xd1, 0xd0), completed(41.0, "2", 200), committed(42.0, 0xd0)]);
    // Without the run, no test's end is known.
    tell(&run, &json!({"notice": "test", "test": running("00000000000000a3")}));
    assert_eq!(second.answer(), message(running("00000000000000a3")));
    drop(run);
    assert_eq!(second.answer(), message(Value::Null));
    first.kill_both();
    second.end();
    let spans = test.collector.spans();
    let parent = |id: &str| {
        let span = spans.iter().find(|span| hex(&span.span_id) == id).unwrap_or_else(|| panic!("{id} is missing"));
        hex(&span.parent_span_id)
    };
    assert_eq!(
        (parent("00000000000000e0"), parent("00000000000000c0"), parent("00000000000000d0")),
        ("00000000000000b0".into(), "00000000000000b2".into(), "00000000000000b1".into())
    );
    assert_eq!(parent("00000000000000c1"), "00000000000000c0");
}
