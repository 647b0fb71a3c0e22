//! How far a long run has got, in the terminal's title: the one place where it can't disturb what the command prints.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::text::counted;
use crate::run::ledger::Ledger;
use crate::run::reports::Watch;

/// A run that takes longer is a long one.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the title changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Has the terminal remember its title, and take it back: XTWINOPS of xterm, which many others know; the rest ignore it.
const SAVE_TITLE: &str = "\x1b[22;2t";
const RESTORE_TITLE: &str = "\x1b[23;2t";

/// Shows progress until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was counted at some time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counts {
    traces: usize,
    requests: usize,
    failures: usize,
}

impl Progress {
    /// Shows it where standard error is a terminal that has a title.
    pub(crate) fn start(watch: Watch) -> Self {
        let has_title =
            std::env::var_os("TERM").is_some_and(|term| term != "dumb" && term != "linux" && !term.is_empty());
        if !has_title || !io::stderr().is_terminal() {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || show(&watch, &stopped));
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(watch: &Watch, stopped: &mpsc::Receiver<()>) {
    let mut latest = (Instant::now(), Counts { traces: 0, requests: 0, failures: 0 });
    if stopped.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    write(SAVE_TITLE);
    loop {
        let now = (Instant::now(), watch.look(counts));
        write(&format!(
            "\x1b]2;{}\x07",
            title(now.1, now.1.requests.saturating_sub(latest.1.requests), now.0 - latest.0)
        ));
        latest = now;
        if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    write(RESTORE_TITLE);
}

/// A terminal that is gone stops nothing.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn counts(ledger: &Ledger) -> Counts {
    let tallies = || ledger.traces.iter().map(|trace| &trace.tally);
    Counts {
        traces: ledger.traces.len(),
        requests: tallies().map(|tally| tally.requests).sum(),
        failures: tallies().map(|tally| tally.failures).sum(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "no run has so many requests")]
fn title(counts: Counts, new_requests: usize, time: Duration) -> String {
    let per_second = new_requests as f64 / time.as_secs_f64().max(0.001);
    format!("navtrace: {}, {per_second:.0} requests/s, {} failed", counted(counts.traces, "trace"), counts.failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_has_traces_rate_and_failures() {
        let counts = Counts { traces: 3, requests: 120, failures: 2 };
        assert_eq!(title(counts, 50, Duration::from_secs(2)), "navtrace: 3 traces, 25 requests/s, 2 failed");
        let none = Counts { traces: 0, requests: 0, failures: 0 };
        assert_eq!(title(none, 0, Duration::ZERO), "navtrace: 0 traces, 0 requests/s, 0 failed");
    }
}
