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
