//! Tests the summary of `navtrace run`: what hosts report of requests and of the export.

use std::collections::HashSet;
use std::fs;

use navtrace::testing::{FailureKind, Observation};
use serde_json::json;

use crate::collector::{Behaviour, Collector, spans_in};
use crate::observations::{START, committed, completed, navigates, response, span_id, started};
use crate::setup::{ExportTest, ORIGIN, exit_and_stderr};

/// A hello with an existing session, so that the trace id is known.
const HELLO: &str = include_str!("../fixtures/messages/hello-resume.json");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Returns a redirected page load with a failure, a cache hit and an unfinished request: 6 finished requests, and 9 spans.
fn observations() -> Vec<Observation> {
    vec![
        navigates(0.0, "login?to=home", 0xa1, 0xa0),
        Observation::RequestRedirected {
            time: START + 5.0,
            request: "login?to=home".into(),
            response: response(302, false),
        },
        navigates(6.0, "login?to=home", 0xa2, 0xa0),
        completed(16.0, "login?to=home", 200),
        committed(20.0, 0xa0),
        started(21.0, "api/cart?user=1", 0xa3, Some(0xa0)),
        started(22.0, "style.css", 0xa4, Some(0xa0)),
        Observation::RequestCompleted {
            time: START + 23.0,
            request: "style.css".into(),
            response: response(200, true),
        },
        completed(1255.0, "api/cart?user=1", 200),
        started(1300.0, "missing.png", 0xa5, Some(0xa0)),
        completed(1301.0, "missing.png", 404),
        started(1302.0, "cancelled", 0xa6, Some(0xa0)),
        Observation::RequestFailed {
            time: START + 1303.0,
            request: "cancelled".into(),
            error: "net::ERR_ABORTED".into(),
            kind: FailureKind::Cancelled,
            span_id: span_id(0xff),
            parent: None,
            method: "GET".into(),
            url: "http://shop.test/cancelled".into(),
            resource: "script".into(),
        },
        started(1304.0, "open", 0xa7, Some(0xa0)),
    ]
}

/// The shell is the browser. It exits once its host has answered.
const BROWSER: &str = r#""$0" "$1" <"$2" >"$3" & while [ ! -s "$3" ]; do sleep 0.01; done; exit 7"#;

/// Runs a command that stands in for a browser. Returns the exit code and the lines of navtrace, in which durations are replaced by `N s`.
fn run(test: &ExportTest, hello: &str, observations: &[Observation]) -> (i32, Vec<String>) {
    run_browser(test, BROWSER, hello, observations, &["run", "--"])
}

fn run_browser(
    test: &ExportTest,
    script: &str,
    hello: &str,
    observations: &[Observation],
    arguments: &[&str],
) -> (i32, Vec<String>) {
    let observed = json!({
        "v": 1, "type": "observed", "worker": "w", "number": 1, "dropped": 0, "observations": observations,
    });
    let armed = r#"{"v":1,"type":"armed","mode":"detailed"}"#;
    let bodies = [hello.trim_end().to_owned(), armed.to_owned(), observed.to_string()];
    let frames =
        bodies.iter().flat_map(|body| [&u32::try_from(body.len()).unwrap().to_ne_bytes(), body.as_bytes()].concat());
    let (input, output) = (test.environment.home().join("frames"), test.environment.home().join("answers"));
    fs::write(&input, frames.collect::<Vec<u8>>()).unwrap();
    let _ = fs::remove_file(&output);
    let browser = test.environment.program("chromium", "exit 9");
    let mut run = test.command(arguments);
    run.args(["sh", "-c", script, env!("CARGO_BIN_EXE_navtrace"), ORIGIN]);
    run.args([&input, &output]).env("NAVTRACE_BROWSER", browser);
    if arguments.contains(&"--output") {
        run.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    let (code, message) = exit_and_stderr(&run.output().unwrap());
    let is_duration = |part: &str| part.strip_suffix(" s").is_some_and(|number| number.parse::<f64>().is_ok());
    // The host's own log is on the same standard error.
    let ours = |line: &&str| line.starts_with("navtrace: ") && !line.contains("--no-sandbox");
    let lines = message.lines().filter(ours).map(|line| {
        let parts = line.split("  ").map(|part| if is_duration(part) { "N s" } else { part });
        parts.collect::<Vec<_>>().join("  ")
    });
    assert_eq!(test.environment.left_behind(), [""; 0]);
    (code, lines.collect())
}

/// Returns the line of the trace in the summary.
fn line(exported: &str) -> String {
    format!(
        "navtrace:   {TRACE}  1 navigation  6 requests  1 failed  1 from cache  N s  slowest 1234 ms GET /api/cart  detailed mode  {exported}"
    )
}

/// Returns the recommendation after it.
fn hint() -> String {
    "navtrace: 4 of 6 requests were for scripts, styles, images and the like; NAVTRACE_RESOURCES=calls gives spans only to the rest, and costs less"
        .to_owned()
}

#[test]
fn a_trace_is_summarized_with_its_spans() {
    let test = ExportTest::new();
    let expected = ["navtrace: 1 trace".to_owned(), line("9 spans exported"), hint()];
    assert_eq!(run(&test, HELLO, &observations()), (7, expected.to_vec()));
    assert_eq!(test.collector.spans().len(), 9);
}

#[test]
fn kept_spans_are_reported_with_the_reason() {
    let mut test = ExportTest::with(Collector::down());
    let (code, lines) = run(&test, HELLO, &observations());
    let start = format!("navtrace: spans can't be sent to {}: ", test.target());
    let end = "; they are kept, and the next traced browser or `navtrace flush` sends them";
    assert!(lines[0].starts_with(&start) && lines[0].ends_with(end), "{lines:?}");
    assert_eq!((code, &lines[1..]), (7, &["navtrace: 1 trace".to_owned(), line("9 spans kept for later"), hint()][..]));
    test.collector.up();
    assert_eq!(test.flush(), (0, format!("navtrace: 9 spans sent to {}\n", test.target())));
}

#[test]
fn refused_and_rejected_spans_are_reported() {
    // The number of spans in a request depends on whether the host sees the end of the browser before or after it.
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Refuses(400, None));
    let (code, lines) = run(&test, HELLO, &observations());
    let start = format!("navtrace: the collector at {} refused ", test.target());
    let end = " spans, which are dropped: 400 Bad Request: not now";
    assert!(lines[0].starts_with(&start) && lines[0].ends_with(end), "{lines:?}");
    assert_eq!((code, &lines[1..]), (7, &["navtrace: 1 trace".to_owned(), line("9 spans refused"), hint()][..]));

    let test = ExportTest::new();
    test.collector.behave(Behaviour::Rejects(1));
    let (code, lines) = run(&test, HELLO, &observations());
    let start = format!("navtrace: the collector at {} rejected 1 of ", test.target());
    assert!(lines[0].starts_with(&start) && lines[0].ends_with(" spans: too old"), "{lines:?}");
    let requests = test.collector.arrived().len();
    let exported = match requests {
        1 => "8 spans exported, 1 span refused".to_owned(),
        _ => format!("{} spans exported, {requests} spans refused", 9 - requests),
    };
    assert_eq!((code, &lines[1..]), (7, &["navtrace: 1 trace".to_owned(), line(&exported), hint()][..]));
}

#[test]
fn a_trace_is_summarized_without_an_export() {
    let expected = |why| (7, vec!["navtrace: 1 trace".to_owned(), line(why), hint()]);
    let test = ExportTest::new().set("OTEL_TRACES_EXPORTER", "none");
    assert_eq!(run(&test, HELLO, &observations()), expected("nothing exported"));
    // An unsampled session is not exported either.
    let test = ExportTest::new();
    let unsampled = HELLO.replace(r#""flags":"01""#, r#""flags":"00""#);
    assert_ne!(unsampled, HELLO);
    assert_eq!(run(&test, &unsampled, &observations()), expected("not sampled"));
    assert!(test.collector.arrived().is_empty());
}

#[test]
fn an_idle_browser_is_summarized() {
    let test = ExportTest::new();
    let (code, lines) = run(&test, HELLO, &[]);
    assert_eq!((code, lines[0].as_str()), (7, "navtrace: 1 trace"));
    // An empty batch is enough for a root span.
    let rest = "0 navigations  no requests observed  N s  detailed mode  1 span exported";
    assert_eq!(lines[1..], [format!("navtrace:   {TRACE}  {rest}")]);
}

#[test]
fn ignored_settings_are_reported_first() {
    let test = ExportTest::new().set("OTEL_EXPORTER_OTLP_PROTOCOL", "http").set("OTEL_BSP_MAX_QUEUE_SIZE", "many");
    let (code, lines) = run(&test, HELLO, &observations());
    assert_eq!(code, 7);
    assert_eq!(
        lines,
        [
            "navtrace: OTEL_EXPORTER_OTLP_PROTOCOL=http is ignored: expected http/protobuf or http/json or grpc"
                .to_owned(),
            "navtrace: OTEL_BSP_MAX_QUEUE_SIZE=many is ignored: expected a whole number".to_owned(),
            "navtrace: 1 trace".to_owned(),
            line("9 spans exported"),
            hint(),
        ]
    );
}

#[test]
fn spans_of_a_killed_browser_are_collected_by_its_run() {
    let test = ExportTest::new();
    // Both end at once, when the observations are stored.
    let killed = r#""$0" "$1" <"$2" >"$3" & while ! grep -q received "$3"; do sleep 0.01; done; kill -9 $! $$"#;
    let file = |name: &str| test.environment.home().join(name).into_os_string().into_string().unwrap();
    // A batch whose answer the host did not live to see is sent again, so a span may be there twice.
    let spans = |name: &str| {
        let spans = spans_in(&fs::read_to_string(file(name)).unwrap_or_default());
        spans.into_iter().map(|span| span.span_id).collect::<HashSet<_>>().len()
    };
    run_browser(&test, killed, HELLO, &observations(), &["run", "--output", &file("first"), "--"]);
    let next = HELLO.replace(TRACE, "0af7651916cd43dd8448eb211c80319c");
    run_browser(&test, BROWSER, &next, &observations(), &["run", "--output", &file("second"), "--"]);
    assert_eq!((spans("first"), spans("second")), (9, 9));
}
