//! The thread that sends: one request after another, with pauses where the collector needs them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::RngExt;

use crate::base::directories::StateDirectory;
use crate::export::exporter::Shared;
use crate::export::exporter::desk::Work;
use crate::export::record::Fate;
use crate::export::settings::{Settings, Target};
use crate::export::spool::{self, Spool, Walk};
use crate::export::transport::{Answer, Transport};
use crate::export::{flush, otlp};

/// The first pause after a failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the spool is looked at once it was empty: other hosts put something there now and then.
const SPOOL_PAUSE: Duration = Duration::from_secs(10);

/// How often a collector that does not answer is tried once the browser has gone.
const LAST_TRIES: u32 = 3;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The thread that sends.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) target: Target,
    pub(super) spool: Option<Spool>,
    pub(super) state: Option<StateDirectory>,
}

/// What is to be done next.
enum Job {
    /// Send the first spans of a record that wait.
    Send { request: ExportTraceServiceRequest, count: usize, turn: usize },
    /// Send a batch that the spool has, if it has one.
    Unspool,
    /// Nothing any more.
    End,
}

impl Sender {
    pub(super) fn run(self) {
        if let Err(sentence) = self.send_all() {
            self.shared.problems.last("target", &sentence);
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }

    fn send_all(&self) -> Result<(), String> {
        if let Some(state) = &self.state {
            flush::adopt(state, &self.settings);
        }
        let transport = Transport::new(&self.target)?;
        let mut pause = Pause::default();
        let mut unspooling = Unspooling::default();
        loop {
            match self.next(&pause, &unspooling) {
                Job::End => return Ok(()),
                Job::Send { request, count, turn } => {
                    let answer = transport.send(request);
                    pause.for_good |= matches!(answer, Answer::Failed(_));
                    self.sent(turn, count, answer, &mut pause);
                }
                Job::Unspool => {
                    let Some(batch) = self.spool.as_ref().and_then(|spool| unspooling.walk.next(spool)) else {
                        unspooling = Unspooling { pause: Some(Instant::now() + SPOOL_PAUSE), ..Unspooling::default() };
                        continue;
                    };
                    let answer = transport.send(batch.request.clone());
                    self.unspooled(batch, answer, &mut pause, &mut unspooling);
                }
            }
        }
    }

    /// Takes the answer to a batch of the spool. One that can't be dealt with is passed over: it must not keep others from being sent.
    fn unspooled(&self, batch: spool::Batch, answer: Answer, pause: &mut Pause, unspooling: &mut Unspooling) {
        let failed = matches!(answer, Answer::Failed(_));
        if self.judge(answer, otlp::count(&batch.request), pause).is_some() {
            unspooling.failures = 0;
            if let Err(sentence) = batch.remove() {
                self.shared.problems.tell("not removed", &sentence);
                unspooling.failures = LAST_TRIES;
            }
        } else if failed {
            unspooling.failures += 1;
        } else {
            unspooling.walk = Walk::default();
        }
    }

    /// Waits for something to do.
    fn next(&self, pause: &Pause, unspooling: &Unspooling) -> Job {
        let mut desk = self.shared.lock();
        loop {
            desk.close_late(&self.shared.problems);
            let now = Instant::now();
            let waiting: usize = desk.works.iter().map(|work| work.record.waiting().len()).sum();
            let batch = &self.settings.batch;
            let due_of = |work: &Work| work.since.map(|since| since + batch.schedule_delay);
            let due = desk.works.iter().filter_map(due_of).min();
            let hurry = desk.hurry;
            let is_ready = |work: &Work| {
                let waiting = work.record.waiting().len();
                let is_due =
                    hurry || waiting >= batch.max_export_batch_size || due_of(work).is_some_and(|due| due <= now);
                waiting > 0 && is_due
            };
            if let Some(deadline) = desk.deadline {
                let hopeless = pause.failures >= LAST_TRIES || pause.until.is_some_and(|until| until >= deadline);
                if waiting == 0 || hopeless || pause.for_good || now >= deadline {
                    return Job::End;
                }
            }
            let may = !pause.for_good && pause.until.is_none_or(|until| until <= now);
            if may && let Some(work) = desk.works.iter_mut().find(|work| is_ready(work)) {
                let (request, count) = work.record.batch(0, &self.settings);
                work.sending = count;
                return Job::Send { request, count, turn: work.turn };
            }
            let unspools = !desk.hurry && unspooling.failures < LAST_TRIES;
            if may && unspools && unspooling.pause.is_none_or(|until| until <= now) {
                return Job::Unspool;
            }
            let late = desk.works.iter().filter(|work| !work.record.is_closed()).filter_map(|work| work.until).min();
            let until = [due, pause.until, desk.deadline, unspooling.pause, late];
            let until = until.into_iter().flatten().filter(|until| *until > now).min();
            let timeout = until.map_or(LONGEST_PAUSE, |until| until - now);
            desk = self.shared.wait(desk, timeout.min(LONGEST_PAUSE));
        }
    }

    /// Takes the answer to the first spans of a record.
    fn sent(&self, turn: usize, count: usize, answer: Answer, pause: &mut Pause) {
        let fate = self.judge(answer, count, pause);
        let mut desk = self.shared.lock();
        // It is gone when the patience at the end was over: then the spans are in the spool, or another host's.
        if let Some(work) = desk.works.iter_mut().find(|work| work.turn == turn) {
            work.sending = 0;
            if let Some((rejected, fate)) = fate {
                let problems = &self.shared.problems;
                problems.journal(work.record.settle(0, count - rejected, fate));
                if rejected > 0 {
                    problems.journal(work.record.settle(0, rejected, Fate::Refused));
                }
                work.wait_from(None);
            }
        }
        self.shared.changed.notify_all();
    }

    /// Tells what an answer means: how many spans were rejected and what became of the others, or that all of them are to be sent again.
    fn judge(&self, answer: Answer, count: usize, pause: &mut Pause) -> Option<(usize, Fate)> {
        let (target, problems) = (self.target.name(), &self.shared.problems);
        match answer {
            Answer::Accepted { rejected, message } => {
                pause.reset();
                problems.none();
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
                problems.last(
                    "refused",
                    &format!("the collector at {target} refused {count} spans, which are dropped: {reason}"),
                );
                Some((0, Fate::Refused))
            }
            Answer::Unavailable { reason, retry_after } => {
                pause.extend(retry_after);
                problems.last("unavailable", &format!("spans can't be sent to {target}: {reason}; {}", self.kept()));
                None
            }
            Answer::Failed(reason) => {
                problems.last(
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

/// How far the spool has been gone through.
#[derive(Default)]
struct Unspooling {
    walk: Walk,
    /// Batches in a row that the collector failed over.
    failures: u32,
    /// Until when it need not be looked at.
    pause: Option<Instant>,
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
    /// for is not cut short, but for a day; a time that is over already, since clocks differ, is no reason to ask without a pause.
    fn extend(&mut self, asked: Option<Duration>) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.75..1.0));
        self.failures += 1;
        self.until = Some(Instant::now() + asked.unwrap_or_default().max(jittered).min(DAY));
    }
}
