//! Threads. A container may limit their number, so a start can fail.

use std::thread::{Builder, JoinHandle};

use crate::base::failure::{ExitCode, Failure};

/// Starts a thread.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
        Failure::new(ExitCode::Failure, "no thread can be started")
            .because(error)
            .hint("raise the limit of processes (`ulimit -u`, or the container's)")
    })
}
