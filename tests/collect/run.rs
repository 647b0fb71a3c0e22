//! Tests the collector of `navtrace run` with a command whose services export to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::collector::{JSON, request, spans};
use crate::navtrace::{Environment, stderr, stdout};

/// Posts a file to the endpoint in the environment, as a service's exporter would.
pub(crate) const SERVICE: &str = r"
const body = require('node:fs').readFileSync(process.argv[1]);
const headers = { 'content-type': 'application/json' };
fetch(`${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`, { method: 'POST', headers, body }).then((answer) => {
  console.log(answer.status, process.env.OTEL_EXPORTER_OTLP_PROTOCOL, process.env.OTEL_BSP_SCHEDULE_DELAY);
  process.exitCode = 5;
});
";

pub(crate) fn run(environment: &Environment, options: &[&str], command: &[&str]) -> std::process::Command {
    let browser = environment.program("chromium", "exit 9");
    let mut run = environment.navtrace([&["run"], options, &["--"], command].concat());
    run.env("NAVTRACE_BROWSER", browser).env_remove("OTEL_TRACES_EXPORTER");
    run
}

#[test]
fn services_of_the_command_export_to_the_collector() {
    let environment = Environment::new();
    let body = environment.home().join("body.json");
    fs::write(&body, serde_json::to_vec(&request("shop", 0, 4)).unwrap()).unwrap();
    let output = environment.home().join("my traces.jsonl");
    let output = output.to_str().unwrap();
    let options = ["--listen", "127.0.0.1:0", "--output", output];
    let ran = run(&environment, &options, &["node", "-e", SERVICE, body.to_str().unwrap()]).output().unwrap();
    let messages = stderr(&ran);
    assert_eq!(ran.status.code(), Some(5), "{messages}");
    assert_eq!(stdout(&ran), "200 http/protobuf 500\n");
    assert_eq!(spans(&fs::read_to_string(output).unwrap()).len(), 4);
    assert!(messages.contains("navtrace: spans are collected at http://127.0.0.1:"), "{messages}");
    assert!(messages.contains("navtrace: 1 trace more, without a browser of this run\n"), "{messages}");
    assert!(
        messages.contains(&format!("navtrace: 4 spans in {output}; to see them: navtrace view '{output}'\n")),
        "{messages}"
    );
    assert_eq!(environment.left_behind(), [""; 0]);
    assert!(!messages.contains(JSON));
}

#[test]
fn nothing_is_collected_with_another_endpoint_or_none() {
    let environment = Environment::new();
    for (name, value, reason) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://collector.test:4318",
            "spans go to http://collector.test:4318/v1/traces: unset OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        (
            "OTEL_TRACES_EXPORTER",
            "none",
            "the export is switched off: unset OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED",
        ),
    ] {
        let script = "echo ${OTEL_EXPORTER_OTLP_ENDPOINT-unset}";
        let ran = run(&environment, &[], &["sh", "-c", script]).env(name, value).output().unwrap();
        let endpoint = if name == "OTEL_EXPORTER_OTLP_ENDPOINT" { value } else { "unset" };
        assert_eq!((ran.status.code(), stdout(&ran)), (Some(0), format!("{endpoint}\n")));
        assert!(!stderr(&ran).contains("collected"), "{}", stderr(&ran));
        for option in [["--output", "x.jsonl"], ["--listen", "127.0.0.1:0"]] {
            let ran = run(&environment, &option, &["echo", "started"]).env(name, value).output().unwrap();
            assert_eq!((ran.status.code(), stdout(&ran)), (Some(2), String::new()));
            let sentence = format!("navtrace: {} can't be used while {reason}\n", option[0]);
            assert!(stderr(&ran).ends_with(&sentence), "{}", stderr(&ran));
        }
    }
}

#[test]
fn a_missing_command_leaves_no_file() {
    let environment = Environment::new();
    let ran = run(&environment, &["--listen", "127.0.0.1:0"], &["no-such-program"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(127));
    assert_eq!(fs::read_dir(environment.home().join(".local/state/navtrace/traces")).unwrap().count(), 0);
}

#[test]
fn spans_survive_ctrl_c() {
    let environment = Environment::new();
    let body = environment.home().join("body.json");
    fs::write(&body, serde_json::to_vec(&request("shop", 0, 4)).unwrap()).unwrap();
    let output = environment.home().join("traces.jsonl");
    let script = format!("node -e '{}' \"$0\"; echo sent; exec sleep 60", SERVICE.replace('\'', "\""));
    let options = ["--listen", "127.0.0.1:0", "--output", output.to_str().unwrap()];
    let mut child = run(&environment, &options, &["sh", "-c", &script, body.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.into_iter().any(|line| line == "sent"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let messages = stderr(&ended);
    assert_eq!(ended.status.code(), Some(130), "{messages}");
    assert!(messages.contains(&format!("navtrace: 4 spans in {}; ", output.display())), "{messages}");
    assert_eq!(spans(&fs::read_to_string(output).unwrap()).len(), 4);
    assert_eq!(environment.left_behind(), [""; 0]);
}

/// Posts two requests as a browser's host does, and what the service below the first has sent. With the argument `late`, another process stays
/// behind, as a service does, and sends the span below the second after its batch delay.
const BATCHING: &str = r"
const [late] = process.argv.slice(1);
const now = Date.now();
const text = (key, stringValue) => ({ key, value: { stringValue } });
const id = (number) => `${number}`.padStart(16, '0');
const requestOf = (service, scope, spans) => JSON.stringify({ resourceSpans: [{
  resource: { attributes: [text('service.name', service)] },
  scopeSpans: [{ scope: { name: scope }, spans: spans.map((span) => ({ traceId: `${id(0)}${id(7)}`, ...span,
    startTimeUnixNano: `${now - 10}000000`, endTimeUnixNano: `${now}000000` })) }],
}] });
const request = (number) => ({ spanId: id(number), name: 'GET', kind: 3, attributes: [
  text('url.full', `http://shop.test/${number}`), text('http.request.method', 'GET'),
  { key: 'http.response.status_code', value: { intValue: 200 } }, text('navtrace.request.resource_type', 'xmlhttprequest'),
] });
const below = (number) => ({ spanId: id(number + 10), parentSpanId: id(number), name: 'GET /', kind: 2 });
const url = `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`;
const headers = { 'content-type': 'application/json' };
const post = (body) => fetch(url, { method: 'POST', headers, body });
Promise.resolve()
  .then(() => post(requestOf('browser', 'navtrace', [request(1), request(2)])))
  .then(() => post(requestOf('shop', 'http', [below(1)])))
  .then(() => {
    const script = `const [parent, url, body] = process.argv.slice(1);
      const ended = () => { try { process.kill(Number(parent), 0); return false; } catch { return true; } };
      const send = () => fetch(url, { method: 'POST', headers: ${JSON.stringify(headers)}, body });
      const check = () => setTimeout(ended() ? () => setTimeout(send, 1500) : check, 20);
      check();`;
    if (!late) return;
    const args = ['-e', script, `${process.pid}`, url, requestOf('shop', 'http', [below(2)])];
    require('node:child_process').spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref();
  });
";

/// Runs [`BATCHING`], and returns the names of the collected spans and the messages.
fn run_with_batches(arguments: &[&str]) -> (Vec<String>, String) {
    let environment = Environment::new();
    let output = environment.home().join("traces.jsonl");
    let options = ["--listen", "127.0.0.1:0", "--output", output.to_str().unwrap()];
    let ran = run(&environment, &options, &[&["node", "-e", BATCHING], arguments].concat()).output().unwrap();
    let names = spans(&fs::read_to_string(output).unwrap()).into_iter().map(|span| span.name);
    (names.collect(), stderr(&ran))
}

#[test]
fn a_service_that_has_sent_spans_is_waited_for() {
    let (names, messages) = run_with_batches(&["late"]);
    assert_eq!(names, ["GET", "GET", "GET /", "GET /"], "{messages}");
    assert!(!messages.contains("no span of a service"), "{messages}");
}

#[test]
fn spans_of_a_service_that_do_not_come_are_said() {
    let (names, messages) = run_with_batches(&[]);
    assert_eq!(names, ["GET", "GET", "GET /"], "{messages}");
    let sentence = "navtrace: no span of a service came for 1 request to shop.test:80, where earlier ones had some; --wait 30s waits longer\n";
    assert!(messages.contains(sentence), "{messages}");
}

/// Reports a session to `navtrace run`, as a host does, and a problem. Then posts spans, as a page can.
const HOSTILE: &str = r"
const evil = 'evil\u001b]2;owned\u0007\u202e\r\nnavtrace: all is well';
const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '0000000000000001'];
const run = require('node:net').connect(process.env.NAVTRACE_RUN);
run.write(`${JSON.stringify({ report: 'session', traceId, spanId, sampled: true, offTheRecord: true })}\n`);
run.end(`${JSON.stringify({ report: 'problem', message: evil })}\n`);
const named = (name, span) => ({
  resource: { attributes: [{ key: 'service.name', value: { stringValue: name } }] },
  scopeSpans: [{ spans: [{ traceId, name: 'GET', startTimeUnixNano: '1', endTimeUnixNano: '2', ...span }] }],
});
const body = JSON.stringify({
  resourceSpans: [
    named('browser', { spanId }),
    named(evil, { spanId: '0000000000000002', parentSpanId: spanId }),
    named('x'.repeat(1e6), { spanId: '0000000000000003', parentSpanId: spanId }),
  ],
});
const headers = { 'content-type': 'application/json' };
fetch(`${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`, { method: 'POST', headers, body });
";

#[test]
fn foreign_text_adds_no_lines_and_controls_no_terminal() {
    let environment = Environment::new();
    let ran = run(&environment, &["--listen", "127.0.0.1:0"], &["node", "-e", HOSTILE]).output().unwrap();
    let messages = stderr(&ran);
    let shown: String = messages.chars().take(20_000).collect();
    let evil = r"evil\u{1b}]2;owned\u{7}\u{202e}\u{d}\u{a}navtrace: all is well";
    assert!(messages.contains(&format!("navtrace: {evil}\n")), "{shown}");
    assert!(messages.contains(&format!("  served by {evil}, xxx")), "{shown}");
    assert!(messages.lines().all(|line| line.starts_with("navtrace: ") && line.len() < 12_000), "{shown}");
    assert!(!messages.contains("\nnavtrace: all is well") && !messages.contains(['\x1b', '\r', '\u{202e}']), "{shown}");
}

/// Reports a session, and posts its span with others whose times can't be right.
const ABSURD_TIMES: &str = r"
const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '0000000000000001'];
const run = require('node:net').connect(process.env.NAVTRACE_RUN);
run.end(`${JSON.stringify({ report: 'session', traceId, spanId, sampled: true, offTheRecord: true })}\n`);
const now = BigInt(Date.now()) * 1000000n;
const [second, year] = [1000000000n, 31536000000000000n];
const times = [[now - second, now], [0n, now], [now - second, 0n], [now, now - second], [now, now + year], [now - year, now], [now + year, now + year]];
const spans = times.map(([start, end], number) => ({ traceId, spanId: `${number + 1}`.padStart(16, '0'), parentSpanId: number ? spanId : '',
  name: 'GET', startTimeUnixNano: `${start}`, endTimeUnixNano: `${end}` }));
const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
const headers = { 'content-type': 'application/json' };
fetch(`${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`, { method: 'POST', headers, body });
";

#[test]
fn absurd_times_are_not_in_the_range_of_a_link() {
    let environment = Environment::new();
    let mut command = run(&environment, &["--listen", "127.0.0.1:0"], &["node", "-e", ABSURD_TIMES]);
    let ran = command.env("NAVTRACE_LINK", "http://t.test/{start_s}/{end_s}/{trace_id}").output().unwrap();
    let messages = stderr(&ran);
    let (_, range) = messages.split_once("http://t.test/").unwrap_or_else(|| panic!("{messages}"));
    let range: Vec<u64> = range.split('/').take(2).map(|time| time.parse().unwrap()).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(range[0] <= range[1] && range[0] + 600 > now && range[1] < now + 600, "{range:?}: {messages}");
}
