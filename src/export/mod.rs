//! Step 6, export: sends finished spans over OTLP. What can't be sent is kept, never lost.
//!
//! [`record`] is what one session has, in memory and in its journal; [`exporter`] sends it in the background; [`spool`] keeps what is left when
//! the browser has gone, for the next host or `navtrace flush`.

pub mod exporter;
pub mod flush;
pub mod journal;
pub mod otlp;
pub mod process;
pub mod record;
pub mod recorder;
pub mod resource;
pub mod settings;
pub mod spool;
pub mod state;
pub mod transport;

/// Gives what an error comes down to: what is around it says less, and at length.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
