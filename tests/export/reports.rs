//! Receives the reports of hosts, as `navtrace run` does.

use std::process::Command;

use navtrace::testing::reports::{self, Trace};
use tempfile::TempDir;

use crate::setup::TIMEOUT;

pub(crate) struct Reports {
    receiver: reports::Receiver,
    _dir: TempDir,
}

impl Reports {
    pub(crate) fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { receiver: reports::Receiver::listen(dir.path(), |_| ()).unwrap(), _dir: dir }
    }

    /// Makes a host report here.
    pub(crate) fn attach(&self, host: &mut Command) {
        host.env(reports::VARIABLE, self.receiver.path());
    }

    /// Waits until the hosts of the only trace have ended, and returns the trace.
    pub(crate) fn trace(&self) -> Trace {
        self.traces(1).remove(0)
    }

    /// Waits until there are `count` traces and all of their hosts have ended.
    pub(crate) fn traces(&self, count: usize) -> Vec<Trace> {
        let ended = |trace: &Trace| trace.ended.is_some() && trace.exported.is_some();
        let traces = self.receiver.wait_for(TIMEOUT, |ledger| {
            assert!(ledger.traces.len() <= count, "{:?}", ledger.traces);
            (ledger.traces.len() == count && ledger.traces.iter().all(ended)).then(|| ledger.traces.clone())
        });
        traces.unwrap()
    }

    /// Returns all reported problems. Each comes on a connection of its own, so this waits until all hosts have closed theirs.
    pub(crate) fn problems(self) -> Vec<String> {
        self.receiver.finish(TIMEOUT).problems.into_keys().collect()
    }
}
