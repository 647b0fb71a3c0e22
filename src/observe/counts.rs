//! Counts what happened in a session, for the summary of `navtrace run`.

use serde::{Deserialize, Serialize};

use crate::context::ids::TraceId;

const MAX_NAMED_TRACES: usize = 3;

/// The counts of a session so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounts {
    /// Navigations, with or without a document.
    pub navigations: usize,
    /// Finished requests; each redirect hop counts.
    pub requests: usize,
    /// Requests of the kinds that `NAVTRACE_RESOURCES=calls` leaves out.
    #[serde(default)]
    pub other_kinds: usize,
    /// Requests that failed: with a status of 400 or more, or without a response.
    pub failures: usize,
    /// Requests answered from the browser's cache.
    pub cache_hits: usize,
    /// The request that took longest.
    pub slowest: Option<SlowestRequest>,
    /// Observations that the extension had to drop.
    pub dropped: u64,
    /// Sampled traces of navigations, besides the session's own.
    pub other_traces: usize,
    /// The ids of the first [`MAX_NAMED_TRACES`] of them.
    pub named_traces: Vec<TraceId>,
}

impl SessionCounts {
    /// Counts a trace other than the session's own.
    pub(super) fn count_trace(&mut self, id: TraceId) {
        self.other_traces += 1;
        if self.named_traces.len() < MAX_NAMED_TRACES {
            self.named_traces.push(id);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowestRequest {
    /// In nanoseconds.
    pub duration: u64,
    /// Method and address.
    pub name: String,
}
