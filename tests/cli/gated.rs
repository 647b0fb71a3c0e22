//! Launches a script instead of the browser, behind a gate that the test opens.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::launch::{assert_gone, launch};
use crate::navtrace::Environment;

pub(crate) struct GatedBrowser {
    environment: Environment,
    child: Child,
    gate: PathBuf,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl GatedBrowser {
    /// Launches `script` as the browser. The test has its three standard streams, and only the test opens the gate.
    pub(crate) fn start(script: &str, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let environment = Environment::new();
        let script = format!("echo \"$NAVTRACE_GATE\"; {script}");
        let mut command = launch(&environment, &script, &[args, &["--no-sandbox"]].concat());
        command.env("NAVTRACE_ARM_TIMEOUT", "1m");
        change(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Self { environment, child, gate: PathBuf::new(), stdin, stdout };
        browser.gate = PathBuf::from(browser.read_line());
        browser
    }

    /// Reads the next line of standard output.
    pub(crate) fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Makes the script's next `read` return.
    pub(crate) fn continue_script(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    /// Opens the gate, as the host does once the extension is armed.
    pub(crate) fn open_gate(&self) {
        UnixDatagram::unbound().unwrap().send_to(b"armed", &self.gate).unwrap();
    }

    /// Reads the next line of standard error.
    pub(crate) fn read_stderr_line(&mut self) -> String {
        let mut line = Vec::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            stderr.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    /// Returns the browser's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the relay's process id.
    pub(crate) fn relay(&self) -> u32 {
        let processes = self.environment.processes();
        let mut ids = processes.iter().filter_map(|process| process.strip_suffix(" navtrace")?.parse().ok());
        ids.find(|id| *id != self.id()).unwrap()
    }

    /// Returns the processor time of the relay so far, in clock ticks.
    pub(crate) fn relay_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.relay())).unwrap();
        let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        after_name[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Waits until the browser has exited successfully and nothing is left of it.
    pub(crate) fn assert_ends(mut self) {
        assert!(self.child.wait().unwrap().success());
        assert_gone(&self.environment);
    }

    /// Waits until the browser has ended by a signal and no process is left of it.
    pub(crate) fn assert_killed(mut self) {
        assert_eq!(self.child.wait().unwrap().code(), None);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.environment.processes().is_empty() {
            assert!(Instant::now() < deadline, "left behind: {:?}", self.environment.processes());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
