//! One session's account of its navigations and requests: takes observations, gives finished spans.
//!
//! The same observations give the same spans, in the same order: a host that takes a session over from one that died tells by their number which
//! of them were exported already.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::context::issuer::SessionContext;
use crate::observe::observation::{IssuedFor, Observation, Observed};
use crate::observe::session::place::{Place, Places};
use crate::observe::session::requests::{Exchange, Hop, new_request};
use crate::observe::span::{Error, Kind, Nanos, Navigation, Span};
use crate::observe::tally::Tally;

pub(crate) use crate::observe::session::place::Parent;

/// How long a navigation waits for the last requests of a document that is gone, such as a beacon.
const LINGER: Nanos = 2_000_000_000;

/// Requests that may be open at once: an end that was never seen must not take memory for good.
const MOST_OPEN: usize = 10_000;

/// Navigations that are remembered after they have ended, and workers after they have gone.
const MOST_REMEMBERED: usize = 1000;

/// A session that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    context: SessionContext,
    places: Places,
    started: Nanos,
    /// The end of whatever ended last.
    latest: Nanos,
    /// Each worker's last batch, and what it lost; the latest worker last.
    workers: VecDeque<Worker>,
    /// By the browser's ids.
    requests: BTreeMap<String, Exchange>,
    navigations: BTreeMap<SpanId, OpenNavigation>,
    /// The navigations that have ended, the latest last.
    ended: VecDeque<SpanId>,
    /// Each tab's document.
    documents: BTreeMap<i32, SpanId>,
    /// The traces besides the session's own in which navigations were, the latest last.
    traces: VecDeque<TraceId>,
    tally: Tally,
    /// When another session took its place, if one did: from then on it only waits for what was under way.
    #[serde(default)]
    retired: Option<Nanos>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Worker {
    id: String,
    number: u64,
    dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OpenNavigation {
    start: Nanos,
    /// The end of whatever ended last in it.
    end: Nanos,
    navigation: Navigation,
    /// Requests that are open.
    requests: usize,
    /// Since when nothing more is to come but stragglers.
    over: Option<Nanos>,
}

impl OpenNavigation {
    fn new(start: Nanos) -> Self {
        Self { start, end: start, navigation: Navigation::default(), requests: 0, over: None }
    }

    fn reach(&mut self, time: Nanos) {
        self.end = self.end.max(time);
    }
}

/// The latest time that is believed, in the year 2262: sums of two do not overflow.
const LATEST: Nanos = i64::MAX as Nanos;

/// Milliseconds since the epoch as nanoseconds, to the microsecond. What is no time is the epoch.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and NaN becomes 0"
)]
fn nanos(milliseconds: f64) -> Nanos {
    ((milliseconds * 1000.0).round() as Nanos).saturating_mul(1000).min(LATEST)
}

impl Session {
    /// Begins the account of a session, which may be part of somebody else's trace.
    pub fn new(context: SessionContext, parent: Option<Parent>, started: Nanos) -> Self {
        Self {
            context,
            places: Places::new(context, parent),
            started,
            latest: started,
            workers: VecDeque::new(),
            requests: BTreeMap::new(),
            navigations: BTreeMap::new(),
            ended: VecDeque::new(),
            documents: BTreeMap::new(),
            traces: VecDeque::new(),
            tally: Tally::default(),
            retired: None,
        }
    }

    /// What the session has done so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether nothing was ever observed.
    pub(crate) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether a batch was taken before.
    pub(crate) fn has(&self, observed: &Observed) -> bool {
        self.workers.iter().any(|worker| worker.id == observed.worker && worker.number >= observed.number)
    }

    /// Takes a batch and gives the spans that ended with it. A batch that was taken before gives none.
    pub fn observe(&mut self, observed: &Observed) -> Vec<Span> {
        if self.has(observed) {
            return Vec::new();
        }
        self.count(observed);
        let mut spans = Vec::new();
        for observation in &observed.observations {
            let time = nanos(observation.time());
            if !matches!(observation, Observation::ContextIssued { .. }) {
                self.started = self.started.min(time);
                self.latest = self.latest.max(time);
            }
            self.apply(observation, time, &mut spans);
        }
        self.end_navigations(&mut spans);
        self.sampled(spans)
    }

    /// Leaves out what is not sampled.
    fn sampled(&mut self, mut spans: Vec<Span>) -> Vec<Span> {
        spans.retain(|span| span.flags.is_sampled());
        for span in &spans {
            self.places.keep(span);
        }
        spans
    }

    /// Learns that another session has taken its place: its documents are that one's now, and only ends of its requests are still to come.
    pub(crate) fn retire(&mut self, time: Nanos) {
        if self.retired.is_some() {
            return;
        }
        self.retired = Some(time);
        self.documents.clear();
        for open in self.navigations.values_mut() {
            open.over.get_or_insert(time);
        }
    }

    /// Whether no request is under way.
    pub(crate) fn is_drained(&self) -> bool {
        self.requests.values().all(|exchange| exchange.open.is_none())
    }

    /// Ends the session: gives a span for everything that is still open, and the root.
    pub(crate) fn close(&mut self, time: Nanos) -> Vec<Span> {
        let mut spans = Vec::new();
        let end = time.max(self.latest);
        let busy: BTreeSet<SpanId> =
            self.navigations.iter().filter(|(_, open)| open.requests > 0).map(|(id, _)| *id).collect();
        for (_, exchange) in std::mem::take(&mut self.requests) {
            self.abandon(exchange, end, &mut spans);
        }
        for (id, mut open) in std::mem::take(&mut self.navigations) {
            // One without a tab is known by its requests alone.
            let known = open.navigation.tab_id.is_some() || busy.contains(&id);
            let loading = known && open.over.is_none() && open.navigation.loaded.is_none();
            if loading {
                open.reach(end);
            }
            spans.push(self.navigation_span(id, open, loading));
        }
        let mut spans = self.sampled(spans);
        spans.extend(self.places.close_tabs());
        if !self.is_empty() {
            let id = self.context.span_id;
            let end = self.retired.map_or(end, |retired| retired.max(self.started));
            spans.push(self.places.of_session().span(id, (self.started, end), false, Kind::Session));
        }
        self.sampled(spans)
    }

    fn count(&mut self, observed: &Observed) {
        let known = self.workers.iter().position(|worker| worker.id == observed.worker);
        let dropped_before = known.and_then(|at| self.workers.remove(at)).map_or(0, |worker| worker.dropped);
        let dropped = observed.dropped.saturating_sub(dropped_before);
        self.tally.dropped = self.tally.dropped.saturating_add(dropped);
        let worker = Worker { id: observed.worker.clone(), number: observed.number, dropped: observed.dropped };
        let _ = remember(&mut self.workers, worker);
    }

    fn apply(&mut self, observation: &Observation, time: Nanos, spans: &mut Vec<Span>) {
        match observation {
            Observation::ContextIssued { span_id, issued_for, trace_id, flags, parent, tracestate, links, .. } => {
                let place = Place {
                    trace_id: *trace_id,
                    flags: *flags,
                    parent: *parent,
                    is_remote: false,
                    tracestate: tracestate.as_str().into(),
                    links: links.clone(),
                };
                // A script may hand a context of ours on as its own.
                let is_ours = self.navigations.contains_key(span_id) || self.ended.contains(span_id);
                if *issued_for != IssuedFor::Client || !is_ours {
                    self.places.issue(*span_id, *issued_for, place);
                }
            }
            Observation::RequestStarted {
                request,
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
                let exchange = Exchange {
                    stray: trace_id.filter(|trace_id| *trace_id != self.context.trace_id),
                    parent: parent.filter(|parent| *parent != self.context.span_id),
                    caller: *caller,
                    link: *link,
                    begins: navigation.is_some(),
                    ..Exchange::default()
                };
                self.start(request, hop, exchange, navigation.as_ref(), spans);
            }
            Observation::ResponseStarted { request, .. } => {
                if let Some(hop) = self.requests.get_mut(request).and_then(|exchange| exchange.open.as_mut()) {
                    hop.request.responded = Some(time);
                }
            }
            Observation::RequestRedirected { request, response, .. } => {
                if let Some(mut exchange) = self.requests.remove(request) {
                    self.respond(&mut exchange, response, time, spans);
                    self.requests.insert(request.clone(), exchange);
                }
            }
            Observation::RequestCompleted { request, response, .. } => {
                if let Some(mut exchange) = self.requests.remove(request) {
                    self.respond(&mut exchange, response, time, spans);
                }
            }
            Observation::RequestFailed { request, error, span_id, method, url, resource, .. } => {
                let mut exchange = self.requests.remove(request).unwrap_or_default();
                if exchange.open.is_none() {
                    // It failed before it could leave, or its next hop did.
                    let hop = Hop { id: *span_id, start: time, request: new_request(method, url, resource, None) };
                    self.open(&mut exchange, hop);
                }
                self.end_hop(&mut exchange, time, spans, |request| request.error = Some(Error::of_name(error)));
            }
            _ => self.navigate(observation, time),
        }
    }

    /// Takes what is about navigations and their documents.
    fn navigate(&mut self, observation: &Observation, time: Nanos) {
        match observation {
            // Its span has been given already.
            Observation::NavigationCommitted { span_id, .. } | Observation::NavigationFailed { span_id, .. }
                if self.ended.contains(span_id) => {}
            Observation::NavigationCommitted { span_id, tab_id, url, started, transition, .. } => {
                if let Some(before) = self.documents.insert(*tab_id, *span_id).filter(|before| before != span_id) {
                    self.leave(before, time);
                }
                let began = nanos(*started).min(time);
                self.started = self.started.min(began);
                let open = self.navigation(*span_id, began);
                open.reach(time);
                // A document that came back from the back-forward cache is there again.
                open.over = None;
                let first = open.navigation.committed.is_none() && !open.navigation.failed;
                open.navigation = Navigation {
                    url: url.as_str().into(),
                    tab_id: Some(*tab_id),
                    transition: Some(transition.as_str().into()),
                    committed: Some(time),
                    failed: false,
                    ..std::mem::take(&mut open.navigation)
                };
                self.tally.navigations += usize::from(first);
            }
            Observation::NavigationFailed { span_id, .. } => {
                let open = self.navigation(*span_id, time);
                open.reach(time);
                open.over = Some(time);
                let first = open.navigation.committed.is_none() && !open.navigation.failed;
                open.navigation.failed = open.navigation.committed.is_none();
                self.tally.navigations += usize::from(first);
            }
            Observation::DocumentParsed { span_id, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.reach(time);
                    open.navigation.parsed.get_or_insert(time);
                }
            }
            Observation::DocumentLoaded { span_id, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.reach(time);
                    open.navigation.loaded.get_or_insert(time);
                }
            }
            Observation::PageMeasured { span_id, vitals, timing, .. } => {
                if let Some(open) = self.navigations.get_mut(span_id) {
                    open.navigation.vitals.clone_from(vitals);
                    open.navigation.timing.clone_from(timing);
                }
            }
            Observation::TabClosed { tab_id, .. } => {
                if let Some(document) = self.documents.remove(tab_id) {
                    self.leave(document, time);
                }
            }
            _ => {}
        }
    }

    /// Finds a navigation, or begins it: a span must not be missing only because what began it was not seen.
    fn navigation(&mut self, id: SpanId, start: Nanos) -> &mut OpenNavigation {
        let Place { trace_id, flags, .. } = self.places.of_navigation(id);
        if flags.is_sampled() && trace_id != self.context.trace_id && !self.traces.contains(&trace_id) {
            self.tally.count_trace(trace_id);
            let _ = remember(&mut self.traces, trace_id);
        }
        self.navigations.entry(id).or_insert_with(|| OpenNavigation::new(start))
    }

    fn leave(&mut self, id: SpanId, time: Nanos) {
        if let Some(open) = self.navigations.get_mut(&id) {
            open.over.get_or_insert(time);
        }
    }

    /// Ends the navigations that nothing more is to be expected of. Their time is that of the observations, so that it passes in the same way
    /// when they are taken again.
    fn end_navigations(&mut self, spans: &mut Vec<Span>) {
        let latest = self.latest;
        let is_over = |open: &OpenNavigation| {
            open.requests == 0 && open.over.is_some_and(|over| over.max(open.end) + LINGER <= latest)
        };
        let over: Vec<SpanId> = self.navigations.iter().filter(|(_, open)| is_over(open)).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(open) = self.navigations.remove(&id) {
                spans.push(self.navigation_span(id, open, false));
                if let Some(forgotten) = remember(&mut self.ended, id) {
                    self.places.forget(forgotten);
                }
            }
        }
    }

    fn navigation_span(&mut self, id: SpanId, open: OpenNavigation, unfinished: bool) -> Span {
        let place = self.places.of_navigation(id);
        self.places.reach(place.parent, open.start, open.end);
        place.span(id, (open.start, open.end), unfinished, Kind::Navigation(open.navigation))
    }
}

/// Adds the latest to a list, and gives what has to go for it.
fn remember<T>(list: &mut VecDeque<T>, latest: T) -> Option<T> {
    list.push_back(latest);
    (list.len() > MOST_REMEMBERED).then(|| list.pop_front()).flatten()
}

mod place;
mod requests;
#[cfg(test)]
mod tests;
