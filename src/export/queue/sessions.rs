//! The sessions of this host, their journals, and what became of their spans.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::unix_nanos_now;
use crate::base::directories::StateDirectory;
use crate::context::issuer::SessionContext;
use crate::export::ExporterState;
use crate::export::journal::{self, ExportCounts, Journal, SessionStart};
use crate::export::options::ExportOptions;
use crate::export::problems::Problems;
use crate::export::queue::ExportedSession;
use crate::export::queue::overflow::Overflow;
use crate::export::session::QueuedSession;
use crate::export::spool::Spool;
use crate::observe::observation::{Observation, Observed};
use crate::observe::session::{EndedIteration, IterationTrace, TestStep, TestSteps};
use crate::observe::span::Nanos;

/// How long to wait for the host before this one to release a journal. Chromium kills that host after 2 s.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Sessions {
    exports: bool,
    state: Option<StateDirectory>,
    problems: Arc<Problems>,
    overflow: Overflow,
    /// The session that the extension has now.
    current: Option<QueuedSession>,
    /// Whether the current session needs a journal once a part of it is sampled.
    lacks_journal: bool,
    /// The steps of tests that were told before the first session.
    early_steps: TestSteps,
    /// Sessions that a new trace replaced, and that wait for their last requests or for the collector.
    retired: Vec<QueuedSession>,
    /// Sessions that are done.
    ended: Vec<ExportedSession>,
    /// The contexts of all sessions before the current one.
    past: Vec<SessionContext>,
}

impl Sessions {
    /// Without a state directory, nothing is kept for later.
    pub(super) fn new(options: &ExportOptions, state: Option<StateDirectory>, problems: Arc<Problems>) -> Self {
        let overflow = Overflow {
            spool: state.as_ref().map(|state| Spool::new(state.spool(), options.destination())),
            options: options.batch.clone(),
            problems: Arc::clone(&problems),
            has_spooled: false,
        };
        Self {
            exports: options.endpoint.is_some(),
            state,
            problems,
            overflow,
            current: None,
            lacks_journal: false,
            early_steps: TestSteps::default(),
            retired: Vec::new(),
            ended: Vec::new(),
            past: Vec::new(),
        }
    }

    pub(super) fn current(&self) -> Option<&QueuedSession> {
        self.current.as_ref()
    }

    /// Returns all sessions that are not done.
    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedSession> {
        self.retired.iter().chain(&self.current)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut QueuedSession> {
        self.retired.iter_mut().chain(&mut self.current)
    }

    pub(super) fn exporter_state(&self) -> ExporterState {
        let mut state = ExporterState { problem: self.problems.current(), ..ExporterState::default() };
        let open = self.iter().map(|session| (session.export_counts(), session.waiting()));
        for (counts, waiting) in open.chain(self.ended.iter().map(|session| (session.export_counts, 0))) {
            state.exported += counts.exported;
            state.kept += counts.spooled + waiting;
            state.dropped += counts.refused + counts.lost;
        }
        state
    }

    /// Starts a session or continues it from its journal. Retires the one before it, or drops that if nothing was observed in it.
    pub(super) fn begin(&mut self, start: SessionStart) {
        let context = start.context;
        if self.current.as_ref().is_some_and(|current| current.start.context == context) {
            return;
        }
        if let Some(before) = self.current.take() {
            self.past.push(before.start.context);
            if before.is_empty() { before.finish() } else { self.retire(before, start.time) }
        }
        let path = self.journal_path(context).filter(|_| self.exports);
        // A session that is not sampled gets a journal only once a part of it is sampled.
        let path = path.filter(|path| context.flags.is_sampled() || path.exists());
        self.lacks_journal = self.exports && path.is_none();
        let opened = path.map(|path| {
            let journal = Journal::open(&path, JOURNAL_TIMEOUT)?;
            QueuedSession::with_journal(start.clone(), journal)
        });
        self.current = Some(match opened {
            Some(Ok(session)) => session,
            Some(Err(error)) => {
                self.problems.check_journal(Err(error));
                QueuedSession::new(start, true)
            }
            None => QueuedSession::new(start, self.exports),
        });
        for step in self.early_steps.take() {
            self.step(step);
        }
    }

    fn retire(&mut self, mut session: QueuedSession, time: Nanos) {
        self.problems.check_journal(session.retire(time));
        self.retired.push(session);
    }

    /// Applies observations and writes them to the journal.
    pub(super) fn observe(&mut self, observed: Observed) {
        let current = self.current.as_ref().map(|session| session.start.context);
        match observed.session.filter(|session| current != Some(*session)) {
            Some(past) => self.reopen(past),
            None => self.add_journal(&observed),
        }
        let session = match observed.session {
            // A closed session has exported its open requests as unfinished.
            Some(context) => {
                let mut open = self.retired.iter_mut().chain(&mut self.current).filter(|session| !session.is_closed());
                open.find(|session| session.start.context == context)
            }
            None => self.current.as_mut(),
        };
        if let Some(session) = session {
            let written = session.observe(observed);
            self.overflow.shorten(session);
            self.problems.check_journal(written);
        }
    }

    /// Applies a step of a test to the current session, or to the first one once it begins.
    pub(super) fn step(&mut self, step: TestStep) {
        match &mut self.current {
            Some(session) => self.problems.check_journal(session.step(step)),
            None => self.early_steps.add(step),
        }
    }

    /// Applies the end of an iteration to the session that has its trace.
    pub(super) fn end_iteration(&mut self, iteration: &EndedIteration) {
        for session in self.retired.iter_mut().chain(&mut self.current) {
            self.problems.check_journal(session.end_iteration(iteration));
        }
    }

    /// Returns the traces of iterations that were found since the last call.
    pub(super) fn take_iteration_traces(&mut self) -> Vec<IterationTrace> {
        self.iter_mut().flat_map(QueuedSession::take_iteration_traces).collect()
    }

    /// Returns whether the end of an iteration is still to come.
    pub(super) fn await_iteration(&self) -> bool {
        self.iter().any(QueuedSession::awaits_iteration)
    }

    /// Opens a session that a new trace replaced while an earlier host ran, unless it is open already.
    fn reopen(&mut self, context: SessionContext) {
        if self.iter().any(|session| session.start.context == context) {
            return;
        }
        let Some(path) = self.journal_path(context).filter(|path| path.exists()) else {
            if !self.past.contains(&context) {
                let problem =
                    "requests of an earlier trace are not exported, because that trace ended before this host started";
                self.problems.report("late", problem);
            }
            return;
        };
        match Journal::open(&path, JOURNAL_TIMEOUT).and_then(QueuedSession::of_journal) {
            Ok(Some(session)) => self.retire(session, unix_nanos_now()),
            Ok(None) => {}
            Err(error) => self.problems.check_journal(Err(error)),
        }
    }

    /// Gives the current session a journal if it lacks one and a part of it is sampled.
    fn add_journal(&mut self, observed: &Observed) {
        let is_sampled = |observation: &Observation| matches!(observation, Observation::ContextIssued { flags, .. } if flags.is_sampled());
        if !self.lacks_journal || !observed.observations.iter().any(is_sampled) {
            return;
        }
        self.lacks_journal = false;
        let path = self.current.as_ref().and_then(|session| self.journal_path(session.start.context));
        if let (Some(path), Some(session)) = (path, &mut self.current) {
            let opened = Journal::open(&path, JOURNAL_TIMEOUT);
            self.problems.check_journal(opened.and_then(|journal| session.add_journal(journal)));
        }
    }

    /// Handles what became of the batch in flight.
    pub(super) fn answered(&mut self, counts: ExportCounts) {
        let answered = self.iter_mut().find(|session| session.in_flight > 0).map(|session| session.answered(counts));
        self.problems.check_journal(answered.unwrap_or(Ok(())));
    }

    /// Returns whether spans were moved to the spool since the last call.
    pub(super) fn take_has_spooled(&mut self) -> bool {
        std::mem::take(&mut self.overflow.has_spooled)
    }

    /// Closes retired sessions that wait for no more requests, and drops those whose spans are all exported.
    pub(super) fn close_retired(&mut self) {
        for session in &mut self.retired {
            self.problems.check_journal(session.close_if_due(unix_nanos_now()));
        }
        for session in self.retired.extract_if(.., |session| session.is_closed() && session.waiting() == 0) {
            self.ended.push(ExportedSession::of(&session));
            session.finish();
        }
    }

    /// Closes all sessions.
    pub(super) fn close(&mut self, time: Nanos) {
        for session in self.retired.iter_mut().chain(&mut self.current) {
            self.problems.check_journal(session.close(time));
        }
    }

    /// Moves all spans to the spool, and returns the sessions of this host, the current one last. A current session that is not closed is left
    /// to the next host if it has a journal.
    pub(super) fn finish(mut self) -> Vec<ExportedSession> {
        for mut session in std::mem::take(&mut self.retired) {
            self.problems.check_journal(session.close(unix_nanos_now()));
            self.spool(session);
        }
        if let Some(session) = self.current.take() {
            if session.is_in_journal() && !session.is_closed() && !session.is_empty() {
                self.ended.push(ExportedSession::of(&session));
            } else {
                self.spool(session);
            }
        }
        self.ended
    }

    fn spool(&mut self, mut session: QueuedSession) {
        self.overflow.empty(&mut session);
        let mut exported = ExportedSession::of(&session);
        // Spans that could not be moved stay in the journal.
        exported.export_counts.spooled += session.waiting();
        self.ended.push(exported);
        session.finish();
    }

    /// Returns whether another host waits for the journal of the current session.
    pub(super) fn current_is_awaited(&self) -> bool {
        let path = self.current.as_ref().and_then(|session| self.journal_path(session.start.context));
        path.is_some_and(|path| journal::is_awaited(&path))
    }

    fn journal_path(&self, context: SessionContext) -> Option<PathBuf> {
        self.state.as_ref().map(|state| journal::path(state, context))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::*;
    use crate::base::process::Process;

    #[test]
    fn a_step_that_is_told_before_the_session_belongs_to_it() {
        let context: SessionContext = serde_json::from_str(
            r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#,
        )
        .unwrap();
        let step = TestStep { trace_id: context.trace_id, span_id: context.span_id, start: 1.0, end: None };
        let start = SessionStart {
            context,
            parent: None,
            links: Vec::new(),
            time: 1,
            resource: Resource::default(),
            browser: Process::parent(),
            destination: None,
        };
        let session = |is_early: bool| {
            let problems = Arc::new(Problems::new(Box::new(|_| ())));
            let mut sessions = Sessions::new(&ExportOptions::default(), None, problems);
            if is_early {
                sessions.step(step);
            }
            sessions.begin(start.clone());
            if !is_early {
                sessions.step(step);
            }
            format!("{:?}", sessions.current())
        };
        assert_eq!(session(true), session(false));
    }
}
