//! Sends what waits, in a thread of its own: nobody waits for a collector.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::RngExt;

use super::flush;
use super::otlp;
use super::record::{Exported, Fate, Record};
use super::settings::{Settings, Target};
use super::spool::{self, Spool};
use super::state::State;
use super::transport::{Answer, Transport};
use crate::observe::observation::Observed;
use crate::observe::span::{Nanos, Span};
use crate::observe::tally::Tally;

/// The first pause after a failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the spool is looked at once it was empty: other hosts put something there now and then.
const SPOOL_PAUSE: Duration = Duration::from_secs(10);

/// How often a collector that does not answer is tried once the browser has gone.
const LAST_TRIES: u32 = 3;

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
    record: Option<Record>,
    /// How many of the record's first spans are on their way.
    sending: usize,
    /// Since when the oldest span waits.
    since: Option<Instant>,
    /// Send now: the channel has ended.
    hurry: bool,
    /// Until when what is left may be sent.
    deadline: Option<Instant>,
    /// The sender has nothing more to do.
    ended: bool,
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
                "the session's journal can't be written ({error}): spans are kept in memory alone, and a host that dies loses them"
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
        let desk = Desk { record: None, sending: 0, since: None, hurry: false, deadline: None, ended: false };
        let shared = Arc::new(Shared { desk: Mutex::new(desk), changed: Condvar::new(), problems });
        let spool = state.map(|state| Spool::new(state.spool(), spool::MOST_BYTES));
        match settings.target.clone() {
            Some(target) => {
                let sender = Sender {
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
        desk.since = (!record.waiting().is_empty()).then(Instant::now);
        desk.record = Some(record);
        self.shared.changed.notify_all();
    }

    /// Takes a batch of observations, and gives what the session has done so far. It is safe then.
    #[must_use]
    pub fn observe(&self, observed: Observed) -> Option<Tally> {
        let mut desk = self.shared.lock();
        let record = desk.record.as_mut()?;
        self.shared.problems.journal(record.observe(observed));
        let tally = record.tally().clone();
        let waits = !record.waiting().is_empty();
        self.make_room(&mut desk);
        if waits && desk.since.is_none() {
            desk.since = Some(Instant::now());
        }
        self.shared.changed.notify_all();
        Some(tally)
    }

    /// Tells that the session has no journal.
    pub fn journal_failed(&self, error: std::io::Error) {
        self.shared.problems.journal(Err(error));
    }

    /// What became of the session's spans so far.
    #[must_use]
    pub fn exported(&self) -> Exported {
        self.shared.lock().record.as_ref().map(Record::exported).unwrap_or_default()
    }

    /// Sends what waits without delay.
    pub fn hurry(&self) {
        self.shared.lock().hurry = true;
        self.shared.changed.notify_all();
    }

    /// Leaves the session to another host, which goes on from its journal; waits up to `patience` for what is on its way.
    pub fn release(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut desk = self.shared.lock();
        while desk.sending > 0 && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        if let Some(record) = desk.record.take().filter(Record::is_empty) {
            record.discard();
        }
    }

    /// Ends the session: sends what is left, up to `patience`, keeps the rest in the spool, and gives what became of everything.
    #[must_use]
    pub fn finish(&self, time: Nanos, patience: Duration) -> Exported {
        let deadline = Instant::now() + patience;
        let mut desk = self.shared.lock();
        if let Some(record) = &mut desk.record {
            self.shared.problems.journal(record.close(time));
        }
        desk.hurry = true;
        desk.deadline = Some(deadline);
        self.shared.changed.notify_all();
        while !desk.ended && Instant::now() < deadline {
            desk = self.shared.wait(desk, deadline.saturating_duration_since(Instant::now()));
        }
        let Some(mut record) = desk.record.take() else { return Exported::default() };
        drop(desk);
        while !record.waiting().is_empty() {
            self.put_aside(&mut record, 0);
        }
        let exported = record.exported();
        record.finish();
        exported
    }

    /// Moves the oldest spans that are not on their way to the spool, while more wait than may.
    fn make_room(&self, desk: &mut Desk) {
        let sending = desk.sending;
        let Some(record) = &mut desk.record else { return };
        while record.waiting().len() - sending > self.settings.batch.max_queue_size {
            self.put_aside(record, sending);
        }
    }

    /// Moves a batch of spans to the spool.
    fn put_aside(&self, record: &mut Record, from: usize) {
        let (request, count) = batch(record, from, &self.settings);
        let fate = match self.spool.as_ref().map(|spool| spool.put(&request)) {
            Some(Ok(0)) => Fate::Spooled,
            Some(Ok(dropped)) => {
                let sentence = format!(
                    "the spool is full: {dropped} of its oldest spans were dropped, and there may be more; `navtrace flush` sends what it has"
                );
                self.shared.problems.tell("spool full", &sentence);
                Fate::Spooled
            }
            Some(Err(error)) => {
                self.shared
                    .problems
                    .tell("spool", &format!("spans can't be kept in the spool ({error}), so they are lost"));
                Fate::Lost
            }
            None => Fate::Lost,
        };
        self.shared.problems.journal(record.settle(from, count, fate));
    }
}

/// Builds the request for a batch of the spans that wait.
fn batch(record: &Record, from: usize, settings: &Settings) -> (ExportTraceServiceRequest, usize) {
    let most = settings.batch.max_export_batch_size;
    let spans: Vec<Span> = record.waiting().iter().skip(from).take(most).cloned().collect();
    let begun = record.begun();
    (otlp::request(&spans, begun.context, &begun.resource, &settings.limits), spans.len())
}

/// The thread that sends.
struct Sender {
    shared: Arc<Shared>,
    settings: Settings,
    target: Target,
    spool: Option<Spool>,
    state: Option<State>,
}

/// What is to be done next.
enum Job {
    /// Send the first spans that wait.
    Send(ExportTraceServiceRequest, usize),
    /// Send a batch that the spool has, if it has one.
    Unspool,
    /// Nothing any more.
    End,
}

impl Sender {
    fn run(self) {
        if let Err(sentence) = self.send_all() {
            self.shared.problems.tell("target", &sentence);
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }

    fn send_all(&self) -> Result<(), String> {
        if let Some(state) = &self.state {
            flush::adopt(state, &self.settings);
        }
        let transport = Transport::new(&self.target)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("spans can't be sent: {error}"))?;
        let mut pause = Pause::default();
        let mut look_at = Instant::now();
        loop {
            match self.next(&pause, look_at) {
                Job::End => return Ok(()),
                Job::Send(request, count) => {
                    let answer = runtime.block_on(transport.send(request));
                    self.sent(count, answer, &mut pause);
                }
                Job::Unspool => {
                    let Some(batch) = self.spool.as_ref().and_then(Spool::take) else {
                        look_at = Instant::now() + SPOOL_PAUSE;
                        continue;
                    };
                    let spans = otlp::count(&batch.request);
                    let answer = runtime.block_on(transport.send(batch.request.clone()));
                    if self.judge(answer, spans, &mut pause).is_some() {
                        batch.remove();
                    }
                }
            }
        }
    }

    /// Waits for something to do; the spool is to be looked at when that time has come.
    fn next(&self, pause: &Pause, look_at: Instant) -> Job {
        let mut desk = self.shared.lock();
        loop {
            let now = Instant::now();
            let waiting = desk.record.as_ref().map_or(0, |record| record.waiting().len());
            let batch_size = self.settings.batch.max_export_batch_size;
            let due = desk.since.map(|since| since + self.settings.batch.schedule_delay);
            let ready = waiting > 0 && (desk.hurry || waiting >= batch_size || due.is_some_and(|due| due <= now));
            if let Some(deadline) = desk.deadline {
                let hopeless = pause.failures >= LAST_TRIES || pause.until.is_some_and(|until| until >= deadline);
                if waiting == 0 || hopeless || pause.for_good || now >= deadline {
                    return Job::End;
                }
            }
            let may = !pause.for_good && pause.until.is_none_or(|until| until <= now);
            if ready
                && may
                && let Some(record) = &desk.record
            {
                let (request, count) = batch(record, 0, &self.settings);
                desk.sending = count;
                return Job::Send(request, count);
            }
            if may && !desk.hurry && look_at <= now {
                return Job::Unspool;
            }
            let until = [due, pause.until, desk.deadline, Some(look_at)];
            let until = until.into_iter().flatten().filter(|until| *until > now).min();
            let timeout = until.map_or(LONGEST_PAUSE, |until| until - now);
            desk = self.shared.wait(desk, timeout.min(LONGEST_PAUSE));
        }
    }

    /// Takes the answer to the first spans that wait.
    fn sent(&self, count: usize, answer: Answer, pause: &mut Pause) {
        let fate = self.judge(answer, count, pause);
        let mut desk = self.shared.lock();
        desk.sending = 0;
        // It is gone when the patience at the end was over: then the spans are in the spool.
        if let (Some(record), Some((rejected, fate))) = (&mut desk.record, fate) {
            let problems = &self.shared.problems;
            problems.journal(record.settle(0, count - rejected, fate));
            if rejected > 0 {
                problems.journal(record.settle(0, rejected, Fate::Refused));
            }
            desk.since = (!record.waiting().is_empty()).then(Instant::now);
        }
        self.shared.changed.notify_all();
    }

    /// Tells what an answer means: how many spans were rejected and what became of the others, or that all of them are to be sent again.
    fn judge(&self, answer: Answer, count: usize, pause: &mut Pause) -> Option<(usize, Fate)> {
        let (target, problems) = (&self.target.endpoint, &self.shared.problems);
        match answer {
            Answer::Accepted { rejected, message } => {
                pause.reset();
                let rejected = rejected.min(count);
                if rejected > 0 {
                    let sentence = format!(
                        "the collector at {target} took only a part: {rejected} of {count} spans were rejected: {message}"
                    );
                    problems.tell("partial", &sentence);
                } else if !message.is_empty() {
                    problems.tell("warning", &format!("the collector at {target} says: {message}"));
                }
                Some((rejected, Fate::Exported))
            }
            Answer::Refused(reason) => {
                pause.reset();
                problems.tell(
                    "refused",
                    &format!("the collector at {target} refused {count} spans, which are dropped: {reason}"),
                );
                Some((0, Fate::Refused))
            }
            Answer::Unavailable { reason, retry_after } => {
                pause.extend(retry_after);
                problems.tell("unavailable", &format!("spans can't be sent to {target}: {reason}; {}", self.kept()));
                None
            }
            Answer::Failed(reason) => {
                pause.for_good = true;
                problems.tell(
                    "failed",
                    &format!(
                        "spans can't be sent to {target}: {reason}; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS; {}",
                        self.kept()
                    ),
                );
                None
            }
        }
    }

    fn kept(&self) -> &'static str {
        if self.spool.is_some() {
            "they are kept, and the next traced browser or `navtrace flush` sends them"
        } else {
            "they are lost when the browser ends, since nothing can be kept"
        }
    }
}

/// When a collector that failed may be tried again.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
    /// It is not to be tried again by this process.
    for_good: bool,
}

impl Pause {
    fn reset(&mut self) {
        *self = Self::default();
    }

    /// Doubles the pause, with jitter, so that browsers that lost their collector together do not come back together. What the collector asks
    /// for is never cut short; a time that is over already, since clocks differ, is no reason to ask without a pause.
    fn extend(&mut self, asked: Option<Duration>) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.75..1.0));
        self.failures += 1;
        self.until = Some(Instant::now() + asked.unwrap_or_default().max(jittered).min(Duration::from_secs(3600)));
    }
}
