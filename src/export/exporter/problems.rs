//! Tells the user of problems, each once, and knows which one lasts.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::export::exporter::OnProblem;
use crate::export::root_cause;

/// Says each thing once.
pub(super) struct Problems {
    said: Mutex<HashSet<String>>,
    /// What keeps spans from being sent, as long as it does.
    now: Mutex<Option<String>>,
    tell: OnProblem,
}

impl Problems {
    pub(super) fn new(tell: OnProblem) -> Self {
        Self { said: Mutex::default(), now: Mutex::default(), tell }
    }

    /// What keeps spans from being sent.
    pub(super) fn lasting(&self) -> Option<String> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of a problem, unless one of the same kind was told before.
    pub(super) fn tell(&self, kind: &str, sentence: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.to_owned()) {
            (self.tell)(sentence);
        }
    }

    /// Tells of a problem that lasts until the collector takes spans.
    pub(super) fn last(&self, kind: &str, sentence: &str) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(sentence.to_owned());
        self.tell(kind, sentence);
    }

    /// Spans can be sent.
    pub(super) fn none(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn journal(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            let sentence = format!(
                "the session's journal can't be used ({}): spans are kept in memory alone, and a host that dies loses them",
                root_cause(&error)
            );
            self.tell("journal", &sentence);
        }
    }
}
