//! What launchers and hosts tell the `navtrace run` above them, over a socket in its private directory.
//!
//! A client such as k6 swallows the browser's standard error, so problems would go unseen, and only the hosts know the traces.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::channel::message::{Mode, Outcome};
use crate::context::ids::TraceId;
use crate::say::say;

/// The environment variable that carries the socket's path from `navtrace run` to launchers and hosts.
pub const VARIABLE: &str = "NAVTRACE_RUN";

/// No browser and no host ever waits longer than this for `navtrace run`.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// How long nobody is let in after that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Problems that are told; more are only counted.
pub const MOST_PROBLEMS: usize = 10;

/// One line on the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Report {
    /// Something that the user should know.
    Problem {
        /// One sentence.
        message: String,
    },
    /// A host has given the extension its session. Everything behind it on the same connection belongs to this trace.
    Session {
        /// The session's trace id.
        trace_id: TraceId,
        /// Whether the extension may act in off-the-record contexts.
        off_the_record: bool,
    },
    /// Headers are in place.
    Armed {
        /// How requests get their headers.
        mode: Mode,
    },
    /// A navigation has used a context.
    Navigation {
        /// What came of it.
        outcome: Outcome,
    },
    /// `navtrace run` wants to know that everything before has been read.
    End,
}

/// Tells whether a `navtrace run` above this process listens.
#[must_use]
pub fn is_heard() -> bool {
    socket_path().is_some()
}

/// Tells the user of a problem: through `navtrace run` where one listens, else on standard error.
pub fn problem(message: &str) {
    if !Sender::connect().problem(message) {
        say(message);
    }
}

fn socket_path() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The sending end. One that nobody listens to swallows everything.
#[derive(Debug)]
pub struct Sender(Option<UnixStream>);

impl Sender {
    /// Connects to the `navtrace run` above this process, if there is one.
    #[must_use]
    pub fn connect() -> Self {
        Self(socket_path().and_then(|path| connect(&path).ok()))
    }

    /// Reports a problem and tells whether somebody took it.
    pub fn problem(&mut self, message: &str) -> bool {
        self.send(&Report::Problem { message: message.to_owned() })
    }

    /// Sends one report and tells whether somebody took it. After a failure nothing is tried again.
    pub fn send(&mut self, report: &Report) -> bool {
        let sent = match (&mut self.0, serde_json::to_string(report)) {
            (Some(stream), Ok(line)) => stream.write_all(format!("{line}\n").as_bytes()).is_ok(),
            _ => false,
        };
        if !sent {
            self.0 = None;
        }
        sent
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    Ok(stream)
}

/// One trace, as its hosts reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace id.
    pub id: TraceId,
    /// Navigations, whether or not a document came of them.
    pub navigations: usize,
    /// When the first host took it up.
    pub started: Instant,
    /// When the last host ended; `None` while one is there.
    pub ended: Option<Instant>,
    /// How requests get their headers, once they do.
    pub mode: Option<Mode>,
    /// Whether the extension may act in off-the-record contexts.
    pub off_the_record: bool,
}

/// Everything that was reported. Pure: connections are numbers and time is an argument.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The traces in the order in which they began.
    pub traces: Vec<Trace>,
    /// The first problems, each with the number of times that it was reported.
    pub problems: BTreeMap<String, usize>,
    /// How many reports there were of problems beyond [`MOST_PROBLEMS`]. A disk that is full says so for every profile anew.
    pub further_problems: usize,
    /// Which trace each open connection reports on.
    open: BTreeMap<usize, Option<usize>>,
    ended: bool,
}

impl Ledger {
    fn connected(&mut self, connection: usize) {
        self.open.insert(connection, None);
    }

    fn disconnected(&mut self, connection: usize, now: Instant) {
        if let Some(Some(index)) = self.open.remove(&connection) {
            let still_open = self.open.values().any(|other| *other == Some(index));
            self.traces[index].ended = (!still_open).then_some(now);
        }
    }

    /// Takes a report and returns a problem that is new.
    fn apply(&mut self, connection: usize, report: Report, now: Instant) -> Option<String> {
        match report {
            Report::Problem { message } => {
                if self.problems.len() >= MOST_PROBLEMS && !self.problems.contains_key(&message) {
                    self.further_problems += 1;
                    return None;
                }
                let count = self.problems.entry(message.clone()).or_default();
                *count += 1;
                return (*count == 1).then_some(message);
            }
            Report::Session { trace_id, off_the_record } => {
                self.forget_unused(connection, trace_id);
                let index = self.trace_index(trace_id, now);
                self.traces[index].off_the_record = off_the_record;
                self.traces[index].ended = None;
                self.open.insert(connection, Some(index));
            }
            Report::Armed { mode } => {
                if let Some(trace) = self.trace_of(connection) {
                    trace.mode = Some(mode);
                }
            }
            Report::Navigation { .. } => {
                if let Some(trace) = self.trace_of(connection) {
                    trace.navigations += 1;
                }
            }
            Report::End => self.ended = true,
        }
        None
    }

    /// Forgets the trace of a connection that turns out to belong to another one: a host that answered late begins a trace and then learns
    /// of the one that requests carry.
    fn forget_unused(&mut self, connection: usize, trace_id: TraceId) {
        let Some(Some(index)) = self.open.get(&connection).copied() else { return };
        let trace = &self.traces[index];
        let shared = self.open.iter().any(|(other, traced)| *other != connection && *traced == Some(index));
        if trace.id == trace_id || trace.navigations > 0 || shared {
            return;
        }
        self.traces.remove(index);
        self.open.remove(&connection);
        for traced in self.open.values_mut().flatten().filter(|traced| **traced > index) {
            *traced -= 1;
        }
    }

    /// Finds a trace, or begins it: a host that was started anew continues the trace of the one before it.
    fn trace_index(&mut self, id: TraceId, now: Instant) -> usize {
        if let Some(index) = self.traces.iter().rposition(|trace| trace.id == id) {
            return index;
        }
        self.traces.push(Trace { id, navigations: 0, started: now, ended: None, mode: None, off_the_record: false });
        self.traces.len() - 1
    }

    fn trace_of(&mut self, connection: usize) -> Option<&mut Trace> {
        let index = (*self.open.get(&connection)?)?;
        self.traces.get_mut(index)
    }

    /// Everything that was connected when the end was asked for has been read to its own end.
    fn is_complete(&self) -> bool {
        self.ended && self.open.is_empty()
    }
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // A reader that panicked has left a ledger that can still be read.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving end: reads every connection in the background.
#[derive(Debug)]
pub struct Receiver {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Listens in `dir`, a private directory, and hands each new problem to `on_problem`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the socket from being made.
    pub fn listen(dir: &Path, on_problem: fn(&str)) -> io::Result<Self> {
        let path = dir.join("run");
        let listener = UnixListener::bind(&path)?;
        let shared = Arc::new(Shared::default());
        let for_readers = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else {
                    // Out of file descriptors, most likely: they come back as hosts end.
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                let shared = Arc::clone(&for_readers);
                shared.lock().connected(connection);
                std::thread::spawn(move || read(connection, stream, &shared, on_problem));
            }
        });
        Ok(Self { path, shared })
    }

    /// The path that goes into [`VARIABLE`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until `ready` gives something, at most until `timeout` has passed.
    pub fn wait_for<T>(&self, timeout: Duration, mut ready: impl FnMut(&Ledger) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut ledger = self.shared.lock();
        loop {
            if let Some(found) = ready(&ledger) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.shared.changed.wait_timeout(ledger, left);
            ledger = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everybody who is connected by now has gone, at most until `timeout` has passed, and gives what was reported.
    #[must_use]
    pub fn finish(self, timeout: Duration) -> Ledger {
        // Connections are accepted in order, so this one comes after everybody who was there before.
        if let Ok(stream) = connect(&self.path) {
            Sender(Some(stream)).send(&Report::End);
        }
        self.wait_for(timeout, |ledger| ledger.is_complete().then_some(()));
        std::mem::take(&mut self.shared.lock())
    }
}

fn read(connection: usize, stream: UnixStream, shared: &Shared, on_problem: fn(&str)) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(report) => {
                let problem = shared.lock().apply(connection, report, Instant::now());
                if let Some(problem) = problem {
                    on_problem(&problem);
                }
            }
            Err(error) => tracing::debug!("a report can't be read: {error}: {line}"),
        }
        shared.changed.notify_all();
    }
    shared.lock().disconnected(connection, Instant::now());
    shared.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> Report {
        Report::Session { trace_id: id.parse().unwrap(), off_the_record: true }
    }

    const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TWO: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_host_that_was_started_anew_continues_its_trace() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let navigation = Report::Navigation { outcome: Outcome::Committed };
        let mut ledger = Ledger::default();
        ledger.connected(0);
        ledger.apply(0, session(ONE), at(0));
        ledger.apply(0, navigation.clone(), at(1));
        ledger.disconnected(0, at(2));
        assert_eq!(ledger.traces[0].ended, Some(at(2)));
        ledger.connected(1);
        ledger.connected(2);
        ledger.apply(1, session(TWO), at(3));
        ledger.apply(2, session(ONE), at(4));
        assert_eq!(ledger.traces[0].ended, None);
        ledger.apply(2, navigation, at(5));
        ledger.disconnected(2, at(6));
        ledger.disconnected(1, at(7));
        let summary: Vec<_> = ledger
            .traces
            .iter()
            .map(|trace| (trace.id.to_string(), trace.navigations, trace.started, trace.ended))
            .collect();
        assert_eq!(summary, [(ONE.to_owned(), 2, at(0), Some(at(6))), (TWO.to_owned(), 0, at(3), Some(at(7)))]);
    }

    #[test]
    fn a_trace_that_a_late_host_began_in_vain_is_forgotten() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for connection in 0..2 {
            ledger.connected(connection);
        }
        ledger.apply(0, session(ONE), now);
        ledger.apply(1, session(TWO), now);
        ledger.apply(0, session("00000000000000000000000000000abc"), now);
        ledger.apply(1, Report::Navigation { outcome: Outcome::Committed }, now);
        let ids: Vec<_> = ledger.traces.iter().map(|trace| (trace.id.to_string(), trace.navigations)).collect();
        assert_eq!(ids, [(TWO.to_owned(), 1), ("00000000000000000000000000000abc".to_owned(), 0)]);
    }

    #[test]
    fn a_problem_is_told_once_and_counted() {
        let mut ledger = Ledger::default();
        let problem = Report::Problem { message: "no".into() };
        ledger.connected(0);
        assert_eq!(ledger.apply(0, problem.clone(), Instant::now()), Some("no".into()));
        assert_eq!(ledger.apply(0, problem, Instant::now()), None);
        assert_eq!(ledger.problems["no"], 2);
        for number in 0..100 {
            ledger.apply(0, Report::Problem { message: number.to_string() }, Instant::now());
        }
        assert_eq!((ledger.problems.len(), ledger.further_problems), (MOST_PROBLEMS, 91));
    }

    #[test]
    fn everything_sent_before_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = Receiver::listen(dir.path(), |_| ()).unwrap();
        let mut senders: Vec<_> = (0..20).map(|_| Sender(Some(connect(receiver.path()).unwrap()))).collect();
        for (number, sender) in senders.iter_mut().enumerate() {
            assert!(sender.send(&session(&format!("{:032x}", number + 1))));
        }
        drop(senders);
        let ledger = receiver.finish(Duration::from_secs(10));
        assert_eq!(ledger.traces.len(), 20);
        assert!(ledger.traces.iter().all(|trace| trace.ended.is_some()));
    }

    #[test]
    fn a_host_that_does_not_end_is_not_waited_for_longer_than_asked() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = Receiver::listen(dir.path(), |_| ()).unwrap();
        let mut sender = Sender(Some(connect(receiver.path()).unwrap()));
        sender.send(&session(ONE));
        let ledger = receiver.finish(Duration::from_millis(200));
        assert_eq!(ledger.traces[0].ended, None);
    }
}
