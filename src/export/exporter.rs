//! Sends what waits, in a thread of its own: nobody waits for a collector.

mod sender;

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::record::{Exported, Fate, Record};
use super::root_cause;
use super::settings::Settings;
use super::spool::{self, Spool};
use super::state::State;
use crate::observe::observation::Observed;
use crate::observe::span::Nanos;
use crate::observe::tally::Tally;

/// Tells the user of a problem.
pub type OnProblem = Box<dyn Fn(&str) + Send + Sync>;

/// Sends the spans of one session, and what the spool has.
pub struct Exporter {
    shared: Arc<Shared>,
    settings: Settings,
    spool: Option<Spool>,
}

struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
    problems: Problems,
}

/// What the sender and those who bring spans share.
struct Desk {
    work: Option<Work>,
    /// Counts the records, so that an answer is taken by the one that it is for.
    turn: usize,
    /// Send now: the channel has ended.
    hurry: bool,
    /// Until when what is left may be sent.
    deadline: Option<Instant>,
    /// The sender has nothing more to do.
    ended: bool,
}

/// A record whose spans are exported.
struct Work {
    record: Record,
    turn: usize,
    /// How many of its first spans are on their way.
    sending: usize,
    /// Since when the oldest span waits.
    since: Option<Instant>,
}

impl Work {
    /// Takes the time from which its spans wait, unless some did already.
    fn wait_from(&mut self, since: Option<Instant>) {
        let waits = !self.record.waiting().is_empty();
        self.since = since.or_else(|| Some(Instant::now())).filter(|_| waits);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, desk: MutexGuard<'a, Desk>, timeout: Duration) -> MutexGuard<'a, Desk> {
        self.changed.wait_timeout(desk, timeout).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Says each thing once.
struct Problems {
    said: Mutex<HashSet<String>>,
    tell: OnProblem,
}

impl Problems {
    /// Tells of a problem, unless one of the same kind was told before.
    fn tell(&self, kind: &str, sentence: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.to_owned()) {
            (self.tell)(sentence);
        }
    }

    fn journal(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            let sentence = format!(
                "the session's journal can't be used ({}): spans are kept in memory alone, and a host that dies loses them",
                root_cause(&error)
            );
            self.tell("journal", &sentence);
        }
    }
}

impl Exporter {
    /// Begins to send. Without a state directory nothing outlives this process; without a target nothing is sent.
    #[must_use]
    pub fn start(settings: &Settings, state: Option<&State>, tell: OnProblem) -> Self {
        let problems = Problems { said: Mutex::default(), tell };
        let desk = Desk { work: None, turn: 0, hurry: false, deadline: None, ended: false };
        let shared = Arc::new(Shared { desk: Mutex::new(desk), changed: Condvar::new(), problems });
        let spool = state.map(|state| Spool::new(state.spool(), spool::MOST_BYTES));
        match settings.target.clone() {
            Some(target) => {
                let sender = sender::Sender {
                    shared: Arc::clone(&shared),
                    settings: settings.clone(),
                    target,
                    spool: spool.clone(),
                    state: state.cloned(),
                };
                std::thread::spawn(move || sender.run());
            }
            None => shared.lock().ended = true,
        }
        Self { shared, settings: settings.clone(), spool }
    }

    /// Takes a session's record; its spans are exported from now on.
    pub fn begin(&self, record: Record) {
        let mut desk = self.shared.lock();
        desk.turn += 1;
        let mut work = Work { record, turn: desk.turn, sending: 0, since: None };
        work.wait_from(None);
        desk.work = Some(work);
        self.shared.changed.notify_all();
    }

    /// Takes a batch of observations, and gives what the session has done so far. It is safe then.
    #[must_use]
    pub fn observe(&self, observed: Observed) -> Option<Tally> {
        let mut desk = self.shared.lock();
        let work = desk.work.as_mut()?;
        self.shared.problems.journal(work.record.observe(observed));
        let tally = work.record.tally().clone();
        self.make_room(work);
        work.wait_from(work.since);
        self.shared.changed.notify_all();
        Some(tally)
    }

    /// Has the session's record in a journal from now on.
    pub fn protect(&self, journal: Journal) {
        let mut desk = self.shared.lock();
        if let Some(work) = desk.work.as_mut() {
            self.shared.problems.journal(work.record.protect(journal));
        }
    }

    /// Tells that the session has no journal.
    pub fn journal_failed(&self, error: std::io::Error) {
        self.shared.problems.journal(Err(error));
    }

    /// Sends what waits without delay.
    pub fn hurry(&self) {
        self.shared.lock().hurry = true;
        self.shared.changed.notify_all();
    }

    /// Leaves the session to another host, which goes on from its journal; waits up to `patience` for what is on its way. Gives what became
    /// of its spans so far.
    #[must_use]
    pub fn release(&self, patience: Duration) -> Exported {
        let deadline = Instant::now() + patience;
        let mut desk = self.shared.lock();
        while desk.work.as_ref().is_some_and(|work| work.sending > 0) && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        let Some(Work { mut record, .. }) = desk.work.take() else { return Exported::default() };
        drop(desk);
        if record.is_empty() || !record.is_safe() {
            // Another host would know nothing of these spans.
            self.put_all_aside(&mut record);
            let exported = record.exported();
            record.discard();
            return exported;
        }
        record.exported()
    }

    /// Ends the session: sends what is left, up to `patience`, keeps the rest, and gives what became of everything.
    #[must_use]
    pub fn finish(&self, time: Nanos, patience: Duration) -> Exported {
        let deadline = Instant::now() + patience;
        let mut desk = self.shared.lock();
        if let Some(work) = &mut desk.work {
            self.shared.problems.journal(work.record.close(time));
        }
        desk.hurry = true;
        desk.deadline = Some(deadline);
        self.shared.changed.notify_all();
        while !desk.ended && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        let Some(Work { mut record, .. }) = desk.work.take() else { return Exported::default() };
        drop(desk);
        self.put_all_aside(&mut record);
        let mut exported = record.exported();
        // What could not be moved stays in the journal, which is as good.
        exported.spooled += record.waiting().len();
        record.finish();
        exported
    }

    /// Moves the oldest spans that are not on their way to the spool, while more wait than may.
    fn make_room(&self, work: &mut Work) {
        while work.record.waiting().len() > work.sending + self.settings.batch.max_queue_size {
            if !self.put_aside(&mut work.record, work.sending) {
                return;
            }
        }
    }

    fn put_all_aside(&self, record: &mut Record) {
        while !record.waiting().is_empty() && self.put_aside(record, 0) {}
    }

    /// Moves a batch of spans to the spool. Gives whether they wait no more: where the spool fails, those that the journal has stay there.
    fn put_aside(&self, record: &mut Record, from: usize) -> bool {
        let (request, count) = record.batch(from, &self.settings);
        let problems = &self.shared.problems;
        let fate = match self.spool.as_ref().map(|spool| spool.put(&request)) {
            Some(Ok(dropped)) => {
                if dropped > 0 {
                    let sentence = format!(
                        "the spool is full: {dropped} of its oldest spans were dropped, and there may be more; `navtrace flush` sends what it has"
                    );
                    problems.tell("spool full", &sentence);
                }
                Fate::Spooled
            }
            Some(Err(error)) => {
                let safe = record.is_safe();
                let what = if safe { "they stay in the session's journal" } else { "they are lost" };
                let sentence = format!("spans can't be kept in the spool ({}): {what}", root_cause(&error));
                problems.tell("spool", &sentence);
                if safe {
                    return false;
                }
                Fate::Lost
            }
            None => Fate::Lost,
        };
        problems.journal(record.settle(from, count, fate));
        true
    }
}
