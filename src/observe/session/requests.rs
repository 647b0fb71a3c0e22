//! Requests from their start to their end: what of a session's account is about them.

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::observe::observation::{Linked, NavigationStart, Response};
use crate::observe::session::{MOST_OPEN, Session, nanos};
use crate::observe::span::{Error, Kind, Nanos, Request, Span};
use crate::observe::tally::Slowest;

/// A request from its first hop to the end of its last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Exchange {
    /// The trace, where that is none that the session knows.
    pub(super) stray: Option<TraceId>,
    pub(super) parent: Option<SpanId>,
    /// The span of the page's own that made it.
    pub(super) caller: Option<SpanId>,
    /// The context of another trace that it had.
    pub(super) link: Option<Linked>,
    /// Whether its parent is the navigation that it begins.
    pub(super) begins: bool,
    /// Hops and attempts so far, without the one that is open.
    pub(super) sent: u32,
    /// None between a redirect and the next hop.
    pub(super) open: Option<Hop>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Hop {
    pub(super) id: SpanId,
    pub(super) start: Nanos,
    pub(super) request: Request,
}

impl Session {
    pub(super) fn start(
        &mut self,
        request: &str,
        hop: Hop,
        mut exchange: Exchange,
        navigation: Option<&NavigationStart>,
        spans: &mut Vec<Span>,
    ) {
        if let (Some(parent), Some(start)) = (exchange.parent, navigation)
            && !self.ended.contains(&parent)
        {
            let began = nanos(start.started).min(hop.start);
            self.started = self.started.min(began);
            let open = self.navigation(parent, began);
            open.start = open.start.min(began);
            open.navigation.tab_id = Some(start.tab_id);
            if open.navigation.url.is_empty() {
                open.navigation.url = hop.request.url.clone();
            }
        }
        if let Some(mut before) = self.requests.remove(request) {
            // The same request again without a redirect: the server asked for credentials, or the connection was lost.
            self.end_hop(&mut before, hop.start, spans, |_| ());
            exchange.sent = before.sent;
        }
        self.open(&mut exchange, hop);
        if self.requests.len() >= MOST_OPEN {
            self.give_up_oldest(spans);
        }
        self.requests.insert(request.to_owned(), exchange);
    }

    pub(super) fn open(&mut self, exchange: &mut Exchange, mut hop: Hop) {
        hop.request.resend_count = exchange.sent;
        if let Some(parent) = self.navigation_of(exchange)
            && !self.ended.contains(&parent)
        {
            let open = self.navigation(parent, hop.start);
            open.reach(hop.start);
            open.requests += 1;
        }
        exchange.open = Some(hop);
    }

    pub(super) fn respond(&mut self, exchange: &mut Exchange, response: &Response, time: Nanos, spans: &mut Vec<Span>) {
        self.end_hop(exchange, time, spans, |request| {
            request.status = Some(response.status);
            request.from_cache = response.from_cache;
            request.address = response.address.as_deref().map(Into::into);
            request.protocol = response.protocol.as_deref().map(Into::into);
            request.response_size = response.size;
            request.error = Error::of_status(response.status);
        });
    }

    pub(super) fn end_hop(
        &mut self,
        exchange: &mut Exchange,
        time: Nanos,
        spans: &mut Vec<Span>,
        how: impl FnOnce(&mut Request),
    ) {
        let Some(mut hop) = exchange.open.take() else { return };
        how(&mut hop.request);
        exchange.sent += 1;
        let end = time.max(hop.start);
        self.count_request(&hop.request, end - hop.start);
        if exchange.begins
            && let Some(open) = exchange.parent.and_then(|parent| self.navigations.get_mut(&parent))
        {
            open.navigation.error.clone_from(&hop.request.error);
        }
        spans.push(self.request_span(exchange, hop, end, false));
    }

    /// Ends a request whose end will not be seen any more.
    pub(super) fn abandon(&mut self, mut exchange: Exchange, end: Nanos, spans: &mut Vec<Span>) {
        if let Some(hop) = exchange.open.take() {
            let end = end.max(hop.start);
            spans.push(self.request_span(&exchange, hop, end, true));
        }
    }

    pub(super) fn give_up_oldest(&mut self, spans: &mut Vec<Span>) {
        let started = |exchange: &Exchange| exchange.open.as_ref().map_or(0, |hop| hop.start);
        let oldest = self.requests.iter().min_by_key(|(_, exchange)| started(exchange)).map(|(id, _)| id.clone());
        if let Some(exchange) = oldest.and_then(|id| self.requests.remove(&id)) {
            self.abandon(exchange, self.latest, spans);
        }
    }

    pub(super) fn request_span(&mut self, exchange: &Exchange, hop: Hop, end: Nanos, unfinished: bool) -> Span {
        if let Some(open) = self.navigation_of(exchange).and_then(|parent| self.navigations.get_mut(&parent)) {
            open.requests = open.requests.saturating_sub(1);
            open.reach(end);
        }
        let mut place = match exchange.stray {
            Some(trace_id) => self.places.of_stray(trace_id),
            None => self.places.of_request(exchange.parent),
        };
        self.places.reach(exchange.parent, hop.start, end);
        if let Some(caller) = exchange.caller {
            place.parent = Some(caller);
            place.is_remote = false;
        }
        place.links.extend(exchange.link);
        place.span(hop.id, (hop.start, end), unfinished, Kind::Request(Box::new(hop.request)))
    }

    /// The navigation that a request belongs to.
    pub(super) fn navigation_of(&self, exchange: &Exchange) -> Option<SpanId> {
        exchange.parent.filter(|parent| exchange.stray.is_none() && self.places.is_navigation(*parent))
    }

    pub(super) fn count_request(&mut self, request: &Request, duration: Nanos) {
        self.tally.requests += 1;
        self.tally.failures += usize::from(request.error.as_ref().is_some_and(Error::is_failure));
        self.tally.cache_hits += usize::from(request.from_cache);
        if self.tally.slowest.as_ref().is_none_or(|slowest| duration > slowest.duration) {
            let name = format!("{} {}", request.method, request.url);
            self.tally.slowest = Some(Slowest { duration, name });
        }
    }
}

pub(super) fn new_request(method: &str, url: &str, resource: &str, size: Option<u64>) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        resource: resource.into(),
        resend_count: 0,
        size,
        responded: None,
        status: None,
        from_cache: false,
        address: None,
        protocol: None,
        response_size: None,
        error: None,
    }
}
