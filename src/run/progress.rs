//! Shows the progress of a long run in the terminal's title, where it can't disturb the command's output.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::text::counted;
use crate::base::threads;
use crate::run::receiver::SharedState;
use crate::run::state::{RunState, TracedSession};

/// Age at which a run first shows its progress.
const DELAY: Duration = Duration::from_secs(2);

/// Interval between updates of the title.
const INTERVAL: Duration = Duration::from_secs(1);

/// Saves and restores the terminal's title (xterm's XTWINOPS). Terminals that don't know it ignore it.
const SAVE_TITLE: &str = "\x1b[22;2t";
const RESTORE_TITLE: &str = "\x1b[23;2t";

/// Shows progress until it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Sums over all sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Totals {
    traces: usize,
    requests: usize,
    failures: usize,
    /// Whether the requests of any session are observed.
    is_observed: bool,
}

impl Progress {
    /// Starts if standard error is a terminal with a title.
    pub(super) fn start(state: Arc<SharedState>) -> Self {
        let has_title =
            std::env::var_os("TERM").is_some_and(|term| term != "dumb" && term != "linux" && !term.is_empty());
        if !has_title || !io::stderr().is_terminal() {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel::<()>();
        // Without a thread the title stays as it is.
        let thread = threads::start("progress", move || show(&state, &stopped)).ok();
        Self { stop: Some(stop), thread }
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

fn show(state: &SharedState, stopped: &mpsc::Receiver<()>) {
    let mut latest = (Instant::now(), Totals::default());
    if stopped.recv_timeout(DELAY) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    write(SAVE_TITLE);
    loop {
        let now = (Instant::now(), Totals::of(&state.lock()));
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

/// Writes to the terminal. Ignores errors: the terminal may be gone.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

impl Totals {
    fn of(state: &RunState) -> Self {
        let counts = || state.sessions.iter().map(|session| &session.counts);
        Self {
            traces: state.sessions.len(),
            requests: counts().map(|counts| counts.requests).sum(),
            failures: counts().map(|counts| counts.failures).sum(),
            is_observed: state.sessions.iter().any(TracedSession::is_observed),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a run has fewer than 2^52 requests")]
fn title(totals: Totals, new_requests: usize, time: Duration) -> String {
    let traces = counted(totals.traces, "trace");
    if totals.traces > 0 && !totals.is_observed {
        return format!("navtrace: {traces}");
    }
    let per_second = new_requests as f64 / time.as_secs_f64().max(0.001);
    format!("navtrace: {traces}, {per_second:.0} requests/s, {} failed", totals.failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_has_traces_rate_and_failures() {
        let totals = Totals { traces: 3, requests: 120, failures: 2, is_observed: true };
        assert_eq!(title(totals, 50, Duration::from_secs(2)), "navtrace: 3 traces, 25 requests/s, 2 failed");
        let unobserved = Totals { is_observed: false, ..totals };
        assert_eq!(title(unobserved, 0, Duration::from_secs(2)), "navtrace: 3 traces");
        assert_eq!(title(Totals::default(), 0, Duration::ZERO), "navtrace: 0 traces, 0 requests/s, 0 failed");
    }
}
