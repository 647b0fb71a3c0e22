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

/// Gives what an error comes down to: what is around it says less, and at length.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
