//! The queue's thread: handles messages one by one, and decides when to send.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::base::process::Process;
use crate::export::ExporterState;
use crate::export::journal::SessionStart;
use crate::export::options::ExportOptions;
use crate::export::queue::backlog::Backlog;
use crate::export::queue::sessions::Sessions;
use crate::export::queue::{ExportedSession, Listener, Message, links};
use crate::export::resource;
use crate::export::send::{Job, SenderEvent, SenderState};
use crate::export::session::QueuedSession;
use crate::observe::observation::Observed;
use crate::observe::span::Nanos;

/// How long the last spans may take once the browser has ended.
const LAST_SENDS: Duration = Duration::from_secs(2);

/// How long to wait for the collector's answer before the next host gets the session.
const LAST_ANSWER: Duration = Duration::from_millis(300);

/// How long it may take to hear of the end of an iteration of k6 once its browser has ended. By default k6 sends spans every 5 s.
const ITERATION_END: Duration = Duration::from_secs(7);

/// The shortest time between two reports of the exporter's state.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct QueueThread {
    options: ExportOptions,
    browser: Process,
    listener: Arc<dyn Listener>,
    sessions: Sessions,
    /// `None` if nothing is exported.
    jobs: Option<Sender<Job>>,
    sender: SenderState,
    /// Whether the spool may have batches to send.
    spool_waits: bool,
    channel_ended: bool,
    /// Whether nothing more is heard of tests.
    run_ended: bool,
    closing: Option<Closing>,
    ending: Option<Ending>,
    /// The exporter's state as it was reported last, and when.
    reported: Option<(ExporterState, Instant)>,
}

/// The end of the queue, which waits for the end of an iteration.
#[derive(Clone, Copy)]
struct Closing {
    time: Nanos,
    browser_ended: bool,
    deadline: Instant,
}

#[derive(Clone, Copy)]
struct Ending {
    browser_ended: bool,
    deadline: Instant,
}

impl QueueThread {
    pub(super) fn new(
        options: ExportOptions,
        browser: Process,
        listener: Arc<dyn Listener>,
        sessions: Sessions,
        jobs: Option<Sender<Job>>,
    ) -> Self {
        let sender = if jobs.is_some() { SenderState::Busy } else { SenderState::Stopped };
        Self {
            options,
            browser,
            listener,
            sessions,
            jobs,
            sender,
            spool_waits: true,
            channel_ended: false,
            run_ended: false,
            closing: None,
            ending: None,
            reported: None,
        }
    }

    /// Runs until [`Message::End`] is done. Returns the sessions of this host, the current one last.
    pub(super) fn run(mut self, messages: &Backlog) -> Vec<ExportedSession> {
        while !self.has_ended() {
            if let Some(message) = messages.next(self.wake_at()) {
                self.handle(message);
            }
            self.tell_iterations();
            self.end_if_due();
            self.sessions.close_retired();
            self.give_job();
            self.report();
        }
        self.sessions.finish()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Session { context, parent, browser, time } => {
                let machine = resource::of_machine(self.browser.pid);
                let resource = resource::resource(&self.options, &browser, machine, context);
                let destination = self.options.destination();
                let (links, browser) = (links(&self.options), self.browser);
                self.sessions.begin(SessionStart { context, parent, links, time, resource, browser, destination });
            }
            Message::Observed(observed) => self.observe(observed),
            Message::Step(step) => self.sessions.step(step),
            Message::Iteration(iteration) => self.sessions.end_iteration(&iteration),
            Message::RunEnded => self.run_ended = true,
            Message::Sender(SenderEvent::State(state)) => self.sender = state,
            Message::Sender(SenderEvent::Answered(counts)) => self.sessions.answered(counts),
            Message::Sender(SenderEvent::SpoolWaits) => self.spool_waits = true,
            Message::ChannelEnded => self.channel_ended = true,
            Message::End { time, browser_ended } => {
                // A next host that waits has the later observations, and ends the session itself. Only this thread can ask: until it has handled
                // what came before, this host may be the one that waits.
                let browser_ended = browser_ended && !self.sessions.current_is_awaited();
                self.closing = Some(Closing { time, browser_ended, deadline: Instant::now() + ITERATION_END });
            }
        }
    }

    fn observe(&mut self, observed: Observed) {
        let (worker, number) = (observed.worker.clone(), observed.number);
        self.sessions.observe(observed);
        if let Some(session) = self.sessions.current() {
            self.listener.batch_stored(&worker, number);
            self.listener.counted(session.observation_counts());
        }
    }

    fn tell_iterations(&mut self) {
        for trace in self.sessions.take_iteration_traces() {
            self.listener.iteration_found(&trace);
        }
    }

    /// Ends the queue when it was told to and the end of no iteration is awaited.
    fn end_if_due(&mut self) {
        let Some(Closing { time, browser_ended, deadline }) = self.closing else { return };
        let awaits = browser_ended && !self.run_ended && self.sessions.await_iteration();
        if !awaits || deadline <= Instant::now() {
            self.closing = None;
            self.end(time, browser_ended);
        }
    }

    fn end(&mut self, time: Nanos, browser_ended: bool) {
        if browser_ended {
            self.sessions.close(time);
        }
        let deadline = Instant::now() + if browser_ended { LAST_SENDS } else { LAST_ANSWER };
        self.ending = Some(Ending { browser_ended, deadline });
    }

    fn has_ended(&self) -> bool {
        let Some(Ending { browser_ended, deadline }) = self.ending else { return false };
        let cannot_send = match self.sender {
            SenderState::Stopped => true,
            SenderState::BackingOff { until, is_hopeless } => is_hopeless || until >= deadline,
            SenderState::Busy | SenderState::Ready => false,
        };
        let is_done = if browser_ended {
            // A job under way may be a batch of the spool, which would be sent twice if it were cut off.
            let is_idle = !matches!(self.sender, SenderState::Busy);
            cannot_send || is_idle && self.sessions.iter().all(|session| session.waiting() == 0)
        } else {
            self.sessions.iter().all(|session| session.in_flight == 0)
        };
        is_done || deadline <= Instant::now()
    }

    /// Gives a sender that is ready its next job: a batch that is due, or else the spool. Spans wait for nothing once the channel has ended.
    fn give_job(&mut self) {
        self.spool_waits |= self.sessions.take_has_spooled();
        let (SenderState::Ready, Some(jobs)) = (&self.sender, &self.jobs) else { return };
        if self.ending.is_some_and(|ending| !ending.browser_ended) {
            return;
        }
        let (batch, hurry, now) = (&self.options.batch, self.channel_ended, Instant::now());
        let due = self.sessions.iter_mut().find(|session| session.send_at(batch).is_some_and(|at| hurry || at <= now));
        let job = match due {
            Some(session) => Job::Send(session.send_batch(batch.max_export_batch_size)),
            None if !hurry && std::mem::take(&mut self.spool_waits) => Job::DrainSpool,
            None => return,
        };
        let _ = jobs.send(job);
        self.sender = SenderState::Busy;
    }

    /// Reports the exporter's state to the listener if it has changed, but not too often.
    fn report(&mut self) {
        if self.sessions.current().is_none() || self.channel_ended {
            return;
        }
        let state = self.sessions.exporter_state();
        let is_due = |(reported, at): &(ExporterState, Instant)| *reported != state && at.elapsed() >= REPORT_INTERVAL;
        if self.reported.as_ref().is_none_or(is_due) {
            self.listener.exporter_changed(&state);
            self.reported = Some((state, Instant::now()));
        }
    }

    /// Returns when there is something to do even if no message arrives.
    fn wake_at(&self) -> Option<Instant> {
        let report_at = self
            .reported
            .as_ref()
            .filter(|(reported, _)| !self.channel_ended && *reported != self.sessions.exporter_state());
        let send_at = self.sessions.iter().filter_map(|session| session.send_at(&self.options.batch)).min();
        let job_at = send_at.filter(|_| matches!(self.sender, SenderState::Ready));
        let close_at = self.sessions.iter().filter_map(QueuedSession::close_at).min();
        let closing = self.closing.map(|closing| closing.deadline);
        let deadline = self.ending.map(|ending| ending.deadline).or(closing);
        [report_at.map(|(_, at)| *at + REPORT_INTERVAL), job_at, close_at, deadline].into_iter().flatten().min()
    }
}
