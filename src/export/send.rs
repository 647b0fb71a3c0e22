//! The thread that talks to the collector: it sends one request at a time, backs off after failures, and drains the spool.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::RngExt;

use crate::base::directories::StateDirectory;
use crate::export::destination::Destination;
use crate::export::journal::ExportCounts;
use crate::export::options::{BatchOptions, Endpoint};
use crate::export::problems::Problems;
use crate::export::spool::Spool;
use crate::export::transport::{Answer, Transport};
use crate::export::{flush, otlp};

/// The first and the longest pause while the collector is unavailable. Each failure doubles the pause.
const UNAVAILABLE_BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// The same after an answer that sending again would not change, such as 401 or 500.
const FAILED_BACKOFF: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(300)];

/// The longest pause that a collector can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Shortest time between two looks at the spool, where other hosts may put batches. Only after a success of this host: an idle host does not look.
const SPOOL_INTERVAL: Duration = Duration::from_secs(10);

/// Number of failures in a row after which the last spans of a browser go to the spool at once.
const MAX_LAST_FAILURES: u32 = 3;

/// Number of failures in a row after which the spool is left to the next host.
const MAX_SPOOL_FAILURES: u32 = 3;

/// A job for the sender. The queue gives it one only in [`SenderState::Ready`].
pub(super) enum Job {
    /// Send spans of the queue; [`SenderEvent::Answered`] follows.
    Send(ExportTraceServiceRequest),
    /// Send one batch of the spool, if there is one.
    DrainSpool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum SenderState {
    Busy,
    /// Waits for a job.
    Ready,
    /// Waits before the next request.
    BackingOff {
        until: Instant,
        /// Whether the last spans of a browser go to the spool at once.
        is_hopeless: bool,
    },
    /// Can send nothing more.
    Stopped,
}

/// A message of the sender to the queue.
pub(super) enum SenderEvent {
    State(SenderState),
    /// The end of [`Job::Send`]: what became of the spans, of which all are counted or, if they must be sent again, none.
    Answered(ExportCounts),
    /// The spool may have batches that can be sent now.
    SpoolWaits,
}

pub(super) struct CollectorSender<N> {
    endpoint: Endpoint,
    batch: BatchOptions,
    state: Option<StateDirectory>,
    problems: Arc<Problems>,
    /// Passes an event to the queue.
    notify: N,
    spool: Option<Spool>,
    /// Batches of the spool that this process must not send again.
    tried: HashSet<PathBuf>,
    /// Batches of the spool in a row on which the collector failed.
    spool_failures: u32,
    /// The time from which a success of this host is a reason to look at the spool.
    spool_due: Instant,
    failures: u32,
    /// The pause before the next request: its end, and [`SenderState::BackingOff::is_hopeless`].
    pause: Option<(Instant, bool)>,
}

impl<N: Fn(SenderEvent)> CollectorSender<N> {
    /// Without a state directory, nothing can be kept for later.
    pub(super) fn new(
        endpoint: Endpoint,
        batch: BatchOptions,
        state: Option<StateDirectory>,
        problems: Arc<Problems>,
        notify: N,
    ) -> Self {
        Self {
            spool: state.as_ref().map(|state| Spool::new(state.spool(), Some(Destination::of(&endpoint)))),
            endpoint,
            batch,
            problems,
            notify,
            state,
            tried: HashSet::new(),
            spool_failures: 0,
            spool_due: Instant::now() + SPOOL_INTERVAL,
            failures: 0,
            pause: None,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        if let Err(message) = self.send_all(jobs) {
            let hint = self.loss_hint(" when the browser ends");
            self.problems.set("endpoint", &format!("spans can't be sent: {message}; {hint}"));
        }
        self.enter(SenderState::Stopped);
    }

    fn enter(&self, state: SenderState) {
        (self.notify)(SenderEvent::State(state));
    }

    /// Works until the queue has ended. The error names the setting that can't be used.
    fn send_all(&mut self, jobs: &Receiver<Job>) -> Result<(), String> {
        if let Some(state) = &self.state {
            flush::adopt(state, &self.batch);
        }
        let transport = Transport::new(&self.endpoint)?;
        loop {
            if let Some((until, is_hopeless)) = self.pause.take() {
                self.enter(SenderState::BackingOff { until, is_hopeless });
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
            self.enter(SenderState::Ready);
            match jobs.recv() {
                Ok(Job::Send(request)) => {
                    let counts = self.send(&transport, &request);
                    (self.notify)(SenderEvent::Answered(counts));
                }
                Ok(Job::DrainSpool) => self.drain_spool(&transport),
                Err(_) => return Ok(()),
            }
        }
    }

    fn send(&mut self, transport: &Transport, request: &ExportTraceServiceRequest) -> ExportCounts {
        let count = otlp::count(request);
        let answer = transport.send(request);
        self.report(&answer, count);
        if let Some(refused) = answer.refused_of(count) {
            if self.spool_due <= Instant::now() {
                self.spool_failures = 0;
                (self.notify)(SenderEvent::SpoolWaits);
            }
            return ExportCounts { exported: count - refused, refused, ..ExportCounts::default() };
        }
        if matches!(answer, Answer::Failed { .. }) {
            self.back_off(FAILED_BACKOFF, None, true);
            return self.put_aside(request, count);
        }
        ExportCounts::default()
    }

    /// Puts a batch into the spool, for the next host.
    fn put_aside(&mut self, request: &ExportTraceServiceRequest, count: usize) -> ExportCounts {
        let Some(spool) = &self.spool else { return ExportCounts { lost: count, ..ExportCounts::default() } };
        match spool.put(request) {
            Ok(put) => {
                self.problems.check_dropped(&put);
                self.tried.insert(put.path);
                ExportCounts { spooled: count, ..ExportCounts::default() }
            }
            // The spans stay in the queue, which says so when it has too many.
            Err(error) => {
                tracing::debug!("a batch can't be put aside: {error}");
                ExportCounts::default()
            }
        }
    }

    /// Sends the next batch of the spool. Skips a batch on which the collector fails, so that it does not hold up the others.
    fn drain_spool(&mut self, transport: &Transport) {
        let next = self.spool.as_ref().filter(|_| self.spool_failures < MAX_SPOOL_FAILURES);
        let batch = match next.and_then(|spool| spool.next_except(&self.tried)) {
            Some(Ok(batch)) => batch,
            Some(Err(unusable)) => {
                self.problems.report("unusable batch", &unusable.reason);
                self.tried.insert(unusable.path);
                (self.notify)(SenderEvent::SpoolWaits);
                return;
            }
            None => {
                self.spool_due = Instant::now() + SPOOL_INTERVAL;
                return;
            }
        };
        let answer = transport.send(&batch.request);
        self.report(&answer, otlp::count(&batch.request));
        match answer {
            Answer::Accepted { .. } | Answer::Refused(_) => {
                self.spool_failures = 0;
                self.tried.insert(batch.path.clone());
                match batch.remove() {
                    Ok(path) => drop(self.tried.remove(&path)),
                    Err(message) => self.problems.report("not removed", &message),
                }
            }
            // Goes on once the collector has accepted spans of this host, so that an idle host does not ask again and again.
            Answer::Unavailable { .. } => {
                self.spool_due = Instant::now();
                return;
            }
            Answer::Failed { .. } => {
                self.spool_failures += 1;
                self.tried.insert(batch.path);
            }
        }
        (self.notify)(SenderEvent::SpoolWaits);
    }

    /// Reports problems, and backs off while the collector is unavailable.
    fn report(&mut self, answer: &Answer, count: usize) {
        let (endpoint, problems) = (self.endpoint.name(), Arc::clone(&self.problems));
        match answer {
            Answer::Accepted { message, .. } => {
                self.failures = 0;
                problems.clear();
                let refused = answer.refused_of(count).unwrap_or_default();
                if refused > 0 {
                    let problem = format!("the collector at {endpoint} rejected {refused} of {count} spans: {message}");
                    problems.report("partial", &problem);
                } else if !message.is_empty() {
                    problems.report("warning", &format!("the collector at {endpoint} says: {message}"));
                }
            }
            Answer::Refused(reason) => {
                self.failures = 0;
                let problem = format!("the collector at {endpoint} refused {count} spans, which are dropped: {reason}");
                problems.set("refused", &problem);
            }
            Answer::Unavailable { reason, retry_after } => {
                self.back_off(UNAVAILABLE_BACKOFF, *retry_after, self.failures + 1 >= MAX_LAST_FAILURES);
                let hint = self.loss_hint(" when the browser ends");
                problems.set("unavailable", &format!("spans can't be sent to {endpoint}: {reason}; {hint}"));
            }
            Answer::Failed { kind, reason } => {
                let hint = self.loss_hint("");
                let problem = format!(
                    "spans can't be sent to {endpoint}: {reason}; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS; {hint}"
                );
                problems.set(&format!("failed: {kind}"), &problem);
            }
        }
    }

    /// Doubles the pause, with jitter so that many browsers do not come back to a collector at the same moment. Never pauses for less, even if
    /// the collector names a time that has passed, since clocks differ.
    fn back_off(&mut self, [first, longest]: [Duration; 2], retry_after: Option<Duration>, is_hopeless: bool) {
        let doubled = first.saturating_mul(1 << self.failures.min(10)).min(longest);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.75..1.0));
        self.failures += 1;
        let pause = retry_after.unwrap_or_default().max(jittered).min(MAX_RETRY_AFTER);
        self.pause = Some((Instant::now() + pause, is_hopeless));
    }

    /// Says what becomes of spans that can't be sent. Without a spool they are lost `when`.
    fn loss_hint(&self, when: &str) -> String {
        if self.spool.is_some() {
            "they are kept, and the next traced browser or `navtrace flush` sends them".to_owned()
        } else {
            format!("they are lost{when}, since nothing can be kept")
        }
    }
}
