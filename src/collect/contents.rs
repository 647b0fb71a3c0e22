//! Counts the spans of each trace in a trace file, in bounded memory. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::base::text::short_name;
use crate::export::otlp::{CONTEXT_NAME, IS_REMOTE, SESSION_NAME};

/// The number of traces to count. The file keeps further ones too.
const MAX_TRACES: usize = 100_000;

/// The scope of the spans that k6 makes of the actions of its scripts.
const K6_SCOPE: &str = "k6.browser";

/// The number of services to remember of a trace.
const MAX_SERVICES: usize = 32;

/// The number of names of services to remember, all traces together.
const MAX_NAMES: u16 = 10_000;

/// Nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// Longest time by which a span may be ahead of this machine's clock.
const MAX_AHEAD: u64 = DAY;

/// Longest time after its start at which a span may arrive. A person's browser may be open for weeks.
const MAX_AGE: u64 = 30 * DAY;

/// The service of spans whose resource has no service name.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown service";

/// A trace in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct CollectedTrace {
    services: Vec<NameId>,
    root_service: Option<NameId>,
    /// The id of the span without a parent.
    pub(crate) root: Option<[u8; 8]>,
    /// The start of the first span and the end of the last: nanoseconds since the epoch. Spans whose times can't be right do not count.
    pub(crate) times: Option<(u64, u64)>,
}

/// The traces and spans in a trace file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// By trace id.
    pub(crate) traces: BTreeMap<[u8; 16], CollectedTrace>,
    /// The number of spans of all traces; a repeated span counts twice.
    pub(crate) spans: usize,
    services: Names,
}

impl Contents {
    /// Adds spans that arrived at a time in nanoseconds since the epoch.
    pub(super) fn add(&mut self, request: &ExportTraceServiceRequest, now: u64) {
        for resource in &request.resource_spans {
            let service = self.services.id(&short_name(service_name(resource.resource.as_ref())));
            for scope in &resource.scope_spans {
                // What drives the browser serves nothing.
                let is_client = scope.scope.as_ref().is_some_and(|scope| scope.name == K6_SCOPE);
                for span in &scope.spans {
                    self.add_span(span, service.filter(|_| !is_client), now);
                }
            }
        }
    }

    fn add_span(&mut self, span: &Span, service: Option<NameId>, now: u64) {
        self.spans += 1;
        let Ok(id) = <[u8; 16]>::try_from(&*span.trace_id) else { return };
        if self.traces.len() >= MAX_TRACES && !self.traces.contains_key(&id) {
            return;
        }
        let trace = self.traces.entry(id).or_default();
        if let Some((start, end)) = times(span, now) {
            let (first, last) = trace.times.unwrap_or((start, end));
            trace.times = Some((first.min(start), last.max(end)));
        }
        // The real root of a trace that a session joined may never arrive here, so the session's span stands in for it.
        let is_ours = [SESSION_NAME, CONTEXT_NAME].contains(&span.name.as_str());
        let is_joined = trace.root.is_none() && span.flags & IS_REMOTE != 0 && is_ours;
        // Some exporters write zeros for no parent.
        if span.parent_span_id.iter().all(|byte| *byte == 0) || is_joined {
            trace.root = <[u8; 8]>::try_from(&*span.span_id).ok();
            trace.root_service = service;
        }
        let new = service.filter(|service| !trace.services.contains(service));
        trace.services.extend(new.filter(|_| trace.services.len() < MAX_SERVICES));
    }

    /// Returns the names of a trace's services but that of its root, in order.
    pub(crate) fn services_below_root(&self, trace: &CollectedTrace) -> Vec<&str> {
        let below = trace.services.iter().filter(|service| Some(**service) != trace.root_service);
        let mut names: Vec<&str> = below.filter_map(|service| self.services.name(*service)).collect();
        names.sort_unstable();
        names
    }
}

/// Returns the start and the end of a span, if they can be right.
fn times(span: &Span, now: u64) -> Option<(u64, u64)> {
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let range = now.saturating_sub(MAX_AGE)..=now.saturating_add(MAX_AHEAD);
    (start <= end && range.contains(&start) && range.contains(&end)).then_some((start, end))
}

/// The place of a name in [`Names`].
type NameId = u16;

/// Names, each kept once.
#[derive(Debug, Clone, Default)]
struct Names {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
}

impl Names {
    /// Returns the id of a name. Returns `None` for a new name if there are too many.
    fn id(&mut self, name: &str) -> Option<NameId> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let id = NameId::try_from(self.names.len()).ok().filter(|id| *id < MAX_NAMES)?;
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        Some(id)
    }

    fn name(&self, id: NameId) -> Option<&str> {
        self.names.get(usize::from(id)).map(|name| &**name)
    }
}

fn service_name(resource: Option<&Resource>) -> &str {
    let named = resource.and_then(|resource| resource.attributes.iter().find(|pair| pair.key == "service.name"));
    match named.and_then(|pair| pair.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(name)) => name,
        _ => UNKNOWN_SERVICE,
    }
}
