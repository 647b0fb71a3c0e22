//! The trace file: where it is, and what happens when it can't be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::{Bench, PROTOBUF, request, spans};
use crate::navtrace::{Environment, stderr};
use prost::Message;

#[test]
fn a_file_that_nobody_named_is_in_the_state_directory_and_private() {
    let environment = Environment::new();
    let command = environment.navtrace(["collect", "--listen", "127.0.0.1:0"]);
    let bench = Bench::of(environment, command);
    bench.send(&request("shop", 0, 2));
    let (code, words, environment) = bench.stop();
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
    assert_eq!(words, expected);
    assert!(fs::read_to_string(page).unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn the_page_never_takes_the_place_of_the_spans() {
    let environment = Environment::new();
    let output = environment.home().join("traces.html");
    let mut command = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&output);
    let bench = Bench::of(environment, command);
    bench.send(&request("shop", 0, 2));
    let (code, words, environment) = bench.stop();
    assert!(code == 0 && words.ends_with("traces.html.html\n"), "{words}");
    assert_eq!(spans(&fs::read_to_string(environment.home().join("traces.html")).unwrap()).len(), 2);
}

#[test]
fn nothing_is_left_where_nothing_arrived() {
    let environment = Environment::new();
    let command = environment.navtrace(["collect", "--listen", "127.0.0.1:0"]);
    let (code, words, environment) = Bench::of(environment, command).stop();
    assert_eq!((code, words.as_str()), (0, "navtrace: no span arrived\n"));
    assert_eq!(fs::read_dir(environment.home().join(".local/state/navtrace/traces")).unwrap().count(), 0);
}

#[test]
fn a_file_or_an_address_that_can_not_be_had_is_said_before_anything_runs() {
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
            let words =
                stderr(&output).lines().filter(|line| !line.contains("--no-sandbox")).collect::<Vec<_>>().join("\n");
            (output.status.code().unwrap(), words)
        };
        let sentence = format!(
            "navtrace: {missing} can't be written: No such file or directory (os error 2); name another file with --output"
        );
        assert_eq!(refused(&["--listen", "127.0.0.1:0", "--output", missing]), (1, sentence));
        let sentence = format!(
            "navtrace: spans can't be received at {address}: Address already in use (os error 98); name another with --listen"
        );
        assert_eq!(refused(&["--listen", &address, "--output", "/dev/null"]), (1, sentence));
        let (code, words) = refused(&["--listen", "4318"]);
        assert!(code == 2 && words.starts_with("error: invalid value '4318' for '--listen <ADDRESS:PORT>'"), "{words}");
    }
}

#[test]
fn a_full_disk_keeps_what_is_there_and_says_so_once() {
    let environment = Environment::new();
    let output = environment.home().join("traces.jsonl");
    // A limit of the file's size stands for a disk that gets full; 1 block is 512 bytes for a POSIX shell.
    let script = r#"trap '' XFSZ; ulimit -f 100; exec "$0" collect --listen 127.0.0.1:0 --output "$1""#;
    let mut command = environment.navtrace([""; 0]);
    let mut shell = std::process::Command::new("sh");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["-c", script]).arg(command.get_program()).arg(&output);
    command = shell;
    let bench = Bench::of(environment, command);
    bench.send(&request("shop", 0, 10));
    let before = fs::read(&output).unwrap();
    for _ in 0..2 {
        let response = bench.post(PROTOBUF, request("shop", 10, 500).encode_to_vec()).send().unwrap();
        assert_eq!(response.status().as_u16(), 503);
        assert_eq!(response.headers()["retry-after"].to_str().unwrap(), "1");
        assert_eq!(fs::read(&output).unwrap(), before, "no half a line is left");
    }
    bench.send(&request("shop", 510, 10));
    assert_eq!(bench.spans().len(), 20);
    let (code, words, _environment) = bench.stop();
    assert_eq!(code, 1);
    let path = output.display();
    let expected = format!(
        "navtrace: {path} can't be written: File too large (os error 27); what is there stays, and spans are taken again once there is \
         room\n"
    );
    assert!(words.starts_with(&expected), "{words}");
    assert!(words.contains(&format!("navtrace: 1000 spans could not be written to {path}\n")), "{words}");
}
