//! Export: sends finished spans over OTLP. Spans that can't be sent are kept for later.
//!
//! [`queue`] owns this host's sessions and their waiting spans, each with a [`journal`]; [`send`] talks to the collector; [`spool`] keeps
//! batches for the next host or [`flush`], and [`sweep`] removes what killed processes left.

pub(crate) mod destination;
pub(crate) mod flush;
pub(crate) mod journal;
pub(crate) mod options;
pub(crate) mod otlp;
mod problems;
pub(crate) mod queue;
pub(crate) mod resource;
mod send;
mod session;
pub(crate) mod spool;
mod sweep;
pub(crate) mod transport;

use serde::{Deserialize, Serialize};

/// The state of this browser's export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExporterState {
    /// Spans that the collector accepted.
    pub exported: usize,
    /// Spans that wait to be sent, in memory or in the spool.
    pub kept: usize,
    /// Spans that were refused or lost.
    pub dropped: usize,
    /// Why spans can't be sent at the moment.
    pub problem: Option<String>,
}

/// Returns the innermost cause of an error, which says more than the errors around it.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
