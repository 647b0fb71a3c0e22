//! What these tests share: a collector, hosts that they play the extension for, and browsers that can be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use navtrace::testing::Observation;
use navtrace::testing::RUN_SOCKET;
use navtrace::testing::reports::{self, TracedSession};
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::collector::{Collector, hex};
use crate::navtrace::Environment;

/// The argument by which Chromium starts the host.
pub(crate) const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// Nothing here takes this long: a test that waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A host that has seen its browser end may take 2 s for its last spans; the rest is for a slow machine.
pub(crate) const LAST_SPANS: Duration = Duration::from_secs(5);

/// The worker that batches come from unless a test has several.
pub(crate) const WORKER: &str = "9f86d081884c7d65";

/// A collector, and an environment whose spans go there.
pub(crate) struct Bench {
    pub(crate) environment: Environment,
    pub(crate) collector: Collector,
    variables: Vec<(String, String)>,
}

impl Bench {
    /// With a collector that accepts everything.
    pub(crate) fn new() -> Self {
        Self::with(Collector::start())
    }

    pub(crate) fn with(collector: Collector) -> Self {
        let variables = Environment::exporting(&collector.endpoint());
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { environment: Environment::new(), collector, variables }
    }

    /// With one more setting.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.environment.navtrace(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A host whose browser is the test itself, and goes on.
    pub(crate) fn host(&self) -> Host {
        Host::start(self.command(&[ORIGIN]), None)
    }

    /// A host whose browser can be killed, and that is listened to.
    pub(crate) fn host_heard_by(&self, heard: &Heard) -> Host {
        let mut command = self.command(&[ORIGIN]);
        heard.listens_to(&mut command);
        self.host_below(&command)
    }

    /// A host whose browser is a process that can be killed. Its mask forbids nothing.
    pub(crate) fn host_of_browser(&self) -> Host {
        self.host_below(&self.command(&[ORIGIN]))
    }

    /// The same for a host that a test has changed.
    pub(crate) fn host_below(&self, host: &Command) -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let pid = self.environment.home().join(format!("host-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        // A shell gives what it starts in the background no standard input of its own accord.
        let script = r#"umask 0; exec 3<&0; "$@" <&3 3<&- & echo $! >"$PID"; exec sleep 1000"#;
        let mut browser = Command::new("sh");
        // Another binary may be measured: the released one.
        let program = std::env::var_os("NAVTRACE_BINARY").unwrap_or_else(|| host.get_program().to_owned());
        browser.args(["-c", script, "sh"]).arg(program).args(host.get_args());
        for (name, value) in host.get_envs() {
            match value {
                Some(value) => browser.env(name, value),
                None => browser.env_remove(name),
            };
        }
        browser.env("PID", &pid);
        Host::start(browser, Some(&pid))
    }

    /// `navtrace flush`: its exit code and its words.
    pub(crate) fn flush(&self) -> (i32, String) {
        said(&self.command(&["flush"]).output().unwrap())
    }

    /// Where spans are sent to.
    pub(crate) fn target(&self) -> String {
        format!("{}/v1/traces", self.collector.endpoint())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.environment.home().join(".local/state/navtrace")
    }

    /// The journals of sessions.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        files(&self.state().join("sessions"))
    }

    /// The batches in the spool.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        files(&self.state().join("spool"))
    }

    /// The ids of the spans in the spool.
    pub(crate) fn spooled_ids(&self) -> Vec<String> {
        let batches = self.spooled().into_iter().map(|path| fs::read_to_string(path).unwrap());
        batches.flat_map(|text| ids(&crate::collector::spans(&crate::collector::read_line(&text)))).collect()
    }

    /// Waits until the collector has accepted so many spans, and gives their ids.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Span> {
        self.collector.wait_for(PATIENCE, |spans| spans.len() >= count)
    }

    /// Waits until so many requests have arrived, accepted or not.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        wait_until(&format!("{count} requests arrive"), || self.collector.arrived().len() >= count);
    }

    /// What the collector has of a session must be a tree with one root, and have each of these spans, and each once.
    pub(crate) fn assert_tree(&self, session: &Session, expected: &[String]) {
        assert_tree(&self.collector.spans(), session, expected);
    }
}

/// An exit code and standard error.
pub(crate) fn said(output: &Output) -> (i32, String) {
    assert_eq!(output.stdout, b"");
    (output.status.code().unwrap(), crate::navtrace::stderr(output))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The files below a directory, by their names.
pub(crate) fn files_below(dir: &Path) -> Vec<String> {
    let names = files(dir)
        .into_iter()
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] });
    names.collect()
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it takes too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The ids of spans, as a `traceparent` has them.
pub(crate) fn ids(spans: &[Span]) -> Vec<String> {
    spans.iter().map(|span| hex(&span.span_id)).collect()
}

/// Spans must be a tree with one root, the session's, and have each of these spans, and each once.
pub(crate) fn assert_tree(spans: &[Span], session: &Session, expected: &[String]) {
    let mut counts = BTreeMap::<String, usize>::new();
    for id in ids(spans) {
        *counts.entry(id).or_default() += 1;
    }
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(repeated.is_empty(), "spans that came more than once: {repeated:?}");
    let found: BTreeSet<_> = counts.keys().cloned().collect();
    let mut wanted: BTreeSet<_> = expected.iter().cloned().collect();
    wanted.insert(session.span_id());
    let (missing, more): (Vec<_>, Vec<_>) = (wanted.difference(&found).collect(), found.difference(&wanted).collect());
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:?}, not expected: {more:?}");
    for span in spans {
        let (id, parent) = (hex(&span.span_id), hex(&span.parent_span_id));
        assert_eq!(hex(&span.trace_id), session.trace_id(), "{id}");
        assert_eq!(parent.is_empty(), id == session.span_id(), "{id} has the parent {parent}");
        assert!(parent.is_empty() || found.contains(&parent), "{id} has the parent {parent}, which is missing");
    }
}

/// The ids of several page loads.
pub(crate) fn expected(pages: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    pages.into_iter().flatten().collect()
}

/// Listens to hosts as `navtrace run` does.
pub(crate) struct Heard {
    receiver: reports::Receiver,
    _dir: TempDir,
}

impl Heard {
    pub(crate) fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { receiver: reports::Receiver::listen(dir.path(), |_| ()).unwrap(), _dir: dir }
    }

    /// Has a host report here.
    pub(crate) fn listens_to(&self, host: &mut Command) {
        host.env(RUN_SOCKET, self.receiver.path());
    }

    /// The one trace that was reported, once its hosts have ended.
    pub(crate) fn trace(&self) -> TracedSession {
        let ended = |session: &TracedSession| session.ended.is_some() && session.exported.is_some();
        let session = self.receiver.wait_for(PATIENCE, |state| {
            assert!(state.sessions.len() <= 1, "{:?}", state.sessions);
            state.sessions.first().filter(|session| ended(session)).cloned()
        });
        session.unwrap()
    }

    /// So many traces, once all of their hosts have ended.
    pub(crate) fn traces(&self, count: usize) -> Vec<TracedSession> {
        let ended = |session: &TracedSession| session.ended.is_some() && session.exported.is_some();
        let sessions = self.receiver.wait_for(PATIENCE, |state| {
            (state.sessions.len() == count && state.sessions.iter().all(ended)).then(|| state.sessions.clone())
        });
        sessions.unwrap()
    }

    /// What was to be told to the user.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.receiver.wait_for(PATIENCE, |state| Some(state.problems.keys().cloned().collect())).unwrap()
    }
}

/// What the host answered a hello with.
#[derive(Debug, Clone)]
pub(crate) struct Session(pub(crate) Value);

impl Session {
    pub(crate) fn trace_id(&self) -> String {
        self.0["traceId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn span_id(&self) -> String {
        self.0["spanId"].as_str().unwrap().to_owned()
    }
}

/// A host, and the browser that started it.
pub(crate) struct Host {
    /// The host itself, or the browser that it is a child of.
    child: Child,
    pub(crate) pid: u32,
    stdin: Option<ChildStdin>,
    frames: Receiver<Value>,
    /// What it told of its exporter, which it does at times of its own, and when.
    states: Arc<Mutex<Vec<(Instant, Value)>>>,
    said: Arc<Mutex<String>>,
    /// The number of the last batch.
    number: u64,
}

impl Host {
    fn start(mut command: Command, pid_file: Option<&Path>) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdin, mut stdout, mut stderr) =
            (child.stdin.take(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, frames) = mpsc::channel();
        let states = Arc::<Mutex<Vec<_>>>::default();
        let states_heard = Arc::clone(&states);
        std::thread::spawn(move || {
            let mut length = [0; 4];
            while stdout.read_exact(&mut length).is_ok() {
                let mut body = vec![0; u32::from_ne_bytes(length) as usize];
                if stdout.read_exact(&mut body).is_err() {
                    return;
                }
                let frame: Value = serde_json::from_slice(&body).unwrap();
                if frame["type"] == "exporter" {
                    states_heard.lock().unwrap().push((Instant::now(), frame));
                } else if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        let said = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let mut pid = child.id();
        if let Some(file) = pid_file {
            wait_until("the host is started", || {
                let text = fs::read_to_string(file).unwrap_or_default();
                text.ends_with('\n') && text.trim().parse().map(|found| pid = found).is_ok()
            });
        }
        Self { child, pid, stdin, frames, states, said, number: 0 }
    }

    /// The browser's process.
    pub(crate) fn browser(&self) -> u32 {
        assert_ne!(self.pid, self.child.id());
        self.child.id()
    }

    /// Sends a frame as it is.
    pub(crate) fn send_bytes(&mut self, body: &[u8]) {
        let frame = [&u32::try_from(body.len()).unwrap().to_ne_bytes(), body].concat();
        self.stdin.as_mut().unwrap().write_all(&frame).unwrap();
    }

    /// Sends a part of a frame.
    pub(crate) fn send_half(&mut self, body: &[u8]) {
        let frame = [&[0, 16, 0, 0], body].concat();
        self.stdin.as_mut().unwrap().write_all(&frame).unwrap();
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_bytes(&serde_json::to_vec(message).unwrap());
    }

    /// Gives the next answer.
    pub(crate) fn answer(&self) -> Value {
        self.frames.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer came; the host said: {}", self.said()))
    }

    /// Says hello as the extension of a browser that has just been started.
    pub(crate) fn greet(&mut self) -> Session {
        self.send_bytes(include_str!("../fixtures/messages/hello.json").trim_end().as_bytes());
        let answer = self.answer();
        assert_eq!(answer["type"], "session", "{answer}");
        Session(answer["session"].clone())
    }

    /// Goes on with the batches of the worker that another host had.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.number = other.number;
    }

    /// What it told of its exporter so far, and when.
    pub(crate) fn states(&self) -> Vec<(Instant, Value)> {
        self.states.lock().unwrap().clone()
    }

    /// Waits until it tells this of its exporter.
    pub(crate) fn wait_for_state(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) {
        wait_until(what, || self.states.lock().unwrap().last().is_some_and(|(_, state)| is_it(state)));
    }

    /// Says hello as an extension that has a session.
    pub(crate) fn resume(&mut self, session: &Session) {
        self.send(&json!({"v": 1, "type": "hello", "extension": "0.1.0", "offTheRecord": true, "session": session.0}));
        assert_eq!(self.answer()["session"], session.0);
    }

    /// Sends a batch and does not wait for it.
    pub(crate) fn tell(&mut self, worker: &str, number: u64, observations: &[Observation]) {
        self.send(&json!({
            "v": 1, "type": "observed", "worker": worker, "number": number, "dropped": 0, "observations": observations,
        }));
    }

    /// Sends a batch of a session that is over, and waits until it is safe.
    pub(crate) fn observe_late(&mut self, session: &Session, observations: &[Observation]) {
        self.number += 1;
        self.send(&json!({
            "v": 1, "type": "observed", "worker": WORKER, "number": self.number, "dropped": 0, "session": session.0,
            "observations": observations,
        }));
        self.assert_received(WORKER, self.number);
    }

    /// Waits until a batch is safe.
    pub(crate) fn assert_received(&self, worker: &str, number: u64) {
        assert_eq!(self.answer(), json!({"v": 1, "type": "received", "worker": worker, "number": number}));
    }

    /// Sends the next batch and waits until it is safe.
    pub(crate) fn observe(&mut self, observations: &[Observation]) {
        self.number += 1;
        self.tell(WORKER, self.number, observations);
        self.assert_received(WORKER, self.number);
    }

    /// Asks for something that the host answers by itself, and tells how long that took.
    pub(crate) fn replenish(&mut self) -> Duration {
        let start = Instant::now();
        self.send(&json!({"v": 1, "type": "replenish", "count": 1}));
        assert_eq!(self.answer()["type"], "contexts");
        start.elapsed()
    }

    /// What it said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says something.
    pub(crate) fn hear(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            assert!(Instant::now() < deadline, "the host did not say {words:?} but {:?}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often it said something.
    pub(crate) fn count_said(&self, words: &str) -> usize {
        self.said().matches(words).count()
    }

    pub(crate) fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
    }

    /// Waits until it has ended, and tells how long that took.
    pub(crate) fn wait_gone(&self) -> Duration {
        let start = Instant::now();
        wait_until("the host ends", || !self.is_running());
        start.elapsed()
    }

    /// Kills the host; its browser goes on.
    pub(crate) fn kill(&self) {
        kill(self.pid);
        self.wait_gone();
    }

    /// Ends the channel while the browser goes on, as when the extension is reloaded.
    pub(crate) fn close_channel(&mut self) {
        self.stdin = None;
    }

    /// Ends the channel while the browser goes on, and gives the host's exit status. For hosts whose browser is the test.
    pub(crate) fn leave(&mut self) -> ExitStatus {
        assert_eq!(self.pid, self.child.id());
        self.close_channel();
        self.child.wait().unwrap()
    }

    /// Kills the browser, which ends the channel.
    pub(crate) fn kill_browser(&mut self) {
        assert_ne!(self.pid, self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.close_channel();
    }

    /// Kills the browser, waits for the host's end, and tells how long that took.
    pub(crate) fn end(&mut self) -> Duration {
        self.kill_browser();
        let took = self.wait_gone();
        assert!(took < LAST_SPANS, "the host ended {took:?} after its browser");
        took
    }

    /// Kills the browser and the host at once.
    pub(crate) fn kill_both(&mut self) {
        self.kill();
        self.kill_browser();
    }
}

impl Drop for Host {
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
