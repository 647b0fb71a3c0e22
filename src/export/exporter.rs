//! Sends what waits, in a thread of its own: nobody waits for a collector.

mod desk;
mod problems;
mod sender;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::directories::StateDirectory;
use crate::context::issuer::SessionContext;
use crate::export::ExporterState;
use crate::export::exporter::desk::{Desk, LATE_ENDS, Work};
use crate::export::exporter::problems::Problems;
use crate::export::journal::Journal;
use crate::export::record::{Exported, Fate, Record};
use crate::export::root_cause;
use crate::export::settings::Settings;
use crate::export::spool::{self, Spool};
use crate::observe::observation::Observed;
use crate::observe::span::Nanos;
use crate::observe::tally::Tally;

pub(crate) use crate::export::exporter::desk::Outcome;
pub(super) use crate::export::exporter::desk::nanos_now;

/// Tells the user of a problem.
pub(crate) type OnProblem = Box<dyn Fn(&str) + Send + Sync>;

/// Sends the spans of one session, and what the spool has.
pub(crate) struct Exporter {
    shared: Arc<Shared>,
    settings: Settings,
    spool: Option<Spool>,
}

struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
    problems: Problems,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, desk: MutexGuard<'a, Desk>, timeout: Duration) -> MutexGuard<'a, Desk> {
        self.changed.wait_timeout(desk, timeout).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Exporter {
    /// Begins to send. Without a state directory nothing outlives this process; without a target nothing is sent.
    pub(crate) fn start(settings: &Settings, state: Option<&StateDirectory>, tell: OnProblem) -> Self {
        let problems = Problems::new(tell);
        let desk = Desk { works: Vec::new(), done: Vec::new(), turn: 0, hurry: false, deadline: None, ended: false };
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
    pub(crate) fn begin(&self, record: Record) {
        self.shared.lock().push(record, None);
        self.shared.changed.notify_all();
    }

    /// Takes the record of a session that has ended, for the ends of its requests.
    pub(crate) fn resume_late(&self, mut record: Record, time: Nanos) {
        self.shared.problems.journal(record.retire(time));
        let mut desk = self.shared.lock();
        desk.push(record, Some(Instant::now() + LATE_ENDS));
        // The one in force stays the last.
        desk.works.sort_by_key(Work::is_in_force);
        self.shared.changed.notify_all();
    }

    /// Makes room for another session. Of one that nobody has used nothing stays. Any other ends now, and its spans are exported; it waits for the
    /// ends of its requests first, but not for long.
    pub(crate) fn retire(&self, time: Nanos, patience: Duration) {
        let mut desk = self.shared.lock();
        let Some(work) = desk.in_force() else { return };
        if work.record.is_empty() {
            let turn = work.turn;
            let work = self.take(desk, patience, |work| work.turn == turn);
            for work in work {
                let _ = self.leave(work);
            }
            return;
        }
        self.shared.problems.journal(work.record.retire(time));
        work.until = Some(Instant::now() + LATE_ENDS);
        desk.close_late(&self.shared.problems);
        self.shared.changed.notify_all();
    }

    /// Tells that something ended in a session that no host has had.
    pub(crate) fn lost_late(&self) {
        let sentence = "what ended in a trace that was over before there was a host is not exported";
        self.shared.problems.tell("late", sentence);
    }

    /// Whether a session is here, be it in force or waiting for its last ends.
    pub(crate) fn has(&self, session: &SessionContext) -> bool {
        self.shared.lock().works.iter().any(|work| work.record.begun().context == *session)
    }

    /// What became of the spans of this browser's sessions so far, and how many wait to be sent.
    pub(crate) fn state(&self) -> (ExporterState, usize) {
        let desk = self.shared.lock();
        let mut total = Exported::default();
        let mut waiting = 0;
        for outcome in &desk.done {
            total.add(outcome.exported);
        }
        for work in &desk.works {
            total.add(work.record.exported());
            waiting += work.record.waiting().len();
        }
        let problem = self.shared.problems.lasting();
        let Exported { exported, refused, spooled, lost } = total;
        (ExporterState { exported, kept: waiting + spooled, dropped: refused + lost, problem }, waiting)
    }

    /// Takes a batch of observations of the session that it names, and gives what the one in force has done so far. It is safe then.
    pub(crate) fn observe(&self, observed: Observed) -> Option<Tally> {
        let mut desk = self.shared.lock();
        let work = match observed.session {
            // One that is closed has its spans, marked as unfinished.
            Some(session) => {
                desk.works.iter_mut().find(|work| work.record.begun().context == session && !work.record.is_closed())
            }
            None => desk.in_force(),
        };
        if let Some(work) = work {
            self.shared.problems.journal(work.record.observe(observed));
            self.make_room(work);
            work.wait_from(work.since);
        }
        desk.close_late(&self.shared.problems);
        self.shared.changed.notify_all();
        desk.in_force().map(|work| work.record.tally().clone())
    }

    /// Has the session's record in a journal from now on.
    pub(crate) fn protect(&self, journal: Journal) {
        let mut desk = self.shared.lock();
        if let Some(work) = desk.in_force() {
            self.shared.problems.journal(work.record.protect(journal));
        }
    }

    /// Tells that the session has no journal.
    pub(crate) fn journal_failed(&self, error: std::io::Error) {
        self.shared.problems.journal(Err(error));
    }

    /// Sends what waits without delay.
    pub(crate) fn hurry(&self) {
        self.shared.lock().hurry = true;
        self.shared.changed.notify_all();
    }

    /// Leaves the session to another host, which goes on from its journal; waits up to `patience` for what is on its way. Gives what came of
    /// this browser's sessions so far, the one in force last.
    pub(crate) fn release(&self, patience: Duration) -> Vec<Outcome> {
        let works = self.take(self.shared.lock(), patience, |_| true);
        let mut outcomes = std::mem::take(&mut self.shared.lock().done);
        outcomes.extend(works.into_iter().map(|work| self.leave(work)));
        outcomes
    }

    /// Takes those sessions from the sender, once what is on its way has arrived or `patience` is over.
    fn take(&self, mut desk: MutexGuard<'_, Desk>, patience: Duration, which: impl Fn(&Work) -> bool) -> Vec<Work> {
        let deadline = Instant::now() + patience;
        while desk.works.iter().any(|work| which(work) && work.sending > 0) && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        desk.works.extract_if(.., |work| which(work)).collect()
    }

    /// Lets go of a session that another host goes on with, if one can.
    fn leave(&self, Work { mut record, until, .. }: Work) -> Outcome {
        // Nobody goes on with one that has ended.
        if until.is_some() {
            self.shared.problems.journal(record.close(nanos_now()));
        }
        if until.is_none() && !record.is_empty() && record.is_safe() {
            return Outcome::of(&record);
        }
        // Another host would know nothing of these spans.
        self.put_all_aside(&mut record);
        let outcome = Outcome::of(&record);
        if until.is_some() {
            record.finish();
        } else {
            record.discard();
        }
        outcome
    }

    /// Ends the session: sends what is left, up to `patience`, keeps the rest, and gives what came of this browser's
    /// sessions, the one in force last.
    pub(crate) fn finish(&self, time: Nanos, patience: Duration) -> Vec<Outcome> {
        let deadline = Instant::now() + patience;
        let mut desk = self.shared.lock();
        for work in &mut desk.works {
            self.shared.problems.journal(work.record.close(time));
        }
        desk.hurry = true;
        desk.deadline = Some(deadline);
        self.shared.changed.notify_all();
        while !desk.ended && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        let mut outcomes = std::mem::take(&mut desk.done);
        let works = std::mem::take(&mut desk.works);
        drop(desk);
        for Work { mut record, .. } in works {
            self.put_all_aside(&mut record);
            let mut outcome = Outcome::of(&record);
            // What could not be moved stays in the journal, which is as good.
            outcome.exported.spooled += record.waiting().len();
            outcomes.push(outcome);
            record.finish();
        }
        outcomes
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
                problems.last("spool", &sentence);
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
