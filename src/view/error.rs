//! Why traces can't be shown: one sentence each.

use std::io;

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file can't be opened or read.
    #[error("{path} can't be read: {error}")]
    Io {
        /// What was to be read.
        path: String,
        /// Why it was not.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("{path} has no spans{}", broken.as_ref().map_or_else(String::new, |line| format!(": {line}")))]
    Empty {
        /// What was read.
        path: String,
        /// What is wrong with it.
        broken: Option<String>,
    },
    /// It is something else.
    #[error(
        "{path} is no trace file: expected OTLP JSON lines, as navtrace run and the OpenTelemetry Collector write them, or JSON from Jaeger"
    )]
    Foreign {
        /// What was read.
        path: String,
    },
    /// There is no such trace.
    #[error("there is no trace {id} in {path}, which has {traces}; to list them: navtrace view {path}")]
    Unknown {
        /// What was asked for.
        id: String,
        /// What was read.
        path: String,
        /// How many there are, in words.
        traces: String,
    },
    /// There are several.
    #[error("several traces in {path} begin with {id}: {names}")]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// What was read.
        path: String,
        /// Some of them.
        names: String,
    },
}
