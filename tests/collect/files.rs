//! Tests the trace file: its place, and what happens when it can't be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::collector::{PROTOBUF, RunningCollector, by_shell, request, spans};
use crate::navtrace::{Environment, stderr};
use prost::Message;

#[test]
fn the_default_file_is_private_in_the_state_directory() {
    let environment = Environment::new();
    let command = environment.navtrace(["collect", "--listen", "127.0.0.1:0"]);
    let collector = RunningCollector::start_command(environment, command);
    collector.send(&request("shop", 0, 2));
    let (code, messages, environment) = collector.stop();
    assert_eq!(code, 0);
    let traces = environment.home().join(".local/state/navtrace/traces");
    let mut paths: Vec<_> = fs::read_dir(&traces).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let [page, file] = &paths[..] else { panic!("{paths:?}") };
    for path in [page, file] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(spans(&fs::read_to_string(file).unwrap()).len(), 2);
    let expected = format!(
        "navtrace: 2 spans in {0}; to see them: navtrace view {0}\nnavtrace: the page: {1}\n",
        file.display(),
        page.display()
    );
    assert_eq!(messages, expected);
    assert!(fs::read_to_string(page).unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn the_page_never_replaces_the_spans() {
    let environment = Environment::new();
    let output = environment.home().join("traces.html");
    let mut command = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&output);
    let collector = RunningCollector::start_command(environment, command);
    collector.send(&request("shop", 0, 2));
    let (code, messages, environment) = collector.stop();
    assert!(code == 0 && messages.ends_with("traces.html.html\n"), "{messages}");
    assert_eq!(spans(&fs::read_to_string(environment.home().join("traces.html")).unwrap()).len(), 2);
}

#[test]
fn the_page_replaces_no_foreign_file() {
    let environment = Environment::new();
    let (output, html) = (environment.home().join("summary.json"), environment.home().join("summary.html"));
    fs::write(&html, "<!doctype html><title>the test's own report</title>").unwrap();
    let collect = |environment: Environment| {
        let mut command = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
        command.arg(&output);
        let collector = RunningCollector::start_command(environment, command);
        collector.send(&request("shop", 0, 2));
        let (code, messages, environment) = collector.stop();
        assert_eq!(code, 0, "{messages}");
        (messages, environment)
    };
    let (messages, environment) = collect(environment);
    assert!(fs::read_to_string(&html).unwrap().contains("own report"), "{messages}");
    let sentence = format!(
        "navtrace: the page can't be written: {} is not a page of navtrace; navtrace view {} --html FILE writes one\n",
        html.display(),
        output.display()
    );
    assert!(messages.contains(&sentence), "{messages}");
    // A page of navtrace is replaced by a later one.
    fs::remove_file(&html).unwrap();
    let (_, environment) = collect(environment);
    let first = fs::metadata(&html).unwrap().modified().unwrap();
    let (messages, environment) = collect(environment);
    assert!(messages.ends_with("summary.html\n"), "{messages}");
    assert!(fs::metadata(&html).unwrap().modified().unwrap() > first);
    drop(environment);
}

#[test]
fn a_collector_that_can_not_start_leaves_no_file() {
    let environment = Environment::new();
    let output = environment.home().join("traces.jsonl");
    let mut failed = 0;
    // With some number of open files, those of the collector can be opened and its server can't.
    for files in 4..30 {
        let mut collector = by_shell(&environment, &format!(r#"ulimit -n {files}; exec timeout -s INT 0.3 "$0" "$@""#));
        let ended = collector.stdin(Stdio::null()).output().unwrap();
        if ended.status.code() == Some(1) {
            failed += 1;
            assert!(!output.exists(), "with {files} files: {}", stderr(&ended));
        }
    }
    assert!(failed > 0);
}

#[test]
fn without_spans_no_file_is_left() {
    let environment = Environment::new();
    let command = environment.navtrace(["collect", "--listen", "127.0.0.1:0"]);
    let (code, messages, environment) = RunningCollector::start_command(environment, command).stop();
    assert_eq!((code, messages.as_str()), (0, "navtrace: no span arrived\n"));
    assert_eq!(fs::read_dir(environment.home().join(".local/state/navtrace/traces")).unwrap().count(), 0);
}

#[test]
fn an_unusable_file_or_address_is_reported_first() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "exit 9");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let missing = environment.home().join("missing/traces.jsonl");
    let missing = missing.to_str().unwrap();
    for command in [&["collect"][..], &["run"]] {
        let tail: &[&str] = if command == ["run"] { &["--", "/bin/echo", "started"] } else { &[] };
        let refused = |options: &[&str]| {
            let args = [command, options, tail].concat();
            let mut command = environment.navtrace(&args);
            let output = command.env_remove("OTEL_TRACES_EXPORTER").env("NAVTRACE_BROWSER", &browser).output().unwrap();
            assert_eq!(output.stdout, b"", "nothing was started");
            let messages =
                stderr(&output).lines().filter(|line| !line.contains("--no-sandbox")).collect::<Vec<_>>().join("\n");
            (output.status.code().unwrap(), messages)
        };
        let sentence = format!(
            "navtrace: {missing} can't be written: No such file or directory (os error 2); name another file with --output"
        );
        assert_eq!(refused(&["--listen", "127.0.0.1:0", "--output", missing]), (1, sentence));
        let sentence = format!(
            "navtrace: spans can't be received at {address}: Address already in use (os error 98); name another with --listen"
        );
        assert_eq!(refused(&["--listen", &address, "--output", "/dev/null"]), (1, sentence));
        let (code, messages) = refused(&["--listen", "4318"]);
        assert!(
            code == 2 && messages.starts_with("error: invalid value '4318' for '--listen <ADDRESS:PORT>'"),
            "{messages}"
        );
    }
}

#[test]
fn refused_spans_that_come_again_are_not_lost() {
    let environment = Environment::new();
    let command = by_shell(&environment, r#"trap '' XFSZ; exec "$0" "$@""#);
    let collector = RunningCollector::start_command(environment, command);
    let limit = |size: &str| {
        let pid = collector.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}")]).status();
        assert!(status.unwrap().success());
    };
    limit("0:unlimited");
    let status = collector.post(PROTOBUF, request("shop", 0, 500).encode_to_vec()).send().unwrap().status();
    assert_eq!(status.as_u16(), 503);
    limit("unlimited:unlimited");
    // In other batches than before, as an SDK may make them.
    collector.send(&request("shop", 0, 200));
    collector.send(&request("shop", 200, 300));
    let (code, messages, environment) = collector.stop();
    assert_eq!(code, 0, "{messages}");
    assert!(messages.contains("navtrace: 500 spans in ") && !messages.contains("could not be written"), "{messages}");
    assert_eq!(spans(&fs::read_to_string(environment.home().join("traces.jsonl")).unwrap()).len(), 500);
}

#[test]
fn a_full_disk_keeps_earlier_spans_with_one_message() {
    let environment = Environment::new();
    let output = environment.home().join("traces.jsonl");
    // A limit of the file size stands in for a full disk. A block of a POSIX shell has 512 bytes.
    let command = by_shell(&environment, r#"trap '' XFSZ; ulimit -S -f 100; exec "$0" "$@""#);
    let collector = RunningCollector::start_command(environment, command);
    collector.send(&request("shop", 0, 10));
    let before = fs::read(&output).unwrap();
    for _ in 0..2 {
        let response = collector.post(PROTOBUF, request("shop", 10, 500).encode_to_vec()).send().unwrap();
        assert_eq!(response.status().as_u16(), 503);
        assert_eq!(response.headers()["retry-after"].to_str().unwrap(), "1");
        assert_eq!(fs::read(&output).unwrap(), before, "no half a line is left");
    }
    collector.send(&request("shop", 510, 10));
    assert_eq!(collector.spans().len(), 20);
    // The disk has room again, and the client comes again with one half.
    let pid = collector.pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    collector.send(&request("shop", 10, 250));
    let (code, messages, _environment) = collector.stop();
    assert_eq!(code, 1);
    let path = output.display();
    let expected = format!(
        "navtrace: {path} can't be written: File too large (os error 27); spans written so far are kept; new ones are \
         accepted again once there is disk space\n"
    );
    assert!(messages.starts_with(&expected), "{messages}");
    assert!(
        messages.contains(&format!("navtrace: 250 spans could not be written to {path} and were not sent again\n")),
        "{messages}"
    );
}
