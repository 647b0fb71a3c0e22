//! Signals while a run or a collector ends: they cut the wait short, or end this process at once.

use std::path::PathBuf;

use signal_hook::consts::{SIGUSR1, SIGUSR2};

use crate::base::files;
use crate::base::signals::Signals;
use crate::base::threads;
use crate::collect::receiver::{CollectorHandle, LAST_WRITE};

/// What must be complete or removed when this process ends at once.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    pub(super) collector: Option<CollectorHandle>,
    /// The run's directory.
    pub(super) dir: Option<PathBuf>,
}

impl Unfinished {
    /// Ends this process, with its files complete and nothing temporary left.
    fn end(self, code: i32) -> ! {
        if let Some(collector) = self.collector {
            collector.end_at_once();
        }
        files::stop_writing(LAST_WRITE);
        if let Some(dir) = self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
        std::process::exit(code)
    }
}

/// Calls `first` at the next signal, and ends this process at the one after it, with `code`.
pub(super) fn cut_short(mut signals: Signals, unfinished: Unfinished, code: u8, first: impl FnOnce() + Send + 'static) {
    watch(move || {
        if next(&mut signals).is_some() {
            first();
        }
        if next(&mut signals).is_some() {
            unfinished.end(code.into());
        }
    });
}

/// Ends this process at the next signal, with a shell's exit code for that signal.
pub(crate) fn end_at_next(mut signals: Signals, unfinished: Unfinished) {
    watch(move || {
        if let Some(signal) = next(&mut signals) {
            unfinished.end(128 + signal);
        }
    });
}

/// Waits for a signal that asks this process to end.
fn next(signals: &mut Signals) -> Option<i32> {
    let mut arrived = signals.forever().map(|origin| origin.signal);
    arrived.find(|signal| ![SIGUSR1, SIGUSR2].contains(signal))
}

/// Runs in a thread of its own. Without one, signals have no effect until the wait is over.
fn watch(wait: impl FnOnce() + Send + 'static) {
    if let Err(error) = threads::start("signals", wait) {
        tracing::debug!("signals can't be handled: {error}");
    }
}
