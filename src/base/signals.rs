//! Handlers for signals that end or steer a command.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::base::failure::{ExitCode, Failure};

/// The signals by which a user ends a command: closing the terminal, Ctrl-C, `kill`.
pub(crate) const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Signals that arrived, each with its sender.
pub(crate) type Signals = SignalsInfo<WithOrigin>;

/// Catches `signals`, which then no longer end this process. A hangup that this process was started to ignore (`nohup`) stays ignored.
pub(crate) fn catch(signals: &[i32]) -> Result<Signals, Failure> {
    Signals::new(signals.iter().filter(|signal| **signal != SIGHUP || !is_ignored(SIGHUP)))
        .map_err(|error| Failure::new(ExitCode::Failure, "cannot install signal handlers").because(error))
}

/// Returns whether this process was started with `signal` ignored, as `nohup` does.
pub(crate) fn is_ignored(signal: i32) -> bool {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `current` lives through the call, and a null new action changes nothing.
    let status = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) };
    status == 0 && current.sa_sigaction == libc::SIG_IGN
}
