//! One session with its spans that wait to be exported, in memory and in its journal.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde::Serialize;

use crate::export::journal::{ExportCounts, ExportResult, Journal, JournalEntry, SessionStart, SessionState};
use crate::export::options::BatchOptions;
use crate::export::otlp;
use crate::observe::counts::SessionCounts;
use crate::observe::observation::Observed;
use crate::observe::session::{EndedIteration, IterationTrace, Session, TestStep};
use crate::observe::span::{Nanos, Span};

/// How long a retired session waits for the requests that it still has open.
const LATE_ENDS: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct QueuedSession {
    pub(crate) start: SessionStart,
    state: SessionState,
    journal: Option<Journal>,
    /// Whether writing the journal failed, so that it is incomplete.
    journal_failed: bool,
    /// Whether spans are exported; otherwise they are only counted.
    exports: bool,
    /// Spans at the head of the queue that the collector has not answered yet.
    pub(crate) in_flight: usize,
    /// When the spans in the queue began to wait.
    waiting_since: Option<Instant>,
    /// When the session is closed at the latest; `None` while it is not retired.
    close_at: Option<Instant>,
}

impl QueuedSession {
    /// Starts a session without a journal.
    pub(crate) fn new(start: SessionStart, exports: bool) -> Self {
        let session = Session::new(start.context, start.parent.clone(), start.time).with_links(start.links.clone());
        let state = SessionState { session, waiting: VecDeque::new(), closed: false, counts: ExportCounts::default() };
        Self {
            start,
            state,
            journal: None,
            journal_failed: false,
            exports,
            in_flight: 0,
            waiting_since: None,
            close_at: None,
        }
    }

    /// Continues the session in `journal`, or starts one there.
    pub(crate) fn with_journal(start: SessionStart, mut journal: Journal) -> io::Result<Self> {
        let has_ended = journal.has_ended();
        let mut session = if let Some(session) = Self::read(&mut journal)? {
            session
        } else {
            journal.append(&JournalEntry::Started(start.clone()))?;
            Self::new(start, true)
        };
        if has_ended {
            session.state.session.add_to_ended();
            session.replace_content(&mut journal)?;
        }
        session.journal = Some(journal);
        Ok(session)
    }

    /// Continues the session in `journal`. Removes a journal that has no session.
    pub(crate) fn of_journal(mut journal: Journal) -> io::Result<Option<Self>> {
        let Some(mut session) = Self::read(&mut journal)? else {
            journal.remove();
            return Ok(None);
        };
        session.journal = Some(journal);
        Ok(Some(session))
    }

    fn read(journal: &mut Journal) -> io::Result<Option<Self>> {
        let mut session: Option<Self> = None;
        journal.read(|entry| match (&mut session, entry) {
            (None, JournalEntry::Started(start)) => session = Some(Self::new(start, true)),
            (None, _) => {}
            (Some(session), entry) => session.apply(entry),
        })?;
        Ok(session)
    }

    fn apply(&mut self, entry: JournalEntry) {
        match entry {
            JournalEntry::Started(_) => {}
            JournalEntry::State(state) => {
                self.state = *state;
                self.state.session.tell_iterations_again();
                self.add(Vec::new());
            }
            JournalEntry::Observed(observed) => self.apply_observed(&observed),
            JournalEntry::Step(step) => self.state.session.step(step),
            JournalEntry::Iteration(iteration) => self.state.session.end_iteration(&iteration),
            JournalEntry::Removed { at, count, result } => self.apply_removed(at, count, result),
            JournalEntry::Retired { time } => self.state.session.retire(time),
            JournalEntry::Closed { time } => self.apply_closed(time),
        }
    }

    /// Writes the session to `journal` from now on.
    pub(crate) fn add_journal(&mut self, mut journal: Journal) -> io::Result<()> {
        self.replace_content(&mut journal)?;
        self.journal = Some(journal);
        Ok(())
    }

    pub(crate) fn observation_counts(&self) -> &SessionCounts {
        self.state.session.counts()
    }

    pub(crate) fn export_counts(&self) -> ExportCounts {
        self.state.counts
    }

    /// Returns whether nothing was ever observed.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.session.is_empty()
    }

    /// Returns how many spans are in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.state.waiting.len()
    }

    /// Returns when the next batch should be sent: at once if it is full. `None` if the queue is empty.
    pub(crate) fn send_at(&self, options: &BatchOptions) -> Option<Instant> {
        let is_full = self.waiting() >= options.max_export_batch_size;
        self.waiting_since.map(|since| if is_full { since } else { since + options.schedule_delay })
    }

    /// Returns when the session is closed at the latest; `None` if it is closed or not retired.
    pub(crate) fn close_at(&self) -> Option<Instant> {
        self.close_at.filter(|_| !self.state.closed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.closed
    }

    /// Returns whether the journal has everything, so that another host can continue the session.
    pub(crate) fn is_in_journal(&self) -> bool {
        self.journal.is_some() && !self.journal_failed
    }

    /// Returns a request with up to `max` spans from index `from` of the queue on, and their number.
    pub(crate) fn batch(&self, from: usize, max: usize) -> (ExportTraceServiceRequest, usize) {
        let count = self.waiting().saturating_sub(from).min(max);
        (otlp::request(self.state.waiting.range(from..from + count), &self.start.resource), count)
    }

    /// Takes a batch for the collector. The spans stay in the queue until [`QueuedSession::answered`].
    pub(crate) fn send_batch(&mut self, max: usize) -> ExportTraceServiceRequest {
        let (request, count) = self.batch(0, max);
        self.in_flight = count;
        request
    }

    /// Handles what became of the batch in flight. Without a count its spans stay in the queue.
    pub(crate) fn answered(&mut self, counts: ExportCounts) -> io::Result<()> {
        self.in_flight = 0;
        let ExportCounts { exported, refused, spooled, lost } = counts;
        let parts = [
            (exported, ExportResult::Exported),
            (refused, ExportResult::Refused),
            (spooled, ExportResult::Spooled),
            (lost, ExportResult::Lost),
        ];
        let mut removed = Ok(());
        for (count, result) in parts {
            removed = removed.and(self.remove(0, count, result));
        }
        removed
    }

    /// Applies a batch of observations, unless it was applied before.
    pub(crate) fn observe(&mut self, observed: Observed) -> io::Result<()> {
        if self.state.session.has(&observed) {
            return Ok(());
        }
        self.apply_observed(&observed);
        self.log(&JournalEntry::Observed(observed))
    }

    /// Applies the begin or the end of a step of a test.
    pub(crate) fn step(&mut self, step: TestStep) -> io::Result<()> {
        self.state.session.step(step);
        self.log(&JournalEntry::Step(step))
    }

    /// Applies the end of an iteration, if its trace is one of this session.
    pub(crate) fn end_iteration(&mut self, iteration: &EndedIteration) -> io::Result<()> {
        if !self.state.session.has_iteration(iteration.root) {
            return Ok(());
        }
        self.state.session.end_iteration(iteration);
        self.log(&JournalEntry::Iteration(iteration.clone()))
    }

    /// Returns the traces of iterations that were found since the last call.
    pub(crate) fn take_iteration_traces(&mut self) -> Vec<IterationTrace> {
        self.state.session.take_iteration_traces()
    }

    /// Returns whether the end of an iteration is still to come.
    pub(crate) fn awaits_iteration(&self) -> bool {
        self.state.session.awaits_iteration()
    }

    /// Removes spans from the queue and counts what became of them.
    pub(crate) fn remove(&mut self, at: usize, count: usize, result: ExportResult) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.apply_removed(at, count, result);
        self.log(&JournalEntry::Removed { at, count, result })
    }

    /// Marks the session as replaced. From now on only ends of open requests are expected.
    pub(crate) fn retire(&mut self, time: Nanos) -> io::Result<()> {
        self.close_at = Some(Instant::now() + LATE_ENDS);
        self.state.session.retire(time);
        self.log(&JournalEntry::Retired { time })
    }

    /// Closes a retired session when it has no open request left, or has waited long enough for their ends.
    pub(crate) fn close_if_due(&mut self, time: Nanos) -> io::Result<()> {
        let Some(close_at) = self.close_at else { return Ok(()) };
        if self.state.session.is_drained() || close_at <= Instant::now() { self.close(time) } else { Ok(()) }
    }

    /// Ends the session and adds its last spans to the queue.
    pub(crate) fn close(&mut self, time: Nanos) -> io::Result<()> {
        if self.state.closed {
            return Ok(());
        }
        self.apply_closed(time);
        self.log(&JournalEntry::Closed { time })
    }

    /// Drops the session, and removes its journal unless spans are still in the queue.
    pub(crate) fn finish(self) {
        if let Some(journal) = self.journal.filter(|_| self.state.waiting.is_empty()) {
            journal.remove();
        }
    }

    fn apply_observed(&mut self, observed: &Observed) {
        let spans = self.state.session.observe(observed);
        self.add(spans);
    }

    fn apply_closed(&mut self, time: Nanos) {
        self.state.closed = true;
        let spans = self.state.session.close(time);
        self.add(spans);
    }

    fn apply_removed(&mut self, at: usize, count: usize, result: ExportResult) {
        let end = (at + count).min(self.waiting());
        self.state.waiting.drain(at.min(end)..end);
        self.state.counts.count(count, result);
        self.waiting_since = (self.waiting() > 0).then(Instant::now);
    }

    fn add(&mut self, spans: Vec<Span>) {
        if self.exports {
            self.state.waiting.extend(spans);
        }
        if self.waiting() > 0 {
            self.waiting_since.get_or_insert_with(Instant::now);
        }
    }

    /// Appends an entry whose effect is already in memory.
    fn log(&mut self, entry: &JournalEntry) -> io::Result<()> {
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        let mut written = Ok(());
        if !self.journal_failed {
            // The compacted journal includes this entry. Where there is no room for it, there may still be room for the entry.
            let is_compacted = journal.needs_compaction() && self.replace_content(&mut journal).is_ok();
            if !is_compacted {
                written = journal.append(entry);
                self.journal_failed = written.is_err();
            }
        }
        self.journal = Some(journal);
        written
    }

    fn replace_content(&self, journal: &mut Journal) -> io::Result<()> {
        /// [`JournalEntry::State`] without a copy of the state.
        #[derive(Serialize)]
        struct StateEntry<'a> {
            summed: &'a SessionState,
        }
        journal.replace(&JournalEntry::Started(self.start.clone()), &StateEntry { summed: &self.state })
    }
}

#[cfg(test)]
mod tests;
