//! Receives the reports of hosts, as `navtrace run` does.

use std::process::Command;

use navtrace::testing::RUN_SOCKET;
use navtrace::testing::reports::{self, TracedSession};
use tempfile::TempDir;

use crate::setup::TIMEOUT;

pub(crate) struct Reports {
    receiver: reports::ReportReceiver,
    _dir: TempDir,
}

impl Reports {
    pub(crate) fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { receiver: reports::ReportReceiver::listen(dir.path(), |_| ()).unwrap(), _dir: dir }
    }

    /// Makes a host report here.
    pub(crate) fn attach(&self, host: &mut Command) {
        host.env(RUN_SOCKET, self.receiver.path());
    }

    /// Waits until the hosts of the only trace have ended, and returns the trace.
    pub(crate) fn trace(&self) -> TracedSession {
        self.traces(1).remove(0)
    }

    /// Waits until there are `count` traces and all of their hosts have ended.
    pub(crate) fn traces(&self, count: usize) -> Vec<TracedSession> {
        let ended = |session: &TracedSession| session.ended.is_some() && session.exported.is_some();
        let traces = self.receiver.wait_for(TIMEOUT, |state| {
            assert!(state.sessions.len() <= count, "{:?}", state.sessions);
            (state.sessions.len() == count && state.sessions.iter().all(ended)).then(|| state.sessions.clone())
        });
        traces.unwrap()
    }

    /// Returns all reported problems. Each comes on a connection of its own, so this waits until all hosts have closed theirs.
    pub(crate) fn problems(self) -> Vec<String> {
        self.receiver.finish(TIMEOUT).problems.into_keys().collect()
    }
}
