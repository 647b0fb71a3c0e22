//! A queue whose threads do not run yet, so that a browser without a worker costs nothing while it runs.

use std::sync::{Arc, mpsc};

use crate::base::clock::unix_nanos_now;
use crate::base::directories::StateDirectory;
use crate::base::failure::Failure;
use crate::base::process::Process;
use crate::base::threads;
use crate::context::issuer::SessionContext;
use crate::context::traceparent::SpanContext;
use crate::export::journal::SessionStart;
use crate::export::options::ExportOptions;
use crate::export::problems::Problems;
use crate::export::queue::backlog::Backlog;
use crate::export::queue::sessions::Sessions;
use crate::export::queue::thread::QueueThread;
use crate::export::queue::{ExportedSession, Listener, Message, Queue, links, remote};
use crate::export::resource::{self, BrowserInfo};
use crate::export::send::{CollectorSender, SenderEvent, SenderState};
use crate::export::spool::Spool;
use crate::observe::observation::Observed;

/// Stands for the worker's id in a session without a worker. Its one batch is empty, and makes the session one that was used.
const NO_WORKER: &str = "launcher";

/// The parts of a queue.
pub(crate) struct UnstartedQueue {
    options: ExportOptions,
    listener: Arc<dyn Listener>,
    problems: Arc<Problems>,
    state: Option<StateDirectory>,
    sessions: Sessions,
    browser: Process,
}

impl UnstartedQueue {
    /// Prepares the queue for the sessions of this browser.
    pub(crate) fn new(options: &ExportOptions, browser: Process, listener: Arc<dyn Listener>) -> Self {
        let for_problems = Arc::clone(&listener);
        let problems = Arc::new(Problems::new(Box::new(move |problem| for_problems.problem(problem))));
        // Without an export, nothing is kept.
        let state = options.endpoint.as_ref().and_then(|_| match StateDirectory::of_user() {
            Ok(state) => Some(state),
            Err(error) => {
                let problem = format!(
                    "nothing can be kept for later ({error}): set XDG_STATE_HOME to a folder that you may write to"
                );
                problems.report("state directory", &problem);
                None
            }
        });
        let sessions = Sessions::new(options, state.clone(), Arc::clone(&problems));
        Self { options: options.clone(), listener, problems, state, sessions, browser }
    }

    /// Begins a session in which nothing will be observed, and writes it to its journal: if this process is killed too, the next traced browser
    /// exports the root span.
    pub(crate) fn begin_unobserved(&mut self, context: SessionContext, parent: Option<SpanContext>) {
        let machine = resource::of_machine(self.browser.pid);
        let resource = resource::resource(&self.options, &BrowserInfo::default(), machine, context);
        let parent = parent.map(remote);
        let (time, browser, destination) = (unix_nanos_now(), self.browser, self.options.destination());
        let links = links(&self.options);
        self.sessions.begin(SessionStart { context, parent, links, time, resource, browser, destination });
        let (worker, observations) = (NO_WORKER.to_owned(), Vec::new());
        self.sessions.observe(Observed { worker, number: 1, dropped: 0, session: None, observations });
    }

    /// Returns whether spans of earlier browsers wait to be sent.
    pub(crate) fn has_spooled_spans(&self) -> bool {
        let spool = self.state.as_ref().map(|state| Spool::new(state.spool(), self.options.destination()));
        spool.is_some_and(|spool| spool.spans() > 0)
    }

    /// Starts the threads of the queue and the sender. Without the first the sessions stay in their journals, without the second their spans go to
    /// the spool.
    pub(crate) fn start(self) -> Result<Queue, Failure> {
        let Self { options, listener, problems, state, sessions, browser } = self;
        let messages = Arc::<Backlog>::default();
        let (jobs, for_sender) = mpsc::channel();
        let endpoint = options.endpoint.clone();
        let batch = options.batch.clone();
        let thread =
            QueueThread::new(options, browser, Arc::clone(&listener), sessions, endpoint.is_some().then_some(jobs));
        let received = Arc::clone(&messages);
        let thread = threads::start("queue", move || thread.run(&received))?;
        if let Some(endpoint) = endpoint {
            let notified = Arc::clone(&messages);
            let notify = move |event| notified.add(Message::Sender(event));
            let sender = CollectorSender::new(endpoint, batch, state, Arc::clone(&problems), notify);
            if let Err(failure) = threads::start("sender", move || sender.run(&for_sender)) {
                problems.set("sender", &format!("spans can't be sent: {failure}"));
                messages.add(Message::Sender(SenderEvent::State(SenderState::Stopped)));
            }
        }
        Ok(Queue { messages, thread, browser })
    }

    /// Ends the session of a browser that has ended: sends its root span, or keeps it for later. Starts threads only if there is something to
    /// send.
    pub(crate) fn end(mut self) -> Vec<ExportedSession> {
        let is_sampled = self.sessions.current().is_some_and(|session| session.start.context.flags.is_sampled());
        if self.options.endpoint.is_some() && is_sampled {
            let listener = Arc::clone(&self.listener);
            return match self.start() {
                Ok(queue) => queue.end(),
                Err(failure) => {
                    listener.problem(&failure.to_string());
                    Vec::new()
                }
            };
        }
        self.sessions.close(unix_nanos_now());
        self.sessions.finish()
    }
}
