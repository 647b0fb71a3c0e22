//! What one session has: its account, and the spans that wait to be exported, in memory and in its journal.

use std::collections::VecDeque;
use std::io;

use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use super::process::Process;
use crate::context::issuer::SessionContext;
use crate::observe::observation::Observed;
use crate::observe::session::Session;
use crate::observe::span::{Nanos, Span};
use crate::observe::tally::Tally;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
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
    /// The browser has gone.
    Closed {
        /// When.
        time: Nanos,
    },
}

/// What a session began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// What its requests carry.
    pub context: SessionContext,
    /// When.
    pub time: Nanos,
    /// What its spans belong to.
    pub resource: Resource,
    /// The browser.
    pub browser: Process,
}

/// Everything that a record has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    session: Session,
    waiting: VecDeque<Span>,
    closed: bool,
    exported: Exported,
}

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
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
}

/// A session's record.
#[derive(Debug)]
pub struct Record {
    begun: Begun,
    sum: Sum,
    journal: Option<Journal>,
    /// Whether spans are kept to be exported.
    keeps: bool,
}

impl Record {
    /// Begins a record without a journal. Without `keeps`, things are counted and spans are not kept.
    #[must_use]
    pub fn new(begun: Begun, keeps: bool) -> Self {
        let session = Session::new(begun.context, begun.time);
        let sum = Sum { session, waiting: VecDeque::new(), closed: false, exported: Exported::default() };
        Self { begun, sum, journal: None, keeps }
    }

    /// Continues what a journal has, or begins it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the journal from being written.
    pub fn with_journal(begun: Begun, mut journal: Journal, entries: Vec<Entry>) -> io::Result<Self> {
        let mut record = if let Some(record) = Self::from_entries(entries) {
            record
        } else {
            journal.append(&Entry::Begun(begun.clone()))?;
            Self::new(begun, true)
        };
        record.journal = Some(journal);
        Ok(record)
    }

    /// Continues what a journal has; one without a beginning has nothing, and goes.
    #[must_use]
    pub fn of_journal(journal: Journal, entries: Vec<Entry>) -> Option<Self> {
        let Some(mut record) = Self::from_entries(entries) else {
            journal.remove();
            return None;
        };
        record.journal = Some(journal);
        Some(record)
    }

    fn from_entries(entries: Vec<Entry>) -> Option<Self> {
        let mut entries = entries.into_iter();
        let Some(Entry::Begun(begun)) = entries.next() else { return None };
        let mut record = Self::new(begun, true);
        for entry in entries {
            record.apply(entry);
        }
        Some(record)
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Begun(_) => {}
            Entry::Summed(sum) => self.sum = *sum,
            Entry::Observed(observed) => self.take(&observed),
            Entry::Settled { at, count, fate } => self.remove(at, count, fate),
            Entry::Closed { time } => self.end(time),
        }
    }

    /// What it began with.
    #[must_use]
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// What the session has done so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.sum.session.tally()
    }

    /// What became of its spans so far.
    #[must_use]
    pub fn exported(&self) -> Exported {
        self.sum.exported
    }

    /// Whether nothing was ever observed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sum.session.is_empty()
    }

    /// The spans that wait to be exported, the oldest first.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<Span> {
        &self.sum.waiting
    }

    /// Takes a batch of observations, which is safe then. One that was taken before changes nothing.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being written to the journal, which is given up then; the batch is taken all the same.
    pub fn observe(&mut self, observed: Observed) -> io::Result<()> {
        if self.sum.session.has(&observed) {
            return Ok(());
        }
        self.take(&observed);
        self.log(&Entry::Observed(observed))
    }

    /// Has spans wait no longer.
    ///
    /// # Errors
    ///
    /// As [`Record::observe`].
    pub fn settle(&mut self, at: usize, count: usize, fate: Fate) -> io::Result<()> {
        self.remove(at, count, fate);
        self.log(&Entry::Settled { at, count, fate })
    }

    /// Ends the session; its last spans wait then.
    ///
    /// # Errors
    ///
    /// As [`Record::observe`].
    pub fn close(&mut self, time: Nanos) -> io::Result<()> {
        if self.sum.closed {
            return Ok(());
        }
        self.end(time);
        self.log(&Entry::Closed { time })
    }

    /// Ends the record. Its journal goes, unless spans still wait.
    pub fn finish(self) {
        if let Some(journal) = self.journal.filter(|_| self.sum.waiting.is_empty()) {
            journal.remove();
        }
    }

    /// Forgets the record and its journal.
    pub fn discard(self) {
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
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let written = if journal.is_long() {
            // With everything in it, this entry too.
            let sum = Entry::Summed(Box::new(self.sum.clone()));
            journal.rewrite(&[Entry::Begun(self.begun.clone()), sum])
        } else {
            journal.append(entry)
        };
        if written.is_err()
            && let Some(journal) = self.journal.take()
        {
            // What it has would be sent again by whoever found it.
            journal.remove();
        }
        written
    }
}

#[cfg(test)]
mod tests;
