//! Takes down what the channel brings, in a thread of its own: the extension's answers wait neither for a disk nor for another host.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::directories::StateDirectory;
use crate::base::process::Process;
use crate::context::issuer::SessionContext;
use crate::context::propagators::SpanContext;
use crate::export::ExporterState;
use crate::export::exporter::{Exporter, OnProblem, Outcome, nanos_now as now};
use crate::export::journal::Journal;
use crate::export::record::{Begun, Record};
use crate::export::resource::Browser;
use crate::export::resource::{self, Machine};
use crate::export::settings::Settings;
use crate::observe::observation::{Observation, Observed};
use crate::observe::redact;
use crate::observe::session::Parent;
use crate::observe::span::Nanos;
use crate::observe::tally::Tally;

/// How long the host before this one may still have the session. Chromium kills it after 2 s.
const HANDED_OVER: Duration = Duration::from_secs(3);

/// How long a host that sees its channel end waits for the browser to end too, before it leaves the session to the next one.
const BROWSER_ENDS: Duration = Duration::from_millis(1500);

/// How long an answer of the collector is waited for before another host has the session.
const LAST_ANSWER: Duration = Duration::from_millis(300);

/// How long the last spans may take.
const FLUSH: Duration = Duration::from_secs(2);

/// How often the audience is told of the exporter at most.
const TELL: Duration = Duration::from_secs(1);

/// What the channel brings.
enum Note {
    Session(SessionContext, Option<Parent>, Browser, Nanos),
    Observed(Observed),
}

/// Learns what became of notes.
pub(crate) trait Audience: Send + 'static {
    /// A batch is safe.
    fn received(&mut self, worker: &str, number: u64);
    /// What the session has done so far.
    fn counted(&mut self, tally: &Tally);
    /// What became of spans so far, when that has changed.
    fn exporter(&mut self, state: &ExporterState);
}

/// Takes notes of one host's sessions.
pub(crate) struct Recorder {
    notes: Sender<Note>,
    thread: JoinHandle<()>,
    exporter: Arc<Exporter>,
    browser: Process,
}

impl Recorder {
    /// Begins to take notes. `tell` tells the user of problems.
    pub(crate) fn start(settings: &Settings, audience: impl Audience, tell: OnProblem) -> Self {
        let state = match settings.target.as_ref().map(|_| StateDirectory::of_user()) {
            Some(Ok(state)) => Some(state),
            Some(Err(error)) => {
                tell(&format!(
                    "nothing can be kept for later ({error}): set XDG_STATE_HOME to a folder that you may write to"
                ));
                None
            }
            // Nothing is exported, so nothing is kept.
            None => None,
        };
        let browser = Process::parent();
        let exporter = Arc::new(Exporter::start(settings, state.as_ref(), tell));
        let (notes, received) = mpsc::channel();
        let clerk = Clerk {
            settings: settings.clone(),
            state,
            exporter: Arc::clone(&exporter),
            audience,
            browser,
            session: None,
            is_protected: false,
            told: None,
            past: Vec::new(),
        };
        let thread = std::thread::spawn(move || clerk.run(&received));
        Self { notes, thread, exporter, browser }
    }

    /// The extension was given a session, which may be part of somebody else's trace.
    pub(crate) fn session(&self, context: SessionContext, parent: Option<SpanContext>, browser: Option<Browser>) {
        let parent = parent.map(|parent| Parent { span_id: parent.span_id, tracestate: parent.tracestate.to_string() });
        let _ = self.notes.send(Note::Session(context, parent, browser.unwrap_or_default(), now()));
    }

    /// The extension has observed something.
    pub(crate) fn observed(&self, observed: Observed) {
        let _ = self.notes.send(Note::Observed(observed));
    }

    /// The channel has ended: ends the session with the browser, or leaves it to the next host when the browser goes on. Gives what came
    /// of its sessions, the one in force last.
    pub(crate) fn end(self) -> Vec<Outcome> {
        let time = now();
        drop(self.notes);
        let _ = self.thread.join();
        self.exporter.hurry();
        if self.browser.wait_gone(BROWSER_ENDS) {
            return self.exporter.finish(time, FLUSH);
        }
        self.exporter.release(LAST_ANSWER)
    }
}

/// The thread that takes the notes.
struct Clerk<A> {
    settings: Settings,
    state: Option<StateDirectory>,
    exporter: Arc<Exporter>,
    audience: A,
    browser: Process,
    session: Option<SessionContext>,
    /// Whether the session's record is in a journal, or was to be.
    is_protected: bool,
    /// What the audience was told last of the exporter, and when.
    told: Option<(ExporterState, Instant)>,
    /// The sessions before the one in force.
    past: Vec<SessionContext>,
}

impl<A: Audience> Clerk<A> {
    fn run(mut self, notes: &Receiver<Note>) {
        loop {
            // Nothing changes by itself while nothing waits to be sent: then no process is woken for it.
            let received = if self.tell_state() {
                notes.recv_timeout(TELL)
            } else {
                notes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match received {
                Ok(Note::Session(context, parent, browser, time)) => self.begin(context, parent, &browser, time),
                Ok(Note::Observed(observed)) => self.observe(observed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn observe(&mut self, mut observed: Observed) {
        redact::batch(&mut observed);
        match observed.session.filter(|session| self.session != Some(*session)) {
            Some(before) => self.resume_late(before),
            None => self.protect(&observed),
        }
        let (worker, number) = (observed.worker.clone(), observed.number);
        if let Some(tally) = self.exporter.observe(observed) {
            self.audience.received(&worker, number);
            self.audience.counted(&tally);
        }
    }

    /// Tells of the exporter, unless that was done just now. Gives whether there may soon be something to tell.
    fn tell_state(&mut self) -> bool {
        if self.session.is_none() {
            return false;
        }
        let (state, waiting) = self.exporter.state();
        if self.told.as_ref().is_some_and(|(told, _)| *told == state) {
            return waiting > 0;
        }
        if self.told.as_ref().is_some_and(|(_, time)| time.elapsed() < TELL) {
            return true;
        }
        self.audience.exporter(&state);
        self.told = Some((state, Instant::now()));
        waiting > 0
    }

    /// Finds a session that a new trace has ended, should a host before this one have had it.
    fn resume_late(&self, before: SessionContext) {
        if self.exporter.has(&before) {
            return;
        }
        let Some(path) = self.path_of(before).filter(|path| path.exists()) else {
            // What this host has ended has its spans, marked as unfinished.
            if !self.past.contains(&before) {
                self.exporter.lost_late();
            }
            return;
        };
        match Journal::open(&path, HANDED_OVER).and_then(Record::of_journal) {
            Ok(Some(record)) => self.exporter.resume_late(record, now()),
            Ok(None) => {}
            Err(error) => self.exporter.journal_failed(error),
        }
    }

    /// Begins a session, or goes on with it. One before it ends, or is forgotten if the extension never took it.
    fn begin(&mut self, context: SessionContext, parent: Option<Parent>, browser: &Browser, time: Nanos) {
        let before = self.session.replace(context);
        if before == Some(context) {
            return;
        }
        self.past.extend(before);
        self.exporter.retire(time, LAST_ANSWER);
        let machine = Machine::of_process(self.browser.pid);
        let resource = resource::resource(&self.settings, browser, &machine, context);
        let begun = Begun { context, parent, time, resource, browser: self.browser };
        let keeps = self.settings.target.is_some();
        // What is not sampled is worth no disk, until some part of it is, such as a trace that its client began.
        let is_worth_it = context.flags.is_sampled() || self.path().is_some_and(|path| path.exists());
        self.is_protected = keeps && is_worth_it;
        let record = if self.is_protected { self.open(begun) } else { Record::new(begun, keeps) };
        self.exporter.begin(record);
    }

    fn open(&self, begun: Begun) -> Record {
        let Some(path) = self.path() else { return Record::new(begun, true) };
        let opened = Journal::open(&path, HANDED_OVER).and_then(|journal| Record::with_journal(begun.clone(), journal));
        opened.unwrap_or_else(|error| {
            self.exporter.journal_failed(error);
            Record::new(begun, true)
        })
    }

    /// Begins a journal for a session that had none, once part of it is sampled.
    fn protect(&mut self, observed: &Observed) {
        let is_sampled = |observation: &Observation| matches!(observation, Observation::ContextIssued { flags, .. } if flags.is_sampled());
        if self.is_protected || self.settings.target.is_none() || !observed.observations.iter().any(is_sampled) {
            return;
        }
        self.is_protected = true;
        let Some(path) = self.path() else { return };
        match Journal::open(&path, HANDED_OVER) {
            Ok(journal) => self.exporter.protect(journal),
            Err(error) => self.exporter.journal_failed(error),
        }
    }

    /// Where the session's journal is, if there is a place for it.
    fn path(&self) -> Option<PathBuf> {
        self.path_of(self.session?)
    }

    fn path_of(&self, SessionContext { trace_id, span_id, .. }: SessionContext) -> Option<PathBuf> {
        Some(self.state.as_ref()?.sessions().join(format!("{trace_id}-{span_id}.jsonl")))
    }
}
