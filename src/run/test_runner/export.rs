//! Sends the spans of tests from a thread of its own. What the collector does not take goes to the spool, as with the spans of browsers.

use std::process;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::base::directories::StateDirectory;
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

/// The exporter of a run. Its thread starts with the first spans.
#[derive(Debug)]
pub(crate) struct TestExporter {
    options: ExportOptions,
    thread: Option<(mpsc::Sender<Vec<Span>>, JoinHandle<ExportCounts>)>,
}

impl TestExporter {
    pub(crate) fn new(options: ExportOptions) -> Self {
        Self { options, thread: None }
    }

    /// Sends the spans of a test. Does not wait for that.
    pub(crate) fn send(&mut self, spans: Vec<Span>) {
        let (Some(endpoint), Some(first)) = (&self.options.endpoint, spans.first()) else { return };
        if self.thread.is_none() {
            let resource = self.resource(first);
            let (sender, batches) = mpsc::channel();
            let (endpoint, max) = (endpoint.clone(), self.options.batch.max_export_batch_size.max(1));
            match threads::start("tests", move || Sender::new(endpoint).run(&batches, &resource, max)) {
                Ok(thread) => self.thread = Some((sender, thread)),
                Err(failure) => say(&format!("the spans of tests can't be sent: {failure}")),
            }
        }
        if let Some((sender, _)) = &self.thread {
            let _ = sender.send(spans);
        }
    }

    /// Waits until everything is sent or kept.
    pub(crate) fn finish(self) -> ExportCounts {
        let Some((sender, thread)) = self.thread else { return ExportCounts::default() };
        drop(sender);
        thread.join().unwrap_or_default()
    }

    fn resource(&self, Span { trace_id, id, flags, .. }: &Span) -> Resource {
        let context = SessionContext { trace_id: *trace_id, span_id: *id, flags: *flags };
        resource::resource(&self.options, &BrowserInfo::default(), resource::of_machine(process::id()), context)
    }
}

struct Sender {
    endpoint: Endpoint,
    /// `None` if nothing can be sent, for a reason that browsers report.
    transport: Option<Transport>,
    /// `None` if nothing can be kept.
    spool: Option<Spool>,
    counts: ExportCounts,
}

impl Sender {
    fn new(endpoint: Endpoint) -> Self {
        let transport = Transport::new(&endpoint).ok();
        let spool = StateDirectory::of_user().ok().map(|state| Spool::new(state.spool()));
        Self { endpoint, transport, spool, counts: ExportCounts::default() }
    }

    /// Works until the run has ended.
    fn run(mut self, batches: &Receiver<Vec<Span>>, resource: &Resource, max: usize) -> ExportCounts {
        for spans in batches {
            for batch in spans.chunks(max) {
                self.send(&otlp::request(batch, resource));
            }
        }
        self.counts
    }

    fn send(&mut self, request: &ExportTraceServiceRequest) {
        let count = otlp::count(request);
        let reason = match self.transport.as_ref().map(|transport| transport.send(request)) {
            Some(Answer::Accepted { rejected, .. }) => {
                let refused = rejected.min(count);
                self.counts.count(refused, ExportResult::Refused);
                return self.counts.count(count - refused, ExportResult::Exported);
            }
            Some(Answer::Refused(reason)) => {
                say(&format!("the collector at {} refused {}: {reason}", self.endpoint.name(), spans(count)));
                return self.counts.count(count, ExportResult::Refused);
            }
            Some(Answer::Unavailable { reason, .. } | Answer::Failed { reason, .. }) => reason,
            None => "the export's settings can't be used".to_owned(),
        };
        // A collector that does not answer would hold up the end of the run at each batch.
        self.transport = None;
        let added = self.spool.as_ref().and_then(|spool| spool.put(request).ok());
        let kept = added.is_some();
        if let Some(message) = added.and_then(|added| added.dropped_message()) {
            say(&message);
        }
        if self.counts.spooled + self.counts.lost == 0 {
            let what = if kept { "the next traced browser or `navtrace flush` sends them" } else { "they are lost" };
            say(&format!("{} can't be sent to {}: {reason}; {what}", spans(count), self.endpoint.name()));
        }
        self.counts.count(count, if kept { ExportResult::Spooled } else { ExportResult::Lost });
    }
}

fn spans(count: usize) -> String {
    format!("{} of tests", counted(count, "span"))
}
