//! Counts what a session did, for the summary of `navtrace run`.

use serde::{Deserialize, Serialize};

use crate::context::ids::TraceId;

/// How many traces besides its own a session names.
const MOST_NAMED: usize = 3;

/// What one session has so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Navigations, whether or not a document came of them.
    pub navigations: usize,
    /// Requests that have ended, redirect hops apart.
    pub requests: usize,
    /// Requests among them that ended with an error: a status of 400 and more, or none.
    pub failures: usize,
    /// Requests among them that the browser's cache answered.
    pub cache_hits: usize,
    /// The request that took longest.
    pub slowest: Option<Slowest>,
    /// Observations that the extension lost.
    pub dropped: u64,
    /// Traces besides the session's own in which navigations were.
    pub other_traces: usize,
    /// The first of them.
    pub named_traces: Vec<TraceId>,
}

impl Tally {
    /// Counts a trace besides the session's own.
    pub(super) fn count_trace(&mut self, id: TraceId) {
        self.other_traces += 1;
        if self.named_traces.len() < MOST_NAMED {
            self.named_traces.push(id);
        }
    }
}

/// The request that took longest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slowest {
    /// How long it took, in nanoseconds.
    pub duration: u64,
    /// Its method and its address.
    pub name: String,
}
