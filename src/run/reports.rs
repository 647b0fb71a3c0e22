//! Reports of launchers and hosts to `navtrace run`, over a socket in its private directory.
//!
//! Clients such as k6 hide the browser's standard error, so problems would go unseen, and only the hosts know the traces.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::base::environment::{self, RUN_SOCKET};
use crate::base::{lock, threads};
use crate::context::ids::{SpanId, TraceId};
use crate::context::mode::Mode;
use crate::export::journal::ExportCounts;
use crate::observe::counts::SessionCounts;
pub use crate::run::state::{RunState, TracedSession};

/// Longest time that a browser's start or a host waits for `navtrace run` to read.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// One report: a line of JSON on the socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Report {
    /// A sentence for the user.
    Problem { message: String },
    /// A host has given the extension its session. Later reports on the same connection belong to this session.
    Session { trace_id: TraceId, span_id: SpanId, sampled: bool, off_the_record: bool },
    /// Headers are in place.
    Armed { mode: Mode },
    /// The session's counts so far.
    #[serde(rename = "tally")]
    Counts(SessionCounts),
    /// The session's spans by export result.
    Exported(ExportCounts),
    /// Result of a session that ended before the connection's current one began.
    Past {
        trace_id: TraceId,
        span_id: SpanId,
        #[serde(rename = "tally")]
        counts: SessionCounts,
        exported: ExportCounts,
    },
    /// Sent by `navtrace run` to itself: connections opened earlier are accepted before this one.
    End,
}

/// Returns whether `navtrace run` started this process, directly or through its command.
pub(crate) fn is_under_run() -> bool {
    environment::path(RUN_SOCKET).is_some()
}

/// Sends reports; drops them when no `navtrace run` listens. Clones share one connection.
#[derive(Debug, Clone)]
pub(crate) struct ReportSender(Arc<Mutex<Option<UnixStream>>>);

impl ReportSender {
    /// Connects to the `navtrace run` above this process, if there is one.
    pub(crate) fn connect() -> Self {
        Self::to(environment::path(RUN_SOCKET).and_then(|path| connect(&path).ok()))
    }

    fn to(stream: Option<UnixStream>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// Reports a problem, and returns whether it was sent.
    pub(crate) fn problem(&self, message: &str) -> bool {
        self.send(&Report::Problem { message: message.to_owned() })
    }

    /// Sends a report, and returns whether that worked. After a failure later reports are dropped.
    pub(crate) fn send(&self, report: &Report) -> bool {
        let mut stream = lock(&self.0);
        let sent = match (stream.as_mut(), serde_json::to_string(report)) {
            (Some(stream), Ok(line)) => stream.write_all(format!("{line}\n").as_bytes()).is_ok(),
            _ => false,
        };
        if !sent {
            *stream = None;
        }
        sent
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    Ok(stream)
}

/// The state of a run, shared between threads.
#[derive(Debug, Default)]
pub(crate) struct SharedState {
    state: Mutex<RunState>,
    changed: Condvar,
}

impl SharedState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, RunState> {
        lock(&self.state)
    }

    /// Ends the wait for the reports of hosts.
    pub(super) fn stop_waiting(&self) {
        self.lock().is_cut_short = true;
        self.changed.notify_all();
    }
}

/// Receives reports, each connection in a thread of its own.
#[derive(Debug)]
pub struct ReportReceiver {
    path: PathBuf,
    shared: Arc<SharedState>,
}

impl ReportReceiver {
    /// Listens in `dir`, a private directory, and passes each new problem to `on_problem`.
    ///
    /// # Errors
    ///
    /// Fails when the socket can't be created.
    pub fn listen(dir: &Path, on_problem: fn(&str)) -> io::Result<Self> {
        let path = dir.join("run");
        let listener = UnixListener::bind(&path)?;
        let shared = Arc::new(SharedState::default());
        let shared_with_readers = Arc::clone(&shared);
        threads::start("reports", move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else {
                    // Most likely out of file descriptors, which hosts free as they end.
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                let stream = Arc::new(stream);
                shared_with_readers.lock().connected(connection);
                let start_reader = || {
                    let (stream, shared) = (Arc::clone(&stream), Arc::clone(&shared_with_readers));
                    threads::start("report", move || read(connection, &stream, &shared, on_problem))
                };
                // Where no thread can be started now, one can be once others have ended.
                while start_reader().is_err() {
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        })
        .map_err(io::Error::other)?;
        Ok(Self { path, shared })
    }

    /// Path of the socket, the value of `NAVTRACE_RUN`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the state for another thread.
    pub(crate) fn shared(&self) -> Arc<SharedState> {
        Arc::clone(&self.shared)
    }

    /// Waits until `ready` returns something; `None` after `timeout`.
    pub fn wait_for<T>(&self, timeout: Duration, mut ready: impl FnMut(&RunState) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits up to `timeout` until every open connection has ended or a signal ends the wait, and returns what was reported.
    #[must_use]
    pub fn finish(self, timeout: Duration) -> RunState {
        if let Ok(stream) = connect(&self.path) {
            ReportSender::to(Some(stream)).send(&Report::End);
        }
        self.wait_for(timeout, |state| (state.is_complete() || state.is_cut_short).then_some(()));
        std::mem::take(&mut self.shared.lock())
    }
}

fn read(connection: usize, stream: &UnixStream, shared: &SharedState, on_problem: fn(&str)) {
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
        Report::Session {
            trace_id: id.parse().unwrap(),
            span_id: "00f067aa0ba902b7".parse().unwrap(),
            sampled: true,
            off_the_record: true,
        }
    }

    const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn everything_sent_before_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = ReportReceiver::listen(dir.path(), |_| ()).unwrap();
        let senders: Vec<_> = (0..20).map(|_| ReportSender::to(Some(connect(receiver.path()).unwrap()))).collect();
        for (number, sender) in senders.iter().enumerate() {
            assert!(sender.send(&session(&format!("{:032x}", number + 1))));
        }
        drop(senders);
        let state = receiver.finish(Duration::from_secs(10));
        assert_eq!(state.sessions.len(), 20);
        assert!(state.sessions.iter().all(|session| session.ended.is_some()));
    }

    #[test]
    fn the_wait_for_a_host_that_does_not_end_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = ReportReceiver::listen(dir.path(), |_| ()).unwrap();
        let sender = ReportSender::to(Some(connect(receiver.path()).unwrap()));
        sender.send(&session(ONE));
        let state = receiver.finish(Duration::from_millis(200));
        assert_eq!(state.sessions[0].ended, None);
    }
}
