//! Reports problems to the user, each kind once, and remembers why spans can't be sent at the moment.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard};

use crate::base::lock;
use crate::export::root_cause;
use crate::export::spool::AddedBatch;

/// Reports a problem to the user.
pub(super) type OnProblem = Box<dyn Fn(&str) + Send + Sync>;

pub(super) struct Problems {
    state: Mutex<ProblemState>,
    on_problem: OnProblem,
}

#[derive(Default)]
struct ProblemState {
    /// The kinds that were reported.
    reported: HashSet<String>,
    /// Why spans can't be sent at the moment.
    current: Option<String>,
}

impl Problems {
    pub(super) fn new(on_problem: OnProblem) -> Self {
        Self { state: Mutex::default(), on_problem }
    }

    /// Reports a problem unless one of the same kind was reported before.
    pub(super) fn report(&self, kind: &str, message: &str) {
        let is_new = self.lock().reported.insert(kind.to_owned());
        if is_new {
            (self.on_problem)(message);
        }
    }

    /// Reports a problem that lasts until [`Problems::clear`].
    pub(super) fn set(&self, kind: &str, message: &str) {
        self.lock().current = Some(message.to_owned());
        self.report(kind, message);
    }

    /// Clears the current problem: spans can be sent again.
    pub(super) fn clear(&self) {
        self.lock().current = None;
    }

    /// Returns why spans can't be sent at the moment.
    pub(super) fn current(&self) -> Option<String> {
        self.lock().current.clone()
    }

    /// Reports that writing or opening a journal failed.
    pub(super) fn check_journal(&self, result: io::Result<()>) {
        if let Err(error) = result {
            let message = format!(
                "the session's journal can't be used ({}): spans are kept in memory alone, and a host that dies loses them",
                root_cause(&error)
            );
            self.report("journal", &message);
        }
    }

    /// Reports that the spool dropped its oldest spans for a batch, if it did.
    pub(super) fn check_dropped(&self, added: &AddedBatch) {
        if let Some(message) = added.dropped_message() {
            let problem = format!("{message}, and there may be more; `navtrace flush` sends what it has");
            self.report("spool full", &problem);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ProblemState> {
        lock(&self.state)
    }
}
