//! The queue of this host: one thread owns the host's sessions, their journals and the spans that wait to be exported.
//!
//! Everything reaches the thread as a message, so that neither the channel to the extension nor the sender ever waits for a disk. The batches
//! among them are limited in number.

mod backlog;
mod overflow;
mod sessions;
mod thread;
mod unstarted;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::clock::unix_nanos_now;
use crate::base::failure::Failure;
use crate::base::process::Process;
use crate::context::issuer::SessionContext;
use crate::context::traceparent::SpanContext;
use crate::export::ExporterState;
use crate::export::journal::ExportCounts;
use crate::export::options::ExportOptions;
use crate::export::queue::backlog::Backlog;
use crate::export::resource::BrowserInfo;
use crate::export::send::SenderEvent;
use crate::export::session::QueuedSession;
use crate::observe::counts::SessionCounts;
use crate::observe::observation::{Observed, SpanLink};
use crate::observe::session::{EndedIteration, IterationTrace, RemoteParent, TestStep};
use crate::observe::span::Nanos;

pub(crate) use crate::export::queue::unstarted::UnstartedQueue;

/// How long a host whose channel has ended waits for the browser to end too, before it leaves the session to the next host.
const BROWSER_ENDS: Duration = Duration::from_millis(1500);

enum Message {
    /// The extension got a session.
    Session {
        context: SessionContext,
        parent: Option<RemoteParent>,
        browser: BrowserInfo,
        time: Nanos,
    },
    Observed(Observed),
    Step(TestStep),
    Iteration(EndedIteration),
    /// No more steps or iterations come.
    RunEnded,
    Sender(SenderEvent),
    /// The extension sends nothing more, so spans need not wait for others.
    ChannelEnded,
    /// Ends the queue. The session ends at `time` if the browser has ended, unless the next host continues it.
    End {
        time: Nanos,
        browser_ended: bool,
    },
}

/// Learns what the queue does. Called by the threads of the queue and the sender.
pub(crate) trait Listener: Send + Sync + 'static {
    /// A batch of observations is in the journal.
    fn batch_stored(&self, worker: &str, number: u64);
    /// The current session has made progress.
    fn counted(&self, counts: &SessionCounts);
    /// The state of the export has changed.
    fn exporter_changed(&self, state: &ExporterState);
    /// The user should know of a problem.
    fn problem(&self, problem: &str);
    /// A trace is that of an iteration of k6.
    fn iteration_found(&self, _trace: &IterationTrace) {}
}

/// A session with the counts of its observations and of its spans.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExportedSession {
    pub(crate) context: SessionContext,
    pub(crate) observation_counts: SessionCounts,
    pub(crate) export_counts: ExportCounts,
}

impl ExportedSession {
    fn of(session: &QueuedSession) -> Self {
        Self {
            context: session.start.context,
            observation_counts: session.observation_counts().clone(),
            export_counts: session.export_counts(),
        }
    }
}

/// A handle to the queue's thread.
pub(crate) struct Queue {
    messages: Arc<Backlog>,
    thread: JoinHandle<Vec<ExportedSession>>,
    browser: Process,
}

impl Queue {
    /// Starts the threads of the queue and the sender in a host, whose parent is the browser.
    pub(crate) fn start(options: &ExportOptions, listener: Arc<dyn Listener>) -> Result<Self, Failure> {
        UnstartedQueue::new(options, Process::parent(), listener).start()
    }

    /// Starts or continues a session, which may belong to a trace that another program started. The session before it is retired.
    pub(crate) fn session(&self, context: SessionContext, parent: Option<SpanContext>, browser: Option<BrowserInfo>) {
        let browser = browser.unwrap_or_default();
        let parent = parent.map(remote);
        self.messages.add(Message::Session { context, parent, browser, time: unix_nanos_now() });
    }

    /// Adds a batch of observations.
    pub(crate) fn observed(&self, observed: Observed) {
        self.messages.add(Message::Observed(observed));
    }

    /// Returns a handle for another thread, which hears of tests.
    pub(crate) fn tests(&self) -> QueuedTests {
        QueuedTests(Arc::clone(&self.messages))
    }

    /// Ends the queue after the channel has ended: sends or keeps what is left if the browser ends too, or else leaves the session to the next
    /// host. Returns the sessions of this host, the current one last.
    pub(crate) fn end(self) -> Vec<ExportedSession> {
        let time = unix_nanos_now();
        self.messages.add(Message::ChannelEnded);
        let browser_ended = self.browser.wait_gone(BROWSER_ENDS);
        self.messages.add(Message::End { time, browser_ended });
        self.thread.join().unwrap_or_default()
    }
}

/// Returns the links of every session's span.
fn links(options: &ExportOptions) -> Vec<SpanLink> {
    let linked = options.run.linked.iter();
    linked.map(|context| SpanLink { trace_id: context.trace_id, span_id: context.span_id }).collect()
}

/// Adds to a queue what is heard of tests.
pub(crate) struct QueuedTests(Arc<Backlog>);

impl QueuedTests {
    /// Adds the begin or the end of a step.
    pub(crate) fn step(&self, step: TestStep) {
        self.0.add(Message::Step(step));
    }

    /// Adds the end of an iteration of k6.
    pub(crate) fn iteration(&self, iteration: EndedIteration) {
        self.0.add(Message::Iteration(iteration));
    }
}

impl Drop for QueuedTests {
    /// Nothing more is heard.
    fn drop(&mut self) {
        self.0.add(Message::RunEnded);
    }
}

/// Returns a span of another process as a session's parent.
fn remote(parent: SpanContext) -> RemoteParent {
    RemoteParent { span_id: parent.span_id, tracestate: parent.tracestate }
}
