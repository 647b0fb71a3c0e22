//! Counts what happened in a session, for the summary of `navtrace run`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::context::ids::TraceId;
use crate::observe::span::{Nanos, Operation, Span, SpanError};

const MAX_NAMED_TRACES: usize = 3;

/// The number of traces of browser contexts that are counted one by one.
const MAX_CONTEXT_TRACES: usize = 100;

/// Limit for each kind of hosts.
pub(crate) const MAX_HOSTS: usize = 200;

/// The longest name that DNS can resolve, in bytes. No request of a longer one arrives anywhere.
const MAX_HOST: usize = 253;

/// The counts of a session so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounts {
    /// Navigations, with or without a document.
    pub navigations: usize,
    /// Finished requests; each redirect hop counts.
    pub requests: usize,
    /// Requests of the kinds that `NAVTRACE_RESOURCES=calls` leaves out.
    #[serde(default)]
    pub other_kinds: usize,
    /// Requests that failed: with a status of 400 or more, or without a response.
    pub failures: usize,
    /// Requests answered from the browser's cache.
    pub cache_hits: usize,
    /// The request that took longest.
    pub slowest: Option<SlowestRequest>,
    /// Observations that the extension had to drop.
    pub dropped: u64,
    /// Sampled traces of navigations, besides the session's own.
    pub other_traces: usize,
    /// The ids of the first [`MAX_NAMED_TRACES`] of them.
    pub named_traces: Vec<TraceId>,
    /// The number of browser contexts that have ended, where each has a span.
    #[serde(default)]
    pub contexts: usize,
    /// The first [`MAX_CONTEXT_TRACES`] traces of browser contexts, and the session's own.
    #[serde(default)]
    pub context_traces: Vec<ContextCounts>,
    /// The number of browser contexts in further traces.
    #[serde(default)]
    pub more_contexts: usize,
    /// The trace of the session's span if its own trace is that of a browser context.
    #[serde(default)]
    pub apart: Option<TraceId>,
    /// Hosts that the client has navigated to itself.
    #[serde(default)]
    pub client_hosts: BTreeSet<String>,
    /// All hosts that were asked for something, and whether one of the requests had no response because of an error.
    #[serde(default)]
    pub hosts: BTreeMap<String, bool>,
}

impl SessionCounts {
    /// Counts a trace other than the session's own.
    pub(super) fn count_trace(&mut self, id: TraceId) {
        self.other_traces += 1;
        if self.named_traces.len() < MAX_NAMED_TRACES {
            self.named_traces.push(id);
        }
    }

    /// Counts finished spans in the traces of browser contexts.
    pub(super) fn count_contexts<'a>(
        &mut self,
        spans: impl Iterator<Item = &'a Span>,
        is_context: impl Fn(TraceId) -> bool,
    ) {
        for span in spans.filter(|span| is_context(span.trace_id)) {
            let is_end = span.operation == Operation::Context;
            self.contexts += usize::from(is_end);
            let known = self.context_traces.iter().position(|context| context.trace_id == span.trace_id);
            match known {
                Some(at) => self.context_traces[at].count(span),
                None if self.context_traces.len() < MAX_CONTEXT_TRACES => {
                    let mut context = ContextCounts::new(span);
                    context.count(span);
                    self.context_traces.push(context);
                }
                // The trace of a test is counted as the test's.
                None => self.more_contexts += usize::from(is_end && span.parent.is_none()),
            }
        }
    }

    /// Records that the client navigates to an address.
    pub(super) fn navigates(&mut self, address: &str) {
        if self.client_hosts.len() < MAX_HOSTS
            && let Some(host) = host(address)
        {
            self.client_hosts.insert(host);
        }
    }

    /// Records that a request has left for an address, and whether it failed without a response.
    pub(super) fn asked(&mut self, address: &str, failed: bool) {
        let Some(host) = host(address) else { return };
        if let Some(has_failed) = self.hosts.get_mut(&host) {
            *has_failed |= failed;
        } else if self.hosts.len() < MAX_HOSTS {
            self.hosts.insert(host, failed);
        }
    }
}

/// The counts of a browser context's trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextCounts {
    pub trace_id: TraceId,
    pub navigations: usize,
    pub requests: usize,
    pub failures: usize,
    pub cache_hits: usize,
    pub slowest: Option<SlowestRequest>,
    /// The start of its first span and the end of its last one, in nanoseconds since the epoch.
    pub start: Nanos,
    pub end: Nanos,
    /// Whether it is the trace of a test, which has begun in another process.
    #[serde(default)]
    pub is_of_test: bool,
}

impl ContextCounts {
    fn new(span: &Span) -> Self {
        let (trace_id, start, end) = (span.trace_id, span.start, span.end);
        Self {
            trace_id,
            navigations: 0,
            requests: 0,
            failures: 0,
            cache_hits: 0,
            slowest: None,
            start,
            end,
            is_of_test: false,
        }
    }

    fn count(&mut self, span: &Span) {
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        match &span.operation {
            Operation::Context => self.is_of_test |= span.parent.is_some(),
            Operation::Navigation(_) => self.navigations += 1,
            Operation::Request(request) => {
                self.failures += usize::from(request.error.as_ref().is_some_and(SpanError::is_failure));
                if request.unsent {
                    return;
                }
                self.requests += 1;
                self.cache_hits += usize::from(request.from_cache);
                let duration = span.end - span.start;
                if self.slowest.as_ref().is_none_or(|slowest| duration > slowest.duration) {
                    let name = format!("{} {}", request.method, request.url);
                    self.slowest = Some(SlowestRequest { duration, name });
                }
            }
            _ => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowestRequest {
    /// In nanoseconds.
    pub duration: u64,
    /// Method and address.
    pub name: String,
}

fn host(address: &str) -> Option<String> {
    let host = Url::parse(address).ok()?.host_str()?.to_owned();
    (host.len() <= MAX_HOST).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_too_long_for_dns_are_not_remembered() {
        let mut counts = SessionCounts::default();
        for host in ["x".repeat(MAX_HOST), "y".repeat(MAX_HOST + 1)] {
            let address = format!("http://{host}/");
            counts.navigates(&address);
            counts.asked(&address, true);
        }
        let known = "x".repeat(MAX_HOST);
        assert_eq!(counts.client_hosts, [known.clone()].into());
        assert_eq!(counts.hosts, [(known, true)].into());
    }
}
