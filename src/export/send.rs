//! The thread that talks to the collector: it sends one request at a time, backs off after failures, and drains the spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rand::RngExt;

use crate::base::directories::StateDirectory;
use crate::export::options::{BatchOptions, Endpoint};
use crate::export::problems::Problems;
use crate::export::spool::Spool;
use crate::export::transport::{Answer, Transport};
use crate::export::{flush, otlp};

/// The first pause after a failure. Each further failure doubles it.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The longest pause that a collector can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Interval between checks of an empty spool, where other hosts may put batches.
const SPOOL_INTERVAL: Duration = Duration::from_secs(10);

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
    /// Waits for a job. The spool should be drained from `drain_at` on; never if `None`.
    Ready {
        drain_at: Option<Instant>,
    },
    /// Waits before the next request.
    BackingOff {
        until: Instant,
        /// Number of failures in a row.
        failures: u32,
    },
    /// Can send nothing more.
    Stopped,
}

/// A message of the sender to the queue.
pub(super) enum SenderEvent {
    State(SenderState),
    /// The collector's answer to [`Job::Send`]: how many spans it refused, or `None` if all must be sent again.
    Answered {
        refused: Option<usize>,
    },
}

pub(super) struct CollectorSender<N> {
    endpoint: Endpoint,
    batch: BatchOptions,
    state: Option<StateDirectory>,
    problems: Arc<Problems>,
    /// Passes an event to the queue.
    notify: N,
    spool: Option<Spool>,
    /// The batch of the spool that was sent last in this round.
    last_drained: Option<PathBuf>,
    /// Batches of the spool in a row on which the collector failed.
    spool_failures: u32,
    drain_at: Instant,
    failures: u32,
    /// When the collector may be asked again after a failure.
    retry_at: Option<Instant>,
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
            endpoint,
            batch,
            problems,
            notify,
            spool: state.as_ref().map(|state| Spool::new(state.spool())),
            state,
            last_drained: None,
            spool_failures: 0,
            drain_at: Instant::now(),
            failures: 0,
            retry_at: None,
        }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        if let Err(message) = self.send_all(jobs) {
            self.problems.set("endpoint", &message);
        }
        self.enter(SenderState::Stopped);
    }

    fn enter(&self, state: SenderState) {
        (self.notify)(SenderEvent::State(state));
    }

    /// Works until the queue has ended or the collector must not be asked again. The error names the setting that can't be used.
    fn send_all(&mut self, jobs: &Receiver<Job>) -> Result<(), String> {
        if let Some(state) = &self.state {
            flush::adopt(state, &self.batch);
        }
        let transport = Transport::new(&self.endpoint)?;
        loop {
            if let Some(until) = self.retry_at.take() {
                self.enter(SenderState::BackingOff { until, failures: self.failures });
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
            }
            let drains = self.spool.is_some() && self.spool_failures < MAX_SPOOL_FAILURES;
            self.enter(SenderState::Ready { drain_at: drains.then_some(self.drain_at) });
            match jobs.recv() {
                Ok(Job::Send(request)) => {
                    let count = otlp::count(&request);
                    let answer = transport.send(request);
                    let failed = matches!(answer, Answer::Failed(_));
                    let refused = self.refused(answer, count);
                    (self.notify)(SenderEvent::Answered { refused });
                    if failed {
                        return Ok(());
                    }
                }
                Ok(Job::DrainSpool) => self.drain_spool(&transport),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Sends the next batch of the spool. Skips a batch on which the collector fails, so that it does not hold up the others.
    fn drain_spool(&mut self, transport: &Transport) {
        let last = self.last_drained.take();
        let Some(batch) = self.spool.as_ref().and_then(|spool| spool.next_after(last.as_deref())) else {
            self.spool_failures = 0;
            self.drain_at = Instant::now() + SPOOL_INTERVAL;
            return;
        };
        let count = otlp::count(&batch.request);
        let answer = transport.send(batch.request.clone());
        // After a pause, the spool is read from its beginning again.
        if !matches!(answer, Answer::Unavailable { .. }) {
            self.last_drained = Some(batch.path.clone());
        }
        let failed = matches!(answer, Answer::Failed(_));
        if self.refused(answer, count).is_some() {
            self.spool_failures = 0;
            if let Err(message) = batch.remove() {
                self.problems.report("not removed", &message);
                self.spool_failures = MAX_SPOOL_FAILURES;
            }
        } else if failed {
            self.spool_failures += 1;
        }
    }

    /// Reports problems and returns how many of `count` spans were refused, or `None` if all must be sent again.
    fn refused(&mut self, answer: Answer, count: usize) -> Option<usize> {
        let (endpoint, problems) = (self.endpoint.name(), Arc::clone(&self.problems));
        match answer {
            Answer::Accepted { rejected, message } => {
                self.failures = 0;
                problems.clear();
                let rejected = rejected.min(count);
                if rejected > 0 {
                    let problem =
                        format!("the collector at {endpoint} rejected {rejected} of {count} spans: {message}");
                    problems.report("partial", &problem);
                } else if !message.is_empty() {
                    problems.report("warning", &format!("the collector at {endpoint} says: {message}"));
                }
                Some(rejected)
            }
            Answer::Refused(reason) => {
                self.failures = 0;
                let problem = format!("the collector at {endpoint} refused {count} spans, which are dropped: {reason}");
                problems.set("refused", &problem);
                Some(count)
            }
            Answer::Unavailable { reason, retry_after } => {
                self.back_off(retry_after);
                let problem = format!("spans can't be sent to {endpoint}: {reason}; {}", self.loss_hint());
                problems.set("unavailable", &problem);
                None
            }
            Answer::Failed(reason) => {
                let problem = format!(
                    "spans can't be sent to {endpoint}: {reason}; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS; {}",
                    self.loss_hint()
                );
                problems.set("failed", &problem);
                None
            }
        }
    }

    /// Doubles the pause, with jitter so that many browsers do not come back to a collector at the same moment. Never pauses for less, even if
    /// the collector names a time that has passed, since clocks differ.
    fn back_off(&mut self, retry_after: Option<Duration>) {
        let doubled = MIN_BACKOFF.saturating_mul(1 << self.failures.min(10)).min(MAX_BACKOFF);
        let jittered = doubled.mul_f64(rand::rng().random_range(0.75..1.0));
        self.failures += 1;
        self.retry_at = Some(Instant::now() + retry_after.unwrap_or_default().max(jittered).min(MAX_RETRY_AFTER));
    }

    fn loss_hint(&self) -> &'static str {
        if self.spool.is_some() {
            "they are kept, and the next traced browser or `navtrace flush` sends them"
        } else {
            "they are lost when the browser ends, since nothing can be kept"
        }
    }
}
