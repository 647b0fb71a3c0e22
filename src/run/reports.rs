//! What launchers and hosts tell the `navtrace run` above them, over a socket in its private directory.
//!
//! A client such as k6 swallows the browser's standard error, so problems would go unseen, and only the hosts know the traces.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::context::mode::Mode;
use crate::export::record::Exported;
use crate::observe::tally::Tally;
pub use crate::run::ledger::{Ledger, Trace};

/// The environment variable that carries the socket's path from `navtrace run` to launchers and hosts.
pub const VARIABLE: &str = "NAVTRACE_RUN";

/// No browser and no host ever waits longer than this for `navtrace run`.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// How long nobody is let in after that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// One line on the socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Report {
    /// Something that the user should know.
    Problem {
        /// One sentence.
        message: String,
    },
    /// A host has given the extension its session. Everything behind it on the same connection belongs to this trace.
    Session {
        /// The session's trace id.
        trace_id: TraceId,
        /// The session's own span: several sessions may be part of one trace.
        span_id: SpanId,
        /// Whether it is sampled.
        sampled: bool,
        /// Whether the extension may act in off-the-record contexts.
        off_the_record: bool,
    },
    /// Headers are in place.
    Armed {
        /// How requests get their headers.
        mode: Mode,
    },
    /// What the trace has so far.
    Tally(Tally),
    /// What became of the trace's spans.
    Exported(Exported),
    /// What came of a trace that ended before another one began on the same connection.
    Past {
        /// The session's trace id.
        trace_id: TraceId,
        /// The session's own span.
        span_id: SpanId,
        /// What it did.
        tally: Tally,
        /// What became of its spans.
        exported: Exported,
    },
    /// `navtrace run` wants to know that everything before has been read.
    End,
}

/// Tells whether a `navtrace run` above this process listens.
pub(crate) fn is_heard() -> bool {
    socket_path().is_some()
}

fn socket_path() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The sending end. One that nobody listens to swallows everything.
#[derive(Debug)]
pub(crate) struct Sender(Option<UnixStream>);

impl Sender {
    /// Connects to the `navtrace run` above this process, if there is one.
    pub(crate) fn connect() -> Self {
        Self(socket_path().and_then(|path| connect(&path).ok()))
    }

    /// Reports a problem and tells whether somebody took it.
    pub(crate) fn problem(&mut self, message: &str) -> bool {
        self.send(&Report::Problem { message: message.to_owned() })
    }

    /// Sends one report and tells whether somebody took it. After a failure nothing is tried again.
    pub(crate) fn send(&mut self, report: &Report) -> bool {
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

/// Looks at what was reported so far.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Shared>);

impl Watch {
    /// Gives what `look` takes out of it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.0.lock())
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
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A look at what was reported so far, for another thread.
    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
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
