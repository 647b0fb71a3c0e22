//! The records whose spans are exported: the session's in force, and those of sessions that a new trace has ended.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::context::issuer::SessionContext;
use crate::export::exporter::problems::Problems;
use crate::export::record::{Exported, Record};
use crate::observe::counts::SessionCounts;
use crate::observe::span::Nanos;

/// How long a session that a new trace has ended waits for the requests that were under way then.
pub(super) const LATE_ENDS: Duration = Duration::from_secs(30);

/// What came of a session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The session.
    pub(crate) context: SessionContext,
    /// What it did.
    pub(crate) tally: SessionCounts,
    /// What became of its spans.
    pub(crate) exported: Exported,
}

impl Outcome {
    pub(super) fn of(record: &Record) -> Self {
        Self { context: record.begun().context, tally: record.tally().clone(), exported: record.exported() }
    }
}

/// What the sender and those who bring spans share.
pub(super) struct Desk {
    /// The session's in force is the last; those before it wait for their last ends.
    pub(super) works: Vec<Work>,
    /// What became of the spans of sessions that are done with.
    pub(super) done: Vec<Outcome>,
    /// Counts the records, so that an answer is taken by the one that it is for.
    pub(super) turn: usize,
    /// Send now: the channel has ended.
    pub(super) hurry: bool,
    /// Until when what is left may be sent.
    pub(super) deadline: Option<Instant>,
    /// The sender has nothing more to do.
    pub(super) ended: bool,
}

/// A record whose spans are exported.
pub(super) struct Work {
    pub(super) record: Record,
    pub(super) turn: usize,
    /// How many of its first spans are on their way.
    pub(super) sending: usize,
    /// Since when the oldest span waits.
    pub(super) since: Option<Instant>,
    /// Until when a session that a new trace has ended waits for the ends of its requests; none for the one in force.
    pub(super) until: Option<Instant>,
}

impl Work {
    pub(super) fn is_in_force(&self) -> bool {
        self.until.is_none()
    }

    /// Takes the time from which its spans wait, unless some did already.
    pub(super) fn wait_from(&mut self, since: Option<Instant>) {
        let waits = !self.record.waiting().is_empty();
        self.since = since.or_else(|| Some(Instant::now())).filter(|_| waits);
    }
}

impl Desk {
    pub(super) fn in_force(&mut self) -> Option<&mut Work> {
        self.works.iter_mut().find(|work| work.is_in_force())
    }

    pub(super) fn push(&mut self, record: Record, until: Option<Instant>) {
        self.turn += 1;
        let mut work = Work { record, turn: self.turn, sending: 0, since: None, until };
        work.wait_from(None);
        self.works.push(work);
    }

    /// Ends the sessions that wait for nothing more, and lets go of those that have nothing to send either.
    pub(super) fn close_late(&mut self, problems: &Problems) {
        let now = Instant::now();
        for work in &mut self.works {
            let Some(until) = work.until else { continue };
            if !work.record.is_closed() && (work.record.is_drained() || until <= now) {
                problems.journal(work.record.close(nanos_now()));
                work.wait_from(work.since);
            }
        }
        let is_done = |work: &Work| work.record.is_closed() && work.sending == 0 && work.record.waiting().is_empty();
        for work in self.works.extract_if(.., |work| !work.is_in_force() && is_done(work)) {
            self.done.push(Outcome::of(&work.record));
            work.record.finish();
        }
    }
}

/// The time, in nanoseconds since the epoch.
pub(in crate::export) fn nanos_now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
