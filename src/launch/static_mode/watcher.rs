//! The watcher: the process beside a browser in static mode, which exports the session's root span and cleans up when the browser has ended.
//!
//! Services have spans below the root, so it must be exported however the browser ends.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::base::process::Process;
use crate::base::temporary::{self, TemporaryDirectory};
use crate::base::{stdio, threads};
use crate::context::issuer::SessionContext;
use crate::context::traceparent::SpanContext;
use crate::export::ExporterState;
use crate::export::options::ExportOptions;
use crate::export::queue::{ExportedSession, Listener, UnstartedQueue};
use crate::launch::relay::{REMOVAL_TIMEOUT, pipe};
use crate::launch::static_mode::SessionReports;
use crate::launch::watch::BrowserWatch;
use crate::observe::counts::SessionCounts;

/// The state of the watcher.
pub(super) struct Watcher {
    pub(super) watch: BrowserWatch,
    /// The launcher, which becomes the browser.
    pub(super) browser: Process,
    /// Reads the end once the launcher has become the browser, or a byte if that failed.
    pub(super) executed: OwnedFd,
    pub(super) session: SessionContext,
    /// The span above the session's, in another process.
    pub(super) parent: Option<SpanContext>,
    pub(super) extension_dir: TemporaryDirectory,
    pub(super) temporary_profile: Option<TemporaryDirectory>,
    /// Whether to remove what killed processes have left behind. Otherwise `navtrace run` does.
    pub(super) sweeps: bool,
    pub(super) export: ExportOptions,
    pub(super) reports: Arc<dyn SessionReports>,
}

impl Watcher {
    /// Waits for the browser's end, then cleans up and exports.
    pub(super) fn run(self) {
        // A client that waits until the files are closed that it passed to the browser should wait for the browser alone.
        stdio::silence_input();
        stdio::silence_output();
        stdio::silence_errors();
        pipe::close_inherited();
        if !matches!(rustix::io::read(&self.executed, &mut [0; 1]), Ok(0)) {
            // There was no browser. Dropping the directories removes them.
            return;
        }
        self.reports.started(self.session);
        let mut queue = UnstartedQueue::new(&self.export, self.browser, Arc::new(Problems(Arc::clone(&self.reports))));
        queue.begin_unobserved(self.session, self.parent);
        // Threads run meanwhile only where they have something to send.
        let end: Box<dyn FnOnce() -> Vec<ExportedSession>> = if queue.has_spooled_spans() {
            let (queue, reports) = (queue.start(), Arc::clone(&self.reports));
            Box::new(move || match queue {
                Ok(queue) => queue.end(),
                Err(failure) => {
                    // The session stays in its journal.
                    reports.problem(&failure.to_string());
                    Vec::new()
                }
            })
        } else {
            Box::new(|| queue.end())
        };
        self.watch.wait();
        let removal = remove_later(self.extension_dir, self.temporary_profile);
        if let Some(session) = end().last() {
            self.reports.ended(session);
        }
        let _ = removal.map(JoinHandle::join);
        if self.sweeps {
            temporary::sweep();
        }
    }

    /// Leaves the cleanup to the forked process that has the same watcher.
    pub(super) fn leave(self) {
        self.extension_dir.leave();
        if let Some(dir) = self.temporary_profile {
            dir.leave();
        }
    }
}

/// Removes temporary directories in a thread of its own, since the browser's children may still be writing there.
///
/// Without a thread they are removed at once.
fn remove_later(
    extension_dir: TemporaryDirectory,
    temporary_profile: Option<TemporaryDirectory>,
) -> Option<JoinHandle<()>> {
    let removal = threads::start("removal", move || {
        for dir in [Some(extension_dir), temporary_profile].into_iter().flatten() {
            dir.remove(REMOVAL_TIMEOUT);
        }
    });
    removal.ok()
}

/// Passes on the problems of the queue. There is no extension to tell of anything else.
struct Problems(Arc<dyn SessionReports>);

impl Listener for Problems {
    fn batch_stored(&self, _worker: &str, _number: u64) {}

    fn counted(&self, _counts: &SessionCounts) {}

    fn exporter_changed(&self, _state: &ExporterState) {}

    fn problem(&self, problem: &str) {
        self.0.problem(problem);
    }
}
