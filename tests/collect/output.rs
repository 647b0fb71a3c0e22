//! Tests that a trace file is kept for as long as somebody needs it.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::collector::{RunningCollector, request, shell_of, spans};
use crate::navtrace::{Environment, stderr};
use crate::run::{SERVICE, run};

#[test]
fn a_command_that_does_not_start_keeps_the_earlier_traces() {
    let environment = Environment::new();
    let (output, new) = (environment.home().join("traces.jsonl"), environment.home().join("new.jsonl"));
    fs::write(&output, "earlier\n").unwrap();
    for (path, code, command) in
        [(&output, 127, "no-such-program"), (&output, 126, "/etc/passwd"), (&new, 127, "no-such-program")]
    {
        let options = ["--listen", "127.0.0.1:0", "--output", path.to_str().unwrap()];
        let ran = run(&environment, &options, &[command]).output().unwrap();
        assert_eq!(ran.status.code(), Some(code), "{}", stderr(&ran));
    }
    assert_eq!(fs::read_to_string(&output).unwrap(), "earlier\n");
    assert!(!new.exists());
    let options = ["--listen", "127.0.0.1:0", "--output", output.to_str().unwrap()];
    let ran = run(&environment, &options, &["true"]).output().unwrap();
    assert_eq!((ran.status.code(), fs::read_to_string(&output).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_file_that_is_being_written_is_neither_removed_nor_overwritten() {
    let environment = Environment::new();
    let traces = environment.home().join(".local/state/navtrace/traces");
    fs::create_dir_all(&traces).unwrap();
    let command = environment.navtrace(["collect", "--listen", "127.0.0.1:0"]);
    let collector = RunningCollector::start_command(environment, command);
    let files = || fs::read_dir(&traces).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [file] = &files()[..] else { panic!("{:?}", files()) };
    for number in 0..30 {
        fs::write(traces.join(format!("2999-01-01T00-00-{number:02}.000Z-1.jsonl")), "{}\n").unwrap();
    }

    let other = |options: &[&str]| {
        let options = [&["--listen", "127.0.0.1:0"], options].concat();
        let ran = run(&collector.environment, &options, &["true"]).output().unwrap();
        (ran.status.code().unwrap(), stderr(&ran))
    };
    let (code, messages) = other(&[]);
    assert_eq!(code, 0, "{messages}");
    // 19 of the newest, and the collector's.
    assert_eq!(files().len(), 20, "{:?}", files());
    let (code, messages) = other(&["--output", file.to_str().unwrap()]);
    let sentence = format!(
        "navtrace: {} can't be written: another navtrace is writing to it; name another file with --output\n",
        file.display()
    );
    assert!(code == 1 && messages.ends_with(&sentence), "{messages}");
    // Devices have no owner.
    assert_eq!(other(&["--output", "/dev/null"]).0, 0);

    collector.send(&request("shop", 0, 2));
    let file = file.clone();
    let (code, messages, _environment) = collector.stop();
    assert_eq!((code, spans(&fs::read_to_string(file).unwrap()).len()), (0, 2), "{messages}");
}

#[test]
fn old_files_make_room_by_their_size_too() {
    let environment = Environment::new();
    let traces = environment.home().join(".local/state/navtrace/traces");
    fs::create_dir_all(&traces).unwrap();
    let names = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"].map(|day| format!("{day}T00-00-00.000Z-1"));
    for (number, name) in names.iter().enumerate() {
        let file = fs::File::create(traces.join(format!("{name}.jsonl"))).unwrap();
        // They take no space, since nothing is written to them.
        file.set_len(if number == 2 { 1 << 20 } else { 600 << 20 }).unwrap();
        fs::write(traces.join(format!("{name}.html")), "page").unwrap();
    }
    let options = ["--listen", "127.0.0.1:0"];
    let left = || {
        let mut left: Vec<_> =
            fs::read_dir(&traces).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left
    };
    assert_eq!(run(&environment, &options, &["true"]).output().unwrap().status.code(), Some(0));
    let files = |names: &[String]| {
        names.iter().flat_map(|name| [format!("{name}.html"), format!("{name}.jsonl")]).collect::<Vec<_>>()
    };
    assert_eq!(left(), files(&names[2..]));
    // The latest run can be viewed, whatever its size.
    fs::File::options().write(true).open(traces.join(format!("{}.jsonl", names[3]))).unwrap().set_len(2 << 30).unwrap();
    assert_eq!(run(&environment, &options, &["true"]).output().unwrap().status.code(), Some(0));
    assert_eq!(left(), files(&names[3..]));
}

/// Runs a command that may hang, and kills it then.
fn run_within_a_minute(command: &Command) -> Output {
    shell_of(command, r#"exec timeout -s KILL 60 "$0" "$@""#).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_pipe_that_nobody_reads_is_refused() {
    let environment = Environment::new();
    let pipe = environment.home().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let options = ["--listen", "127.0.0.1:0", "--output", pipe.to_str().unwrap()];
    let mut collect = environment.navtrace([&["collect"], &options[..]].concat());
    collect.env_remove("OTEL_TRACES_EXPORTER");
    for command in [run(&environment, &options, &["true"]), collect] {
        let ended = run_within_a_minute(&command);
        let sentence = format!(
            "navtrace: {} can't be written: nobody reads from this pipe; name another file with --output\n",
            pipe.display()
        );
        assert!(stderr(&ended).ends_with(&sentence), "{}", stderr(&ended));
        assert_eq!(ended.status.code(), Some(1));
    }
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn pipes_with_a_reader_take_the_spans() {
    let environment = Environment::new();
    let body = environment.home().join("body.json");
    // More than a pipe holds, so that writing waits for the reader.
    fs::write(&body, serde_json::to_vec(&request("shop", 0, 2000)).unwrap()).unwrap();
    let read = environment.home().join("read");
    let script = format!("node -e '{}' \"$0\" >&2", SERVICE.replace('\'', "\""));
    let service = ["sh", "-c", &script, body.to_str().unwrap()];
    for (shell, output) in [
        (r#""$0" "$@" | cat >"$READ""#, "/dev/stdout"),
        (r#"mkfifo "$FIFO"; cat <"$FIFO" >"$READ" & "$0" "$@"; wait"#, "fifo"),
    ] {
        let fifo = environment.home().join("fifo");
        let output = if output == "fifo" { fifo.to_str().unwrap() } else { output };
        let command = run(&environment, &["--listen", "127.0.0.1:0", "--output", output], &service);
        let mut shell = shell_of(&command, shell);
        shell.env("FIFO", &fifo).env("READ", &read);
        let ended = run_within_a_minute(&shell);
        assert_eq!(spans(&fs::read_to_string(&read).unwrap()).len(), 2000, "{output}: {}", stderr(&ended));
    }
}

#[test]
fn a_run_that_can_not_be_set_up_leaves_no_file() {
    let environment = Environment::new();
    let output = environment.home().join("new.jsonl");
    let options = ["--listen", "127.0.0.1:0", "--output", output.to_str().unwrap()];
    // No file may have a byte, as on a full disk. In static mode the extension is not written yet.
    let mut command = shell_of(&run(&environment, &options, &["true"]), r#"trap '' XFSZ; ulimit -f 0; exec "$0" "$@""#);
    let ran = command.env("NAVTRACE_MODE", "static").output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("the run can't be set up"), "{}", stderr(&ran));
    assert!(!output.exists());
    assert_eq!(environment.left_behind(), [""; 0]);
}
