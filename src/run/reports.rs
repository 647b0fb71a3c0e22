//! Reports of launchers and hosts to `navtrace run`, over a socket in its private directory.
//!
//! Clients such as k6 hide the browser's standard error, so problems would go unseen, and only the hosts know the traces.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::environment::{self, RUN_SOCKET};
use crate::base::lock;
use crate::context::ids::{SpanId, TraceId};
use crate::context::mode::Mode;
use crate::export::journal::ExportCounts;
use crate::observe::counts::SessionCounts;
use crate::observe::session::IterationTrace;
pub use crate::run::receiver::ReportReceiver;
pub use crate::run::state::{RunState, TracedSession};
use crate::run::test_runner::messages::{FollowWorker, Notice, StepBegan, StepEnded, TestBegan, TestEnded};

/// Longest time that a browser's start or a host waits for `navtrace run` to read.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

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
    /// The browser has left the host, or has ended.
    ChannelEnded,
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
    /// A test runner has begun an attempt of a test.
    TestBegan(TestBegan),
    /// A step of a test has begun.
    StepBegan(StepBegan),
    /// A step of a test has ended.
    StepEnded(StepEnded),
    /// An attempt of a test has ended.
    TestEnded(TestEnded),
    /// A test runner has ended without running a test: it has listed them, for instance, or merged the reports of earlier runs.
    NoTestRan,
    /// A host asks for the tests of the worker process above its browser.
    FollowWorker(FollowWorker),
    /// A host has found the trace of an iteration of k6, and asks for what happens in it.
    IterationTrace(IterationTrace),
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

    pub(super) fn to(stream: Option<UnixStream>) -> Self {
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

    /// Passes what `navtrace run` tells this process to `on_notice`, until the connection ends.
    pub(crate) fn read_notices(&self, on_notice: impl Fn(Notice)) {
        let Some(Ok(stream)) = lock(&self.0).as_ref().map(UnixStream::try_clone) else { return };
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(notice) => on_notice(notice),
                Err(error) => tracing::debug!("a notice can't be read: {error}: {line}"),
            }
        }
    }
}

pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    Ok(stream)
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
