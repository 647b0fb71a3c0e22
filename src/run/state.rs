//! Everything that launchers and hosts have reported during a run. Pure: connections are numbers, and time is an argument.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::context::ids::{SpanId, TraceId};
use crate::context::mode::Mode;
use crate::export::journal::ExportCounts;
use crate::observe::counts::{ContextCounts, SessionCounts};
use crate::run::k6_spans::K6Spans;
use crate::run::reports::Report;
use crate::run::test_runner::summary::EndedTests;

/// Number of different problems that a run prints. Further ones are counted.
pub(crate) const MAX_PROBLEMS: usize = 10;

/// A session is known by its trace and its root span, since several sessions may be part of one trace.
type SessionId = (TraceId, SpanId);

/// One session, as its hosts reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedSession {
    /// The trace of the root span.
    pub trace_id: TraceId,
    /// The root span.
    pub span_id: SpanId,
    /// Counts of navigations and requests.
    pub counts: SessionCounts,
    /// The session's spans by export result; `None` while no host has ended.
    pub exported: Option<ExportCounts>,
    /// When the first host reported the session.
    pub started: Instant,
    /// When the browser left its last host; `None` while a host is connected, which may have spans to send.
    pub ended: Option<Instant>,
    /// When the browser left its latest host.
    left: Option<Instant>,
    /// How requests get their headers; `None` until the extension is armed.
    pub mode: Option<Mode>,
    /// Whether the root span is sampled.
    pub sampled: bool,
    /// Whether the extension is allowed in Incognito.
    pub off_the_record: bool,
}

impl TracedSession {
    fn new((trace_id, span_id): SessionId, now: Instant) -> Self {
        Self {
            trace_id,
            span_id,
            counts: SessionCounts::default(),
            exported: None,
            started: now,
            ended: None,
            left: None,
            mode: None,
            sampled: true,
            off_the_record: false,
        }
    }

    fn id(&self) -> SessionId {
        (self.trace_id, self.span_id)
    }

    /// Returns the trace of the session's span.
    pub(super) fn root_trace(&self) -> TraceId {
        self.counts.apart.unwrap_or(self.trace_id)
    }

    /// Returns the traces of browser contexts if the session's own is not the only one.
    pub(super) fn context_traces(&self) -> Option<&[ContextCounts]> {
        let traces = &self.counts.context_traces;
        traces.iter().any(|context| context.trace_id != self.trace_id).then_some(traces)
    }

    /// Returns the traces with something of this session, other than those of tests.
    pub(super) fn traces(&self) -> Vec<TraceId> {
        let own = |traces: &[ContextCounts]| {
            traces.iter().filter(|context| !context.is_of_test).map(|context| context.trace_id).collect()
        };
        self.context_traces().map_or_else(|| vec![self.trace_id], own)
    }

    /// Returns whether its navigations and requests have spans.
    pub(super) fn is_observed(&self) -> bool {
        self.mode != Some(Mode::Static)
    }
}

/// The reports of a run so far.
#[derive(Debug, Default)]
pub struct RunState {
    /// Sessions in the order in which they began.
    pub sessions: Vec<TracedSession>,
    /// The first problems, each with the number of its reports.
    pub problems: BTreeMap<String, usize>,
    /// Number of reports of problems beyond [`MAX_PROBLEMS`]. A full disk, for instance, causes a new one for every profile.
    pub further_problems: usize,
    /// The tests that have ended.
    pub(super) tests: EndedTests,
    /// The iterations of k6 that have ended.
    pub(super) k6_spans: K6Spans,
    /// What became of the spans of tests and of k6.
    pub(super) test_spans: ExportCounts,
    /// Whether a test runner ran no test.
    pub(super) no_test_ran: bool,
    /// The session that each open connection reports on.
    open: BTreeMap<usize, Option<SessionId>>,
    end_requested: bool,
    /// Whether a signal has ended the wait for further reports.
    pub(super) is_cut_short: bool,
}

impl RunState {
    pub(super) fn connected(&mut self, connection: usize) {
        self.open.insert(connection, None);
    }

    pub(super) fn disconnected(&mut self, connection: usize, now: Instant) {
        let Some(Some(id)) = self.open.remove(&connection) else { return };
        let is_open = self.open.values().any(|other| *other == Some(id));
        if let Some(index) = self.position(id) {
            let session = &mut self.sessions[index];
            session.ended = (!is_open).then_some(session.left.unwrap_or(now));
        }
    }

    /// Applies a report, and returns a problem that was not reported before.
    pub(super) fn apply(&mut self, connection: usize, report: Report, now: Instant) -> Option<String> {
        match report {
            Report::Problem { message } => return self.problem(message),
            Report::Session { trace_id, span_id, sampled, off_the_record } => {
                let index = self.begin(connection, (trace_id, span_id), now);
                let session = &mut self.sessions[index];
                (session.sampled, session.off_the_record) = (sampled, off_the_record);
                (session.ended, session.left) = (None, None);
            }
            Report::Armed { mode } => self.update(connection, |session| session.mode = Some(mode)),
            Report::Counts(counts) => self.update(connection, |session| session.counts = counts),
            Report::ChannelEnded => self.update(connection, |session| session.left = Some(now)),
            Report::Exported(exported) => self.update(connection, |session| session.exported = Some(exported)),
            Report::Past { trace_id, span_id, counts, exported } => {
                let index = self.position((trace_id, span_id)).or_else(|| {
                    // Forgotten as unused when the next session began, since its counts were not reported yet.
                    let next = self.position(self.current(connection)?)?;
                    let ended = Some(now);
                    let past = TracedSession { trace_id, span_id, ended, ..self.sessions[next].clone() };
                    self.sessions.insert(next, past);
                    Some(next)
                });
                if let Some(index) = index {
                    let session = &mut self.sessions[index];
                    (session.counts, session.exported) = (counts, Some(exported));
                }
            }
            Report::NoTestRan => self.no_test_ran = true,
            Report::End => self.end_requested = true,
            Report::TestBegan(_)
            | Report::StepBegan(_)
            | Report::StepEnded(_)
            | Report::TestEnded(_)
            | Report::FollowWorker(_)
            | Report::IterationTrace(_) => {}
        }
        None
    }

    /// Returns the number of exported spans of all browsers; `None` if there was no browser, or while one has not ended or reported its export.
    pub(super) fn exported_spans(&self) -> Option<usize> {
        if self.sessions.is_empty() {
            return None;
        }
        self.sessions.iter().map(|session| session.ended.and(session.exported).map(|counts| counts.exported)).sum()
    }

    /// Returns whether the end was requested and every connection has been read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.end_requested && self.open.is_empty()
    }

    /// Counts a problem, and returns it the first time.
    fn problem(&mut self, message: String) -> Option<String> {
        if self.problems.len() >= MAX_PROBLEMS && !self.problems.contains_key(&message) {
            self.further_problems += 1;
            return None;
        }
        let count = self.problems.entry(message.clone()).or_default();
        *count += 1;
        (*count == 1).then_some(message)
    }

    /// Begins a session on a connection, or continues it after a restart of its host, and ends the connection's session before it.
    fn begin(&mut self, connection: usize, id: SessionId, now: Instant) -> usize {
        let before = self.current(connection).filter(|before| *before != id);
        if let Some(index) = before.and_then(|before| self.position(before)) {
            if self.is_unused(connection, index) {
                self.sessions.remove(index);
            } else {
                self.sessions[index].ended = Some(now);
            }
        }
        self.open.insert(connection, Some(id));
        self.position(id).unwrap_or_else(|| {
            self.sessions.push(TracedSession::new(id, now));
            self.sessions.len() - 1
        })
    }

    /// Returns whether only this connection reported the session, and nothing happened in it. A host that answers late begins such a session
    /// before it learns which one the requests carry.
    fn is_unused(&self, connection: usize, index: usize) -> bool {
        let session = &self.sessions[index];
        let is_shared = self.open.iter().any(|(other, id)| *other != connection && *id == Some(session.id()));
        session.counts == SessionCounts::default() && !is_shared
    }

    fn update(&mut self, connection: usize, change: impl FnOnce(&mut TracedSession)) {
        if let Some(index) = self.current(connection).and_then(|id| self.position(id)) {
            change(&mut self.sessions[index]);
        }
    }

    fn current(&self, connection: usize) -> Option<SessionId> {
        *self.open.get(&connection)?
    }

    fn position(&self, id: SessionId) -> Option<usize> {
        self.sessions.iter().rposition(|session| session.id() == id)
    }
}

#[cfg(test)]
mod tests;
