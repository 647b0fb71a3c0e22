//! Tests signals while a run or a collector ends: what is there is kept, nothing is waited for, and nothing is left behind.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use prost::Message;

use crate::collector::{PROTOBUF, RunningCollector, by_shell, request, spans};
use crate::navtrace::Environment;
use crate::run::{SERVICE, run};

/// Limit of every wait. It is far below the waits that a signal cuts short.
const TIMEOUT: Duration = Duration::from_secs(60);

fn send(signal: &str, pid: u32) {
    // It may have ended by now.
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

/// Waits until `holds` returns something. `what` describes it in the failure.
fn wait_for<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills its process if a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    fn ended(&mut self) -> ExitStatus {
        wait_for("the process ends", || self.0.try_wait().unwrap())
    }

    fn messages(&mut self) -> String {
        let mut messages = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
        messages
    }
}

/// Runs a command that sends four spans, or those in a larger body, and ends with 3. Returns once it has ended.
fn run_until_the_commands_end(environment: &Environment, output: &Path, body: &Path, script: &str) -> Killed {
    let options = ["--listen", "127.0.0.1:0", "--wait", "600s", "--output", output.to_str().unwrap()];
    let script = script.replace("SERVICE", &format!("node -e '{}' \"$0\"", SERVICE.replace('\'', "\"")));
    let mut child = run(environment, &options, &["sh", "-c", &script, body.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let child = Killed(child);
    let lines = stdout.lines().map(Result::unwrap);
    let pid = lines.into_iter().find_map(|line| line.strip_prefix("pid ").map(ToOwned::to_owned)).unwrap();
    wait_for("the command is reaped", || (!PathBuf::from("/proc").join(&pid).exists()).then_some(()));
    child
}

fn body(environment: &Environment, count: usize) -> PathBuf {
    let path = environment.home().join("body.json");
    fs::write(&path, serde_json::to_vec(&request("shop", 0, count)).unwrap()).unwrap();
    path
}

/// Makes a pipe that is full after some spans, because its reader does not read.
fn stuck_pipe(environment: &Environment) -> (PathBuf, fs::File) {
    let path = environment.home().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (path, reader)
}

#[test]
fn a_signal_after_the_commands_end_cuts_the_wait_short() {
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT"] {
        let environment = Environment::new();
        let output = environment.home().join("traces.jsonl");
        let body = body(&environment, 4);
        let mut ran = run_until_the_commands_end(&environment, &output, &body, "SERVICE; echo pid $$; exit 3");
        send("-USR1", ran.0.id());
        send(signal, ran.0.id());
        assert_eq!(ran.ended().code(), Some(3), "{signal}");
        let messages = ran.messages();
        let sentence = "navtrace: no longer waiting for spans; another signal ends navtrace at once\n";
        assert_eq!(messages.matches(sentence).count(), 1, "{messages}");
        assert!(messages.contains(&format!("navtrace: 4 spans in {}; ", output.display())), "{messages}");
        assert_eq!(spans(&fs::read_to_string(&output).unwrap()).len(), 4);
        assert!(output.with_extension("html").is_file());
        assert_eq!(environment.left_behind(), [""; 0]);
    }
}

#[test]
fn the_signal_that_ends_the_command_does_not_cut_the_wait_short() {
    let environment = Environment::new();
    let (output, late) = (environment.home().join("traces.jsonl"), environment.home().join("late"));
    // The service sends once the command has ended.
    let script = format!(
        "(while [ ! -e {0} ]; do sleep 0.02; done; SERVICE; touch {0}.sent) & echo pid $$; kill -INT $PPID; exec sleep 60",
        late.display()
    );
    let body = body(&environment, 4);
    let mut ran = run_until_the_commands_end(&environment, &output, &body, &script);
    fs::write(&late, "").unwrap();
    wait_for("the late spans are sent", || environment.home().join("late.sent").exists().then_some(()));
    send("-INT", ran.0.id());
    assert_eq!(ran.ended().code(), Some(130));
    assert_eq!(spans(&fs::read_to_string(&output).unwrap()).len(), 4);
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let environment = Environment::new();
    let (pipe, _reader) = stuck_pipe(&environment);
    let body = body(&environment, 2000);
    // The service waits for an answer that never comes.
    let script = format!("SERVICE & head -c 10 <{} >/dev/null; echo pid $$; exit 3", pipe.display());
    let mut ran = run_until_the_commands_end(&environment, &pipe, &body, &script);
    let pid = ran.0.id();
    let status = wait_for("the run ends", || {
        send("-INT", pid);
        ran.0.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(3));
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn a_signal_ends_a_run_whose_output_is_stuck() {
    let environment = Environment::new();
    let (pipe, _reader) = stuck_pipe(&environment);
    let body = body(&environment, 2000);
    let script = format!("SERVICE & head -c 10 <{} >/dev/null; echo pid $$; exit 3", pipe.display());
    let mut ran = run_until_the_commands_end(&environment, &pipe, &body, &script);
    send("-TERM", ran.0.id());
    assert_eq!(ran.ended().code(), Some(3));
    let messages = ran.messages();
    let sentence = format!("navtrace: the spans can't be written to {} any more\n", pipe.display());
    assert!(messages.contains(&sentence), "{messages}");
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn a_second_signal_ends_a_collector_at_once() {
    let environment = Environment::new();
    let (pipe, mut reader) = stuck_pipe(&environment);
    let mut command = environment.navtrace(["collect", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&pipe);
    let mut collector = RunningCollector::start_command(environment, command);
    let sending = collector.post(PROTOBUF, request("shop", 0, 2000).encode_to_vec());
    // The answer never comes.
    std::thread::spawn(move || drop(sending.send()));
    reader.read_exact(&mut [0; 10]).unwrap();
    let pid = collector.pid();
    let status = wait_for("the collector ends", || {
        send("-INT", pid);
        collector.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_collector_outlives_its_terminal_under_nohup() {
    let environment = Environment::new();
    let shell = by_shell(&environment, r#"trap '' HUP; exec "$0" "$@""#);
    let collector = RunningCollector::start_command(environment, shell);
    let status = fs::read_to_string(format!("/proc/{}/status", collector.pid())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(ignored.trim(), 16).unwrap() & 1, 1, "a hangup is ignored: {status}");
    send("-HUP", collector.pid());
    collector.send(&request("shop", 0, 2));
    assert_eq!(collector.spans().len(), 2);
    assert_eq!(collector.stop().0, 0);
}
