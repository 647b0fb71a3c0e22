//! Requests, from their start to their end.

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::context::resources::is_call;
use crate::observe::counts::SlowestRequest;
use crate::observe::observation::{NavigationStart, Observation, Response, SpanLink};
use crate::observe::session::{Session, nanos};
use crate::observe::span::{Nanos, Operation, Request, Span, SpanError};

/// The number of requests that may be open at once. Bounds the memory of requests whose end is never seen.
pub(super) const MAX_OPEN: usize = 10_000;

/// A request with its redirect hops and attempts so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenRequest {
    /// The request's trace if the session does not know it.
    #[serde(rename = "stray")]
    unknown_trace: Option<TraceId>,
    parent: Option<SpanId>,
    /// The span of the page's own instrumentation that made the request.
    caller: Option<SpanId>,
    /// The context of another trace that the page had set.
    link: Option<SpanLink>,
    /// Whether the parent is the navigation that begins with this request.
    #[serde(rename = "begins")]
    begins_navigation: bool,
    /// The number of finished hops and attempts.
    #[serde(rename = "sent")]
    finished: u32,
    /// The current hop; none between a redirect and the next hop.
    #[serde(rename = "open")]
    hop: Option<Hop>,
}

impl OpenRequest {
    pub(super) fn is_between_hops(&self) -> bool {
        self.hop.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hop {
    id: SpanId,
    start: Nanos,
    request: Request,
}

impl Session {
    /// Applies an event of a request.
    pub(super) fn apply_request(&mut self, observation: &Observation, time: Nanos, spans: &mut Vec<Span>) {
        match observation {
            Observation::RequestStarted {
                request: id,
                span_id,
                parent,
                trace_id,
                caller,
                link,
                method,
                url,
                resource,
                navigation,
                size,
                ..
            } => {
                let hop = Hop { id: *span_id, start: time, request: new_request(method, url, resource, *size) };
                let request = OpenRequest {
                    unknown_trace: trace_id.filter(|trace_id| *trace_id != self.context.trace_id),
                    parent: parent.filter(|parent| *parent != self.context.span_id),
                    caller: *caller,
                    link: *link,
                    begins_navigation: navigation.is_some(),
                    ..OpenRequest::default()
                };
                if let Some(start) = navigation {
                    self.begin_navigation(start, &request, &hop);
                }
                self.start_request(id, request, hop, spans);
            }
            Observation::RequestRedirected { request: id, response, .. } => {
                if let Some(mut request) = self.requests.remove(id) {
                    self.end_hop(&mut request, time, spans, |request| apply_response(request, response));
                    self.requests.insert(id.clone(), request);
                }
            }
            Observation::RequestCompleted { request: id, response, .. } => {
                if let Some(mut request) = self.requests.remove(id) {
                    self.end_hop(&mut request, time, spans, |request| apply_response(request, response));
                }
            }
            Observation::RequestFailed { request: id, error, span_id, method, url, resource, .. } => {
                let mut request = self.requests.remove(id).unwrap_or_default();
                if request.hop.is_none() {
                    // A hop to an address that is no target.
                    if url.is_empty() {
                        return;
                    }
                    // The request, or its next hop, failed before it was sent.
                    let hop = Hop { id: *span_id, start: time, request: new_request(method, url, resource, None) };
                    self.start_hop(&mut request, hop);
                }
                self.end_hop(&mut request, time, spans, |request| request.error = Some(SpanError::of_name(error)));
            }
            _ => {}
        }
    }

    /// Begins the navigation whose first request this is.
    fn begin_navigation(&mut self, start: &NavigationStart, request: &OpenRequest, hop: &Hop) {
        let Some(id) = request.parent.filter(|parent| !self.ended.contains(parent)) else { return };
        let began = nanos(start.started).min(hop.start);
        self.started = self.started.min(began);
        let open = self.navigation(id, began);
        open.start = open.start.min(began);
        open.navigation.tab_id = Some(start.tab_id);
        if open.navigation.url.is_empty() {
            open.navigation.url = hop.request.url.clone();
        }
    }

    fn start_request(&mut self, id: &str, mut request: OpenRequest, hop: Hop, spans: &mut Vec<Span>) {
        if let Some(mut before) = self.requests.remove(id) {
            // Without a redirect this is another attempt: the server asked for credentials, or the connection was lost.
            self.end_hop(&mut before, hop.start, spans, |_| ());
            request.finished = before.finished;
        }
        self.start_hop(&mut request, hop);
        if self.requests.len() >= MAX_OPEN {
            self.abandon_oldest(spans);
        }
        self.requests.insert(id.to_owned(), request);
    }

    fn start_hop(&mut self, request: &mut OpenRequest, mut hop: Hop) {
        hop.request.resend_count = request.finished;
        if let Some(id) = self.navigation_of(request)
            && !self.ended.contains(&id)
        {
            let open = self.navigation(id, hop.start);
            open.extend_to(hop.start);
            open.requests += 1;
        }
        request.hop = Some(hop);
    }

    /// Ends the current hop, if there is one, after `update` has filled in its result.
    fn end_hop(
        &mut self,
        request: &mut OpenRequest,
        time: Nanos,
        spans: &mut Vec<Span>,
        update: impl FnOnce(&mut Request),
    ) {
        let Some(mut hop) = request.hop.take() else { return };
        update(&mut hop.request);
        request.finished += 1;
        let end = time.max(hop.start);
        self.count_request(&hop.request, end - hop.start);
        if request.begins_navigation
            && let Some(open) = request.parent.and_then(|parent| self.navigations.get_mut(&parent))
        {
            open.navigation.error.clone_from(&hop.request.error);
        }
        spans.push(self.request_span(request, hop, end, false));
    }

    /// Ends a request whose end will not be seen.
    pub(super) fn abandon(&mut self, mut request: OpenRequest, end: Nanos, spans: &mut Vec<Span>) {
        if let Some(hop) = request.hop.take() {
            let end = end.max(hop.start);
            spans.push(self.request_span(&request, hop, end, true));
        }
    }

    fn abandon_oldest(&mut self, spans: &mut Vec<Span>) {
        let started = |request: &OpenRequest| request.hop.as_ref().map_or(0, |hop| hop.start);
        let oldest = self.requests.iter().min_by_key(|(_, request)| started(request)).map(|(id, _)| id.clone());
        if let Some(request) = oldest.and_then(|id| self.requests.remove(&id)) {
            self.abandon(request, self.latest, spans);
        }
    }

    fn request_span(&mut self, request: &OpenRequest, hop: Hop, end: Nanos, unfinished: bool) -> Span {
        if let Some(open) = self.navigation_of(request).and_then(|id| self.navigations.get_mut(&id)) {
            open.requests = open.requests.saturating_sub(1);
            open.extend_to(end);
        }
        let mut parent = match request.unknown_trace {
            Some(trace_id) => self.parents.for_unknown_trace(trace_id),
            None => self.parents.for_request(request.parent),
        };
        self.parents.extend_tab(request.parent, hop.start, end);
        if let Some(caller) = request.caller {
            parent.parent = Some(caller);
            parent.is_remote = false;
        }
        parent.links.extend(request.link);
        parent.into_span(hop.id, (hop.start, end), unfinished, Operation::Request(Box::new(hop.request)))
    }

    fn navigation_of(&self, request: &OpenRequest) -> Option<SpanId> {
        request.parent.filter(|parent| request.unknown_trace.is_none() && self.parents.is_navigation(*parent))
    }

    fn count_request(&mut self, request: &Request, duration: Nanos) {
        self.counts.requests += 1;
        self.counts.other_kinds += usize::from(!is_call(&request.resource));
        self.counts.failures += usize::from(request.error.as_ref().is_some_and(SpanError::is_failure));
        self.counts.cache_hits += usize::from(request.from_cache);
        if self.counts.slowest.as_ref().is_none_or(|slowest| duration > slowest.duration) {
            let name = format!("{} {}", request.method, request.url);
            self.counts.slowest = Some(SlowestRequest { duration, name });
        }
    }
}

fn apply_response(request: &mut Request, response: &Response) {
    request.status = Some(response.status);
    request.from_cache = response.from_cache;
    request.address = response.address.as_deref().map(Into::into);
    request.protocol = response.protocol.as_deref().map(Into::into);
    request.error = SpanError::of_status(response.status);
}

fn new_request(method: &str, url: &str, resource: &str, size: Option<u64>) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        resource: resource.into(),
        resend_count: 0,
        size,
        status: None,
        from_cache: false,
        address: None,
        protocol: None,
        error: None,
    }
}
