//! Step 6, export: sends finished spans over OTLP. What can't be sent is kept, never lost.
//!
//! [`record`] is what one session has, in memory and in its journal; [`exporter`] sends it in the background; [`spool`] keeps what is left when
//! the browser has gone, for the next host or `navtrace flush`.

pub(crate) mod exporter;
pub(crate) mod flush;
pub(crate) mod journal;
pub(crate) mod otlp;
pub(crate) mod record;
pub(crate) mod recorder;
pub(crate) mod resource;
pub(crate) mod settings;
pub(crate) mod spool;
pub(crate) mod transport;

use serde::{Deserialize, Serialize};

/// What became of the spans of this browser so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExporterState {
    /// Spans that the collector took.
    pub exported: usize,
    /// Spans that wait to be sent, here or in the spool.
    pub kept: usize,
    /// Spans that nobody took and nothing keeps.
    pub dropped: usize,
    /// Why spans can't be sent now, in one sentence.
    pub problem: Option<String>,
}

/// Gives what an error comes down to: what is around it says less, and at length.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
