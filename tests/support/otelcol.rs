//! Runs the real OpenTelemetry Collector with the files of `examples/collector`.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::{NamedTempFile, TempDir};

/// The program, which `install/lib.sh` builds.
const PROGRAM: &str = "otelcol-tests";

/// The Collector logs this when all its parts run.
const READY: &str = "Everything is ready";

/// Limit of a start and of an end, which take a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(50);

/// Characters that a failed test shows of a line in the log.
const SHOWN: usize = 160;

/// A running Collector, which is killed when this is dropped.
pub struct Otelcol {
    command: Command,
    child: Child,
    log: NamedTempFile,
    starts: usize,
    _state: TempDir,
}

impl Otelcol {
    /// Starts an agent on the loopback address, with the usual ports. `prefix` is a command that runs it elsewhere, or nothing.
    pub fn agent(prefix: &[String], gateways: &[&str]) -> Self {
        let gateways: Vec<String> = gateways.iter().map(|address| format!("\"{address}:4317\"")).collect();
        Self::start(prefix, "agent.yaml", &[("GATEWAYS", &format!("[{}]", gateways.join(", ")))])
    }

    /// Starts a gateway on an address, with the usual ports.
    pub fn gateway(address: &str, backend: &str, keep_percent: u8) -> Self {
        let keep_percent = keep_percent.to_string();
        let variables = [("LISTEN", address), ("BACKEND", backend), ("KEEP_PERCENT", &keep_percent)];
        Self::start(&[], "gateway.yaml", &variables)
    }

    fn start(prefix: &[String], file: &str, variables: &[(&str, &str)]) -> Self {
        let log = NamedTempFile::new().expect("a temporary file can be made");
        let state = tempfile::tempdir().expect("a temporary folder can be made");
        let path = std::env::var("PATH").unwrap_or_default();
        // It reads OpenTelemetry's variables too.
        let words = prefix.iter().map(String::as_str).chain(["env", "-i"]).map(ToOwned::to_owned);
        let mut words: Vec<String> = words.chain([format!("PATH={path}")]).collect();
        words.push(format!("STATE_DIR={}", state.path().display()));
        words.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(PROGRAM).arg("--config");
        command.arg(format!("{}/examples/collector/{file}", env!("CARGO_MANIFEST_DIR")));
        let output = || Stdio::from(File::options().append(true).open(log.path()).expect("the log can be opened"));
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        let child = spawn(&mut command);
        let mut collector = Self { command, child, log, starts: 1, _state: state };
        collector.wait_until_ready();
        collector
    }

    /// Stops the process, so that it answers nothing, as on a machine that hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the process in its own time.
    pub fn end(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + LIMIT;
        while self.child.try_wait().expect("a child can be waited for").is_none() {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the process again, after its end, with what it has on the disk.
    pub fn start_again(&mut self) {
        self.child = spawn(&mut self.command);
        self.starts += 1;
        self.wait_until_ready();
    }

    /// Returns what the process logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().try_into().ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("a signal can be sent");
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while self.log().matches(READY).count() < self.starts {
            let ended = self.child.try_wait().expect("a child can be waited for").is_some();
            assert!(!ended && Instant::now() < deadline, "{PROGRAM} did not start:\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Otelcol {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("{:?} logged:", self.command);
            let log = self.log();
            let is_problem = |line: &&str| line.contains("\terror\t") || line.contains("\twarn\t");
            for line in log.lines().filter(is_problem) {
                println!("{}", line.chars().take(SHOWN).collect::<String>());
            }
        }
    }
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{PROGRAM}, which tests/run.sh puts on PATH: {error}"))
}
