//! Forks a process off the launcher, which then becomes the browser: so the client still holds, signals and waits for the process that it
//! started.

use std::io;

use rustix::pipe::PipeFlags;

use crate::base::failure::{ExitCode, Failure};

/// The two processes after a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The process that the client started.
    Launcher,
    /// The new process. It leads a process session of its own, because clients kill the browser's process group.
    Beside,
}

/// Fails if this process has more than one thread, as far as the system tells.
pub(super) fn ensure_single_thread() -> Result<(), Failure> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(count) if count > 1 => {
            let message = format!("navtrace can't fork safely: this process has {count} threads instead of one");
            Err(Failure::new(ExitCode::Failure, message).hint("report this as a bug of navtrace"))
        }
        _ => Ok(()),
    }
}

/// Forks this process. Returns in the launcher once the new process has left the process group, which a client may kill from then on.
///
/// Must be called while this process has only one thread ([`ensure_single_thread`]).
pub(super) fn fork() -> io::Result<Side> {
    let (detached, new_detached) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // SAFETY: this process has only one thread, so no lock is held and the child may run any code.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            if let Err(error) = rustix::process::setsid() {
                tracing::debug!("the process beside the browser has no process session of its own: {error}");
            }
            // The new process closes this pipe here, on return.
            Ok(Side::Beside)
        }
        _ => {
            drop(new_detached);
            let _ = rustix::io::read(&detached, &mut [0; 1]);
            Ok(Side::Launcher)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_second_thread_keeps_this_process_from_forking() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        let error = ensure_single_thread().unwrap_err().to_string();
        assert!(error.starts_with("navtrace can't fork safely: this process has "), "{error}");
        drop(sender);
        let _ = thread.join().unwrap();
    }
}
