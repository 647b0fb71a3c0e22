//! Runs the real host and speaks to it as the extension does.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use navtrace::testing::Observation;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::setup::{TIMEOUT, wait_until};
use crate::tree::Session;

/// Time in which a host must exit after its browser: 2 s for its last spans, and the rest for a slow machine.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// The worker that sends batches, unless a test has several.
pub(crate) const WORKER: &str = "9f86d081884c7d65";

pub(crate) struct TestHost {
    /// The host itself, or the stand-in for the browser that is its parent.
    child: Child,
    pub(crate) pid: u32,
    stdin: Option<ChildStdin>,
    frames: Receiver<Value>,
    /// The `exporter` messages, which the host sends unasked, and when they were read.
    states: Arc<Mutex<Vec<(Instant, Value)>>>,
    /// Reads frames until host and browser have closed their standard output.
    reader: Option<JoinHandle<()>>,
    /// Standard error goes to this file. Unlike a pipe that a thread reads, it is complete as soon as the host has exited.
    stderr_file: PathBuf,
    /// Number of the last batch.
    number: u64,
}

impl TestHost {
    /// Starts a command that is the host, or that starts the host and writes its process id to `pid_file`.
    pub(crate) fn start(mut command: Command, file: &Path, pid_file: Option<&Path>) -> Self {
        let stderr_file = file.with_extension("stderr");
        let stderr = File::options().create_new(true).append(true).open(&stderr_file).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, frames) = mpsc::channel();
        let states = Arc::<Mutex<Vec<_>>>::default();
        let states_read = Arc::clone(&states);
        let reader = std::thread::spawn(move || {
            let mut length = [0; 4];
            while stdout.read_exact(&mut length).is_ok() {
                let mut body = vec![0; u32::from_ne_bytes(length) as usize];
                if stdout.read_exact(&mut body).is_err() {
                    return;
                }
                let frame: Value = serde_json::from_slice(&body).unwrap();
                if frame["type"] == "exporter" {
                    states_read.lock().unwrap().push((Instant::now(), frame));
                } else if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        let mut pid = child.id();
        if let Some(file) = pid_file {
            wait_until("the host starts", || {
                let text = fs::read_to_string(file).unwrap_or_default();
                text.ends_with('\n') && text.trim().parse().map(|found| pid = found).is_ok()
            });
        }
        Self { child, pid, stdin, frames, states, reader: Some(reader), stderr_file, number: 0 }
    }

    /// Returns the process id of the browser.
    pub(crate) fn browser(&self) -> u32 {
        assert_ne!(self.pid, self.child.id());
        self.child.id()
    }

    /// Sends a frame with this body.
    pub(crate) fn send_bytes(&mut self, body: &[u8]) {
        let frame = [&u32::try_from(body.len()).unwrap().to_ne_bytes(), body].concat();
        self.stdin.as_mut().unwrap().write_all(&frame).unwrap();
    }

    /// Sends a frame that claims to be longer than it is.
    pub(crate) fn send_truncated(&mut self, body: &[u8]) {
        let frame = [&[0, 16, 0, 0], body].concat();
        self.stdin.as_mut().unwrap().write_all(&frame).unwrap();
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_bytes(&serde_json::to_vec(message).unwrap());
    }

    /// Returns the next message but those of the exporter.
    pub(crate) fn answer(&self) -> Value {
        self.frames.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("no answer came: {}", self.stderr()))
    }

    /// Says hello as the extension of a browser that has just started, and returns the host's session.
    pub(crate) fn start_session(&mut self) -> Session {
        self.send_bytes(include_str!("../fixtures/messages/hello.json").trim_end().as_bytes());
        let answer = self.answer();
        assert_eq!(answer["type"], "session", "{answer}");
        Session(answer["session"].clone())
    }

    /// Continues the numbers of the batches that went to another host.
    pub(crate) fn continue_batches_of(&mut self, other: &Self) {
        self.number = other.number;
    }

    /// Returns the `exporter` messages so far, and when they were read.
    pub(crate) fn exporter_states(&self) -> Vec<(Instant, Value)> {
        self.states.lock().unwrap().clone()
    }

    /// Waits until the last `exporter` message is as wanted.
    pub(crate) fn wait_for_exporter(&self, what: &str, mut is_wanted: impl FnMut(&Value) -> bool) {
        wait_until(what, || self.states.lock().unwrap().last().is_some_and(|(_, state)| is_wanted(state)));
    }

    /// Says hello as an extension that has a session already.
    pub(crate) fn resume(&mut self, session: &Session) {
        self.send(&json!({"v": 1, "type": "hello", "extension": "0.1.0", "offTheRecord": true, "session": session.0}));
        assert_eq!(self.answer()["session"], session.0);
    }

    /// Sends a batch without waiting for its acknowledgment.
    pub(crate) fn send_batch(&mut self, worker: &str, number: u64, observations: &[Observation]) {
        self.send(&json!({
            "v": 1, "type": "observed", "worker": worker, "number": number, "dropped": 0, "observations": observations,
        }));
    }

    /// Sends the next batch, for a session that has ended, and waits for its acknowledgment.
    pub(crate) fn observe_late(&mut self, session: &Session, observations: &[Observation]) {
        self.number += 1;
        self.send(&json!({
            "v": 1, "type": "observed", "worker": WORKER, "number": self.number, "dropped": 0, "session": session.0,
            "observations": observations,
        }));
        self.assert_received(WORKER, self.number);
    }

    /// Waits for the acknowledgment of a batch.
    pub(crate) fn assert_received(&self, worker: &str, number: u64) {
        assert_eq!(self.answer(), json!({"v": 1, "type": "received", "worker": worker, "number": number}));
    }

    /// Sends the next batch and waits for its acknowledgment.
    pub(crate) fn observe(&mut self, observations: &[Observation]) {
        self.number += 1;
        self.send_batch(WORKER, self.number, observations);
        self.assert_received(WORKER, self.number);
    }

    /// Asks for contexts, which the host issues at once, and returns the time until the answer.
    pub(crate) fn replenish(&mut self) -> Duration {
        let start = Instant::now();
        self.send(&json!({"v": 1, "type": "replenish", "count": 1}));
        assert_eq!(self.answer()["type"], "contexts");
        start.elapsed()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr_file).unwrap()
    }

    /// Waits until standard error has this text.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.stderr().contains(text) {
            assert!(Instant::now() < deadline, "there is no {text:?} in {:?}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn count_in_stderr(&self, text: &str) -> usize {
        self.stderr().matches(text).count()
    }

    /// Returns whether a thread of the host still runs, which may hold the host's locks after the first one has ended.
    pub(crate) fn is_running(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        threads.map(|thread| fs::read_to_string(thread.path().join("stat")).unwrap_or_default()).any(|stat| {
            stat.rsplit_once(')').is_some_and(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
        })
    }

    /// Returns how often threads of the host have gone to sleep.
    pub(crate) fn sleeps(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap().flatten();
        let statuses = threads.map(|thread| fs::read_to_string(thread.path().join("status")).unwrap_or_default());
        let sleeps = |status: String| {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        statuses.map(sleeps).sum()
    }

    /// Waits until the host has exited and returns the time that took.
    pub(crate) fn wait_for_exit(&self) -> Duration {
        let start = Instant::now();
        wait_until("the host exits", || !self.is_running());
        start.elapsed()
    }

    /// Kills the host. Its browser continues.
    pub(crate) fn kill(&self) {
        kill(self.pid);
        self.wait_for_exit();
    }

    /// Closes the channel while the browser continues, as when the extension is reloaded.
    pub(crate) fn close_channel(&mut self) {
        self.stdin = None;
    }

    /// Closes the channel and waits for the host's exit. For hosts whose browser is the test, and therefore continues.
    pub(crate) fn close_and_wait(&mut self) -> ExitStatus {
        assert_eq!(self.pid, self.child.id());
        self.close_channel();
        let status = self.child.wait().unwrap();
        self.read_to_end();
        status
    }

    /// Waits until the last frames are read. Host and browser must have ended.
    fn read_to_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    /// Kills the browser and closes the channel.
    pub(crate) fn kill_browser(&mut self) {
        assert_ne!(self.pid, self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.close_channel();
    }

    /// Kills the browser and waits for the host's exit.
    pub(crate) fn end(&mut self) {
        self.kill_browser();
        let took = self.wait_for_exit();
        self.read_to_end();
        assert!(took < EXIT_LIMIT, "the host exited {took:?} after its browser");
    }

    /// Kills the host, then the browser.
    pub(crate) fn kill_both(&mut self) {
        self.kill();
        self.kill_browser();
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if self.pid != self.child.id() && self.is_running() {
            kill(self.pid);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}
