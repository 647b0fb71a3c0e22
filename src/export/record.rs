//! What one session has: its account, and the spans that wait to be exported, in memory and in its journal.

use std::collections::VecDeque;
use std::io;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::{Deserialize, Serialize};

use crate::base::process::Process;
use crate::context::issuer::SessionContext;
use crate::export::journal::Journal;
use crate::export::otlp;
use crate::export::settings::Settings;
use crate::observe::counts::SessionCounts;
use crate::observe::observation::Observed;
use crate::observe::session::{RemoteParent, Session};
use crate::observe::span::{Nanos, Span};

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// The first one.
    Begun(Begun),
    /// Everything up to here.
    Summed(Box<Sum>),
    /// A batch of observations.
    Observed(Observed),
    /// Spans do not wait any more.
    Settled {
        /// The place of the first in the queue.
        at: usize,
        /// How many.
        count: usize,
        /// What became of them.
        fate: Fate,
    },
    /// Another session has taken its place.
    Retired {
        /// When.
        time: Nanos,
    },
    /// The browser has gone.
    Closed {
        /// When.
        time: Nanos,
    },
}

/// What a session began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// What its requests carry.
    pub(crate) context: SessionContext,
    /// The span of somebody else's that it is part of.
    pub(crate) parent: Option<RemoteParent>,
    /// When.
    pub(crate) time: Nanos,
    /// What its spans belong to.
    pub(crate) resource: Resource,
    /// The browser.
    pub(crate) browser: Process,
}

/// Everything that a record has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    session: Session,
    waiting: VecDeque<Span>,
    closed: bool,
    exported: Exported,
}

/// [`Entry::Summed`] as it is written, without another copy of everything.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Written<'a> {
    Summed(&'a Sum),
}

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    /// The collector took them.
    Exported,
    /// The collector did not want them.
    Refused,
    /// They wait in the spool.
    Spooled,
    /// They could not be kept.
    Lost,
}

/// What became of a session's spans so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Spans that the collector took.
    pub exported: usize,
    /// Spans that the collector did not want.
    pub refused: usize,
    /// Spans that wait in the spool.
    pub spooled: usize,
    /// Spans that could not be kept.
    pub lost: usize,
}

impl Exported {
    fn count(&mut self, count: usize, fate: Fate) {
        *match fate {
            Fate::Exported => &mut self.exported,
            Fate::Refused => &mut self.refused,
            Fate::Spooled => &mut self.spooled,
            Fate::Lost => &mut self.lost,
        } += count;
    }

    /// Adds what became of another session's spans.
    pub(super) fn add(&mut self, other: Self) {
        self.exported += other.exported;
        self.refused += other.refused;
        self.spooled += other.spooled;
        self.lost += other.lost;
    }
}

/// A session's record.
#[derive(Debug)]
pub(crate) struct Record {
    begun: Begun,
    sum: Sum,
    journal: Option<Journal>,
    /// Whether the journal lacks something, since it could not be written.
    broken: bool,
    /// Whether spans are kept to be exported.
    keeps: bool,
}

impl Record {
    /// Begins a record without a journal. Without `keeps`, things are counted and spans are not kept.
    pub(crate) fn new(begun: Begun, keeps: bool) -> Self {
        let session = Session::new(begun.context, begun.parent.clone(), begun.time);
        let sum = Sum { session, waiting: VecDeque::new(), closed: false, exported: Exported::default() };
        Self { begun, sum, journal: None, broken: false, keeps }
    }

    /// Continues what a journal has, or begins it.
    pub(crate) fn with_journal(begun: Begun, mut journal: Journal) -> io::Result<Self> {
        let mut record = if let Some(record) = Self::read(&mut journal)? {
            record
        } else {
            journal.append(&Entry::Begun(begun.clone()))?;
            Self::new(begun, true)
        };
        record.journal = Some(journal);
        Ok(record)
    }

    /// Has the record in a journal from now on.
    pub(crate) fn protect(&mut self, mut journal: Journal) -> io::Result<()> {
        journal.rewrite(&Entry::Begun(self.begun.clone()), &Written::Summed(&self.sum))?;
        self.journal = Some(journal);
        Ok(())
    }

    /// Continues what a journal has; one without a beginning has nothing, and goes.
    pub(crate) fn of_journal(mut journal: Journal) -> io::Result<Option<Self>> {
        let Some(mut record) = Self::read(&mut journal)? else {
            journal.remove();
            return Ok(None);
        };
        record.journal = Some(journal);
        Ok(Some(record))
    }

    fn read(journal: &mut Journal) -> io::Result<Option<Self>> {
        let mut record: Option<Self> = None;
        journal.read(|entry| match (&mut record, entry) {
            (None, Entry::Begun(begun)) => record = Some(Self::new(begun, true)),
            (None, _) => {}
            (Some(record), entry) => record.apply(entry),
        })?;
        Ok(record)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Begun(_) => {}
            Entry::Summed(sum) => self.sum = *sum,
            Entry::Observed(observed) => self.take(&observed),
            Entry::Settled { at, count, fate } => self.remove(at, count, fate),
            Entry::Retired { time } => self.sum.session.retire(time),
            Entry::Closed { time } => self.end(time),
        }
    }

    /// What it began with.
    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// What the session has done so far.
    pub(crate) fn tally(&self) -> &SessionCounts {
        self.sum.session.counts()
    }

    /// What became of its spans so far.
    pub(crate) fn exported(&self) -> Exported {
        self.sum.exported
    }

    /// Whether nothing was ever observed.
    pub(crate) fn is_empty(&self) -> bool {
        self.sum.session.is_empty()
    }

    /// The spans that wait to be exported, the oldest first.
    pub(crate) fn waiting(&self) -> &VecDeque<Span> {
        &self.sum.waiting
    }

    /// Builds the request for a batch of the spans that wait, from that place in the queue on, and tells how many they are.
    pub(crate) fn batch(&self, from: usize, settings: &Settings) -> (ExportTraceServiceRequest, usize) {
        let most = settings.batch.max_export_batch_size;
        let spans: Vec<Span> = self.sum.waiting.iter().skip(from).take(most).cloned().collect();
        (otlp::request(&spans, &self.begun.resource, &settings.limits), spans.len())
    }

    /// Takes a batch of observations, which is safe then. One that was taken before changes nothing.
    pub(crate) fn observe(&mut self, observed: Observed) -> io::Result<()> {
        if self.sum.session.has(&observed) {
            return Ok(());
        }
        self.take(&observed);
        self.log(&Entry::Observed(observed))
    }

    /// Has spans wait no longer.
    pub(crate) fn settle(&mut self, at: usize, count: usize, fate: Fate) -> io::Result<()> {
        self.remove(at, count, fate);
        self.log(&Entry::Settled { at, count, fate })
    }

    /// Learns that another session has taken this one's place, which waits for the ends of its requests from now on.
    pub(crate) fn retire(&mut self, time: Nanos) -> io::Result<()> {
        self.sum.session.retire(time);
        self.log(&Entry::Retired { time })
    }

    /// Whether no request is under way.
    pub(crate) fn is_drained(&self) -> bool {
        self.sum.session.is_drained()
    }

    /// Whether the session has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sum.closed
    }

    /// Ends the session; its last spans wait then.
    pub(crate) fn close(&mut self, time: Nanos) -> io::Result<()> {
        if self.sum.closed {
            return Ok(());
        }
        self.end(time);
        self.log(&Entry::Closed { time })
    }

    /// Whether everything stands in the journal too.
    pub(crate) fn is_safe(&self) -> bool {
        self.journal.is_some() && !self.broken
    }

    /// Goes on without the journal, which the caller has from now on.
    pub(crate) fn detach(&mut self) -> Option<Journal> {
        self.journal.take()
    }

    /// Ends the record. Its journal goes, unless spans still wait.
    pub(crate) fn finish(self) {
        if let Some(journal) = self.journal.filter(|_| self.sum.waiting.is_empty()) {
            journal.remove();
        }
    }

    /// Forgets the record and its journal.
    pub(crate) fn discard(self) {
        if let Some(journal) = self.journal {
            journal.remove();
        }
    }

    fn take(&mut self, observed: &Observed) {
        let spans = self.sum.session.observe(observed);
        self.keep(spans);
    }

    fn end(&mut self, time: Nanos) {
        self.sum.closed = true;
        let spans = self.sum.session.close(time);
        self.keep(spans);
    }

    fn keep(&mut self, spans: Vec<Span>) {
        if self.keeps {
            self.sum.waiting.extend(spans);
        }
    }

    fn remove(&mut self, at: usize, count: usize, fate: Fate) {
        let end = (at + count).min(self.sum.waiting.len());
        self.sum.waiting.drain(at.min(end)..end);
        self.sum.exported.count(count, fate);
    }

    fn log(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(journal) = self.journal.as_mut().filter(|_| !self.broken) else { return Ok(()) };
        // With everything in it, this entry too; one that there is no room for is no loss yet.
        if journal.is_long() && journal.rewrite(&Entry::Begun(self.begun.clone()), &Written::Summed(&self.sum)).is_ok()
        {
            return Ok(());
        }
        let written = journal.append(entry);
        self.broken = written.is_err();
        written
    }
}

#[cfg(test)]
mod tests;
