//! Sends the spans of tests from a thread of its own. What the collector does not take goes to the spool, as with the spans of browsers.

use std::process;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::base::directories::StateDirectory;
use crate::base::lock;
use crate::base::stdio::say;
use crate::base::text::counted;
use crate::base::threads;
use crate::context::issuer::SessionContext;
use crate::export::journal::{ExportCounts, ExportResult};
use crate::export::options::{Endpoint, ExportOptions};
use crate::export::otlp;
use crate::export::resource::{self, BrowserInfo};
use crate::export::spool::Spool;
use crate::export::transport::{Answer, Transport};
use crate::observe::span::Span;

/// The most requests that wait for the collector. Further ones go to the spool.
const MAX_WAITING: usize = 32;

/// The exporter of a run. Its thread starts with the first spans.
#[derive(Debug)]
pub(crate) struct TestExporter {
    options: ExportOptions,
    /// The resource of tests.
    resource: Option<Resource>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    waiting: SyncSender<ExportTraceServiceRequest>,
    thread: JoinHandle<()>,
    results: Arc<Mutex<Results>>,
}

impl TestExporter {
    pub(crate) fn new(options: ExportOptions) -> Self {
        Self { options, resource: None, running: None }
    }

    /// Sends the spans of a test. Does not wait for that.
    pub(crate) fn send(&mut self, spans: &[Span]) {
        let Some(first) = spans.first() else { return };
        let resource = self.resource.get_or_insert_with(|| resource_of(&self.options, first)).clone();
        for batch in spans.chunks(self.options.batch.max_export_batch_size.max(1)) {
            self.send_request(otlp::request(batch, &resource));
        }
    }

    /// Sends spans that have a resource. Does not wait for that.
    pub(crate) fn send_request(&mut self, request: ExportTraceServiceRequest) {
        if request.resource_spans.is_empty() {
            return;
        }
        if self.running.is_none() {
            let destination = self.options.destination();
            self.running = self.start(|| Some(Spool::new(StateDirectory::of_user().ok()?.spool(), destination)));
        }
        let Some(Running { waiting, results, .. }) = &self.running else { return };
        if let Err(TrySendError::Full(request)) = waiting.try_send(request) {
            lock(results).keep(&request, "it answers too slowly");
        }
    }

    fn start(&self, spool: impl FnOnce() -> Option<Spool>) -> Option<Running> {
        let endpoint = self.options.endpoint.clone()?;
        let transport = Transport::new(&endpoint).ok();
        let results = Results { endpoint, spool: spool(), counts: ExportCounts::default() };
        let results = Arc::new(Mutex::new(results));
        let (waiting, requests) = mpsc::sync_channel::<ExportTraceServiceRequest>(MAX_WAITING);
        let mut sender = Sender { transport, results: Arc::clone(&results) };
        let thread = threads::start("tests", move || {
            for request in requests {
                sender.send(&request);
            }
        });
        match thread {
            Ok(thread) => Some(Running { waiting, thread, results }),
            Err(failure) => {
                say(&format!("the spans of tests can't be sent: {failure}"));
                None
            }
        }
    }

    /// Waits until everything is sent or kept.
    pub(crate) fn finish(self) -> ExportCounts {
        let Some(Running { waiting, thread, results, .. }) = self.running else { return ExportCounts::default() };
        drop(waiting);
        let _ = thread.join();
        lock(&results).counts
    }
}

fn resource_of(options: &ExportOptions, Span { trace_id, id, flags, .. }: &Span) -> Resource {
    let context = SessionContext { trace_id: *trace_id, span_id: *id, flags: *flags };
    resource::resource(options, &BrowserInfo::default(), resource::of_machine(process::id()), context)
}

struct Sender {
    /// `None` if nothing can be sent, for a reason that browsers report.
    transport: Option<Transport>,
    results: Arc<Mutex<Results>>,
}

impl Sender {
    fn send(&mut self, request: &ExportTraceServiceRequest) {
        let answer = self.transport.as_ref().map(|transport| transport.send(request));
        let mut results = lock(&self.results);
        let reason = match answer {
            Some(Answer::Accepted { rejected, .. }) => return results.accepted(request, rejected),
            Some(Answer::Refused(reason)) => return results.refused(request, &reason),
            Some(Answer::Unavailable { reason, .. } | Answer::Failed { reason, .. }) => reason,
            None => "the export's settings can't be used".to_owned(),
        };
        // A collector that does not answer would hold up the end of the run at each batch.
        self.transport = None;
        results.keep(request, &reason);
    }
}

/// What became of the spans. Says it to the user, each kind once.
#[derive(Debug)]
struct Results {
    endpoint: Endpoint,
    /// `None` if nothing can be kept.
    spool: Option<Spool>,
    counts: ExportCounts,
}

impl Results {
    fn accepted(&mut self, request: &ExportTraceServiceRequest, rejected: usize) {
        let count = otlp::count(request);
        let refused = rejected.min(count);
        self.counts.count(refused, ExportResult::Refused);
        self.counts.count(count - refused, ExportResult::Exported);
    }

    fn refused(&mut self, request: &ExportTraceServiceRequest, reason: &str) {
        if self.counts.refused == 0 {
            say(&format!("the collector at {} refused {}: {reason}", self.endpoint.name(), spans(request)));
        }
        self.counts.count(otlp::count(request), ExportResult::Refused);
    }

    fn keep(&mut self, request: &ExportTraceServiceRequest, reason: &str) {
        let added = self.spool.as_ref().and_then(|spool| spool.put(request).ok());
        let kept = added.is_some();
        if let Some(message) = added.and_then(|added| added.dropped_message()) {
            say(&message);
        }
        if self.counts.spooled + self.counts.lost == 0 {
            let what = if kept { "the next traced browser or `navtrace flush` sends them" } else { "they are lost" };
            say(&format!("{} can't be sent to {}: {reason}; {what}", spans(request), self.endpoint.name()));
        }
        self.counts.count(otlp::count(request), if kept { ExportResult::Spooled } else { ExportResult::Lost });
    }
}

fn spans(request: &ExportTraceServiceRequest) -> String {
    format!("{} of tests", counted(otlp::count(request), "span"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;
    use crate::context::policy::Policy;
    use crate::run::test_runner::attempts::{TestAttempts, TraceLinks};

    #[test]
    fn what_a_slow_collector_has_no_time_for_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        // Takes connections and never answers.
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", collector.local_addr().unwrap());
        let endpoint = Endpoint::of_collector(&address, Path::new("/run"));
        let endpoint = endpoint.map(|endpoint| Endpoint { timeout: None, ..endpoint });
        let mut attempts = TestAttempts::new(Policy::default(), TraceLinks::default());
        let began = serde_json::from_str(r#"{"report":"test-began","attempt":1,"name":"buys"}"#).unwrap();
        attempts.apply(0, &began);
        let spans = attempts.interrupt(1);
        let options = ExportOptions { endpoint, ..ExportOptions::default() };
        let spool = Spool::new(dir.path(), options.destination());
        let mut exporter = TestExporter::new(options);
        exporter.running = exporter.start(|| Some(spool.clone()));
        let results = Arc::clone(&exporter.running.as_ref().unwrap().results);
        for _ in 0..MAX_WAITING + 3 {
            exporter.send(&spans);
        }
        let spooled = lock(&results).counts.spooled;
        assert!((2..=3).contains(&spooled), "{spooled}");
        // Its connections fail.
        drop(collector);
        assert_eq!(exporter.finish(), ExportCounts { spooled: MAX_WAITING + 3, ..ExportCounts::default() });
        assert_eq!(spool.spans(), MAX_WAITING + 3);
    }
}
