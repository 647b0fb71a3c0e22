//! Learns from `navtrace run` which test drives the browser, and tells the extension.

use std::fs::File;
use std::sync::{Arc, Mutex};

use crate::base::process::Process;
use crate::base::{lock, threads};
use crate::channel::host::send;
use crate::channel::message::to_extension::ToExtension;
use crate::export::queue::QueuedTests;
use crate::run::reports::{Report, ReportSender};
use crate::run::test_runner::messages::{FollowWorker, Notice, TestContext};

/// The index of the worker process of Playwright Test that has started the browser.
const WORKER_INDEX: &str = "TEST_WORKER_INDEX";

/// The test that drives the browser, as far as the host and the extension know.
pub(super) struct TestWorker {
    frames: Arc<Mutex<File>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    test: Option<TestContext>,
    /// Whether the extension has its session, without which it has no use for a test.
    has_session: bool,
}

impl TestWorker {
    /// Asks for the tests of the worker above the browser, if there is one. Passes their steps, and the iterations of k6 if it has started the
    /// browser, to the queue.
    pub(super) fn follow(
        frames: &Arc<Mutex<File>>,
        run: &ReportSender,
        follows_iterations: bool,
        queue: QueuedTests,
    ) -> Arc<Self> {
        let worker = Arc::new(Self { frames: Arc::clone(frames), state: Mutex::default() });
        let index = std::env::var(WORKER_INDEX).ok().and_then(|index| index.parse().ok());
        let follow = index.map(|index| Report::FollowWorker(FollowWorker::new(index, Process::ancestors())));
        if !follow.map_or(follows_iterations, |follow| run.send(&follow)) {
            return worker;
        }
        let (run, for_thread) = (run.clone(), Arc::clone(&worker));
        let reading = threads::start("tests", move || {
            run.read_notices(|notice| match notice {
                Notice::Test { test } => for_thread.change(test),
                Notice::Step(step) => queue.step(step),
                Notice::Iteration(iteration) => queue.iteration(iteration),
                Notice::Trace { .. } => {}
            });
            // From here on the end of a test would not be known.
            for_thread.change(None);
        });
        if let Err(failure) = reading {
            tracing::debug!("the browser's contexts stay apart from the tests: {failure}");
        }
        worker
    }

    /// Tells the extension of the test, now that it has its session.
    pub(super) fn session_issued(&self) {
        let mut state = lock(&self.state);
        state.has_session = true;
        if let Some(test) = state.test.clone() {
            send(&self.frames, &ToExtension::Test { test: Some(test) });
        }
    }

    fn change(&self, test: Option<TestContext>) {
        // Sent under the lock, so that the extension gets the latest one last.
        let mut state = lock(&self.state);
        if state.test == test {
            return;
        }
        state.test.clone_from(&test);
        if state.has_session {
            send(&self.frames, &ToExtension::Test { test });
        }
    }
}
