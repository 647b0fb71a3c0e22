//! Spans that could not be written. Their senders were told to come again, so only those that never did are lost.

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

/// The number of spans to know by their ids, which takes up to 10 MB. Further ones count as lost even if they come again.
const MAX_KNOWN: usize = 200_000;

/// The ids of trace and span.
type Id = [u8; 24];

#[derive(Debug, Default)]
pub(super) struct UnwrittenSpans {
    known: HashSet<Id>,
    unknown: usize,
}

impl UnwrittenSpans {
    /// Adds the spans of a request that could not be written. Those that came before count once.
    pub(super) fn add(&mut self, request: &ExportTraceServiceRequest) {
        for id in ids(request) {
            if self.known.len() < MAX_KNOWN || self.known.contains(&id) {
                self.known.insert(id);
            } else {
                self.unknown += 1;
            }
        }
    }

    /// Removes the spans of a request that was written.
    pub(super) fn remove(&mut self, request: &ExportTraceServiceRequest) {
        if self.known.is_empty() {
            return;
        }
        for id in ids(request) {
            self.known.remove(&id);
        }
    }

    /// Returns the number of spans that have not come again.
    pub(super) fn count(&self) -> usize {
        self.known.len() + self.unknown
    }
}

fn ids(request: &ExportTraceServiceRequest) -> impl Iterator<Item = Id> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).filter_map(|span| [&*span.trace_id, &*span.span_id].concat().try_into().ok())
}
