//! Counts what a session did, for the summary of `navtrace run`.

use serde::{Deserialize, Serialize};

/// What one trace has so far.
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
