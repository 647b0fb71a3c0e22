//! Requests, from their start to their end.

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::context::resources::is_call;
use crate::observe::counts::SlowestRequest;
use crate::observe::observation::{FailureKind, NavigationStart, Observation, Response, SpanLink};
use crate::observe::session::{Session, remember};
use crate::observe::span::{Nanos, Operation, Request, Span, SpanError, nanos};

/// The number of requests that may be open at once. Bounds the memory of requests whose end is never seen.
pub(super) const MAX_OPEN: usize = 10_000;

/// Chromium's error of a request that may only be answered from the cache. It reports a start, but nothing leaves.
const CACHE_MISS: &str = "net::ERR_CACHE_MISS";

/// The method of CORS preflights, and Chromium's error of a request whose preflight was answered without permission.
const PREFLIGHT: &str = "OPTIONS";
const FORBIDDEN: &str = "net::ERR_FAILED";

/// A request with its redirect hops and attempts so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenRequest {
    /// The request's trace if the session does not know it.
    #[serde(rename = "stray")]
    unknown_trace: Option<TraceId>,
    pub(super) parent: Option<SpanId>,
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
    /// The address that redirected, between a redirect and the next hop.
    #[serde(default)]
    redirected_from: Option<Box<str>>,
    /// When the last page of its browser context was closed, or when the request went on after that.
    #[serde(default)]
    pub(super) left: Option<Nanos>,
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
    #[serde(default)]
    challenge: Option<Challenge>,
}

impl Hop {
    fn new(id: SpanId, start: Nanos, request: Request) -> Self {
        Self { id, start, request, challenge: None }
    }
}

/// A response that asks for credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Challenge {
    id: SpanId,
    time: Nanos,
    response: Response,
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
                let hop = Hop::new(*span_id, time, new_request(method, url, resource, *size));
                let request = OpenRequest {
                    unknown_trace: trace_id.filter(|trace_id| *trace_id != self.context.trace_id),
                    parent: parent.filter(|parent| *parent != self.context.span_id),
                    caller: caller.filter(|caller| caller != span_id && !self.is_own(*caller)),
                    link: *link,
                    begins_navigation: navigation.is_some(),
                    ..OpenRequest::default()
                };
                if let Some(start) = navigation {
                    self.begin_navigation(start, &request, &hop);
                    if !start.by_page && !self.requests.contains_key(id) {
                        self.counts.navigates(url);
                    }
                }
                self.start_request(id, request, hop, spans);
            }
            Observation::RequestChallenged { request: id, span_id, response, .. } => {
                if let Some(hop) = self.requests.get_mut(id).and_then(|request| request.hop.as_mut()) {
                    hop.challenge = Some(Challenge { id: *span_id, time, response: response.clone() });
                }
            }
            Observation::RequestRedirected { request: id, response, .. } => {
                if let Some(mut request) = self.requests.remove(id) {
                    let from = request.hop.as_ref().map(|hop| hop.request.url.clone());
                    self.end_hop(&mut request, time, spans, |request| apply_response(request, response));
                    request.redirected_from = from;
                    self.requests.insert(id.clone(), request);
                }
            }
            Observation::RequestCompleted { request: id, response, .. } => {
                if let Some(mut request) = self.requests.remove(id) {
                    if let Some(hop) = request.hop.as_ref().filter(|hop| &*hop.request.method == PREFLIGHT) {
                        let _ = remember(&mut self.preflights, hop.request.url.clone());
                    }
                    self.end_hop(&mut request, time, spans, |request| apply_response(request, response));
                }
            }
            Observation::RequestFailed { request: id, error, kind, span_id, parent, method, url, resource, .. } => {
                let parent = parent.filter(|parent| *parent != self.context.span_id);
                let known = self.requests.remove(id);
                let mut request = known.unwrap_or_else(|| OpenRequest { parent, ..OpenRequest::default() });
                let is_sent = request.hop.is_some();
                if !is_sent {
                    // A hop to an address that is no target has none here. After a redirect, only a next hop has another address: otherwise the page did
                    // not want the redirect, and there is no hop.
                    if url.is_empty() || request.redirected_from.as_deref() == Some(url) {
                        return;
                    }
                    self.start_hop(&mut request, Hop::new(*span_id, time, new_request(method, url, resource, None)));
                }
                // What never left was blocked, if it was not cancelled: an error of the network needs an attempt to send. But an answer to its
                // preflight that forbids it is the server's error.
                let is_forbidden = !is_sent && self.take_preflight(url) && error == FORBIDDEN;
                let is_blocked = !is_sent && !is_forbidden && *kind == FailureKind::Failed;
                let kind = if is_blocked { FailureKind::Blocked } else { *kind };
                self.end_hop(&mut request, time, spans, |request| {
                    request.unsent = !is_sent || error == CACHE_MISS;
                    request.error = Some(SpanError::of_name(error, kind));
                });
            }
            Observation::RequestLeft { request: id, .. } => self.leave_request(id, time),
            _ => {}
        }
    }

    /// Forgets the preflight of a request, and returns whether there was one.
    fn take_preflight(&mut self, url: &str) -> bool {
        let at = self.preflights.iter().position(|preflight| **preflight == *url);
        at.and_then(|at| self.preflights.remove(at)).is_some()
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
            request.left = before.left.map(|_| hop.start);
        }
        if &*hop.request.method != PREFLIGHT {
            self.take_preflight(&hop.request.url);
        }
        self.start_hop(&mut request, hop);
        if self.requests.len() >= MAX_OPEN {
            self.abandon_oldest(spans);
        }
        self.requests.insert(id.to_owned(), request);
    }

    fn start_hop(&mut self, request: &mut OpenRequest, mut hop: Hop) {
        hop.request.resend_count = request.finished;
        request.redirected_from = None;
        if let Some(open) = self.navigation_of(request).and_then(|id| self.navigations.get_mut(&id)) {
            open.extend_to(hop.start);
            open.requests += 1;
        }
        request.hop = Some(hop);
    }

    /// Ends the current hop, if there is one, after `update` has filled in its result.
    pub(super) fn end_hop(
        &mut self,
        request: &mut OpenRequest,
        time: Nanos,
        spans: &mut Vec<Span>,
        update: impl FnOnce(&mut Request),
    ) {
        let Some(mut hop) = request.hop.take() else { return };
        update(&mut hop.request);
        self.end_challenge(request, &mut hop, spans);
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

    /// Ends the exchange before this hop's last response, if there was one: the server asked for credentials, and the browser had them. The later
    /// exchange keeps the id that both carry, because the server's work is below it.
    fn end_challenge(&mut self, request: &mut OpenRequest, hop: &mut Hop, spans: &mut Vec<Span>) {
        let Some(Challenge { id, time, response }) = hop.challenge.take() else { return };
        if hop.request.status.is_none_or(|status| status == response.status) {
            return;
        }
        let end = time.max(hop.start);
        let mut challenged = Hop::new(id, hop.start, hop.request.clone());
        apply_response(&mut challenged.request, &response);
        challenged.request.error = None;
        challenged.request.challenged = true;
        self.start_hop(request, challenged);
        let Some(challenged) = request.hop.take() else { return };
        self.count_request(&challenged.request, end - hop.start);
        request.finished += 1;
        let mut span = self.request_span(request, challenged, end, false);
        span.links.push(SpanLink { trace_id: span.trace_id, span_id: hop.id });
        spans.push(span);
        hop.start = end;
        hop.request.resend_count = request.finished;
    }

    /// Ends a request whose end will not be seen.
    pub(super) fn abandon(&mut self, mut request: OpenRequest, end: Nanos, spans: &mut Vec<Span>) {
        if let Some(left) = request.left {
            self.cancel(request, left, spans);
        } else if let Some(hop) = request.hop.take() {
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
        let unannounced = self.navigation_of(request).filter(|id| !self.knows(*id));
        let mut parent = match (request.unknown_trace, unannounced) {
            (Some(trace_id), _) => self.parents.for_unknown_trace(trace_id),
            (None, Some(navigation)) => self.parents.in_place_of(navigation),
            (None, None) => self.parents.for_request(request.parent),
        };
        self.parents.extend_group(&parent, hop.start, end);
        if let Some(caller) = request.caller {
            parent.parent = Some(caller);
            parent.is_remote = false;
        }
        parent.links.extend(request.link);
        parent.into_span(hop.id, (hop.start, end), unfinished, Operation::Request(Box::new(hop.request)))
    }

    /// Returns whether this session made a span. A page may name any span as the caller of its request, but its own instrumentation makes spans
    /// that nothing here knows. With a known one, a request would be part of another page.
    fn is_own(&self, id: SpanId) -> bool {
        let is_of_hop = |request: &OpenRequest| request.hop.as_ref().is_some_and(|hop| hop.id == id);
        id == self.context.span_id
            || self.knows(id)
            || self.parents.is_issued(id)
            || self.requests.values().any(is_of_hop)
    }

    fn navigation_of(&self, request: &OpenRequest) -> Option<SpanId> {
        request.parent.filter(|parent| request.unknown_trace.is_none() && self.parents.is_navigation(*parent))
    }

    fn count_request(&mut self, request: &Request, duration: Nanos) {
        self.counts.failures += usize::from(request.error.as_ref().is_some_and(SpanError::is_failure));
        if request.unsent {
            return;
        }
        self.counts.requests += 1;
        if !request.from_cache {
            self.counts.asked(&request.url, matches!(request.error, Some(SpanError::Network(_))));
        }
        self.counts.other_kinds += usize::from(!is_call(&request.resource));
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
        unsent: false,
        challenged: false,
        address: None,
        protocol: None,
        error: None,
    }
}
