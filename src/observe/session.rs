//! Follows the navigations and requests of one session: takes observations and returns finished spans.
//!
//! The same observations always give the same spans in the same order. So a host that takes over a session knows by their number which spans the
//! previous host has exported.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::context::issuer::SessionContext;
use crate::observe::counts::SessionCounts;
use crate::observe::observation::{IssuedFor, Observation, Observed, SpanLink};
use crate::observe::session::iterations::Iterations;
use crate::observe::session::navigations::OpenNavigation;
use crate::observe::session::parents::{ParentContext, ParentContexts};
use crate::observe::session::requests::OpenRequest;
use crate::observe::span::{Nanos, Operation, Span, nanos};

pub(crate) use crate::observe::session::description::Description;
pub(crate) use crate::observe::session::iterations::{EndedIteration, IterationTrace};
pub(crate) use crate::observe::session::parents::RemoteParent;
pub(crate) use crate::observe::session::steps::{TestStep, TestSteps};

/// The number of ended navigations, of traces and of workers to remember.
const MAX_REMEMBERED: usize = 1000;

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    context: SessionContext,
    #[serde(rename = "places")]
    parents: ParentContexts,
    started: Nanos,
    /// The time of the latest observation.
    latest: Nanos,
    /// The latest one last.
    workers: VecDeque<Worker>,
    /// By the browser's ids.
    requests: BTreeMap<String, OpenRequest>,
    /// Addresses of preflights that were answered and whose requests have not left, the latest last.
    #[serde(default)]
    preflights: VecDeque<Box<str>>,
    navigations: BTreeMap<SpanId, OpenNavigation>,
    /// Navigations whose span is finished, the latest last.
    ended: VecDeque<SpanId>,
    /// The navigation of each tab's document, by tab id.
    documents: BTreeMap<i32, SpanId>,
    /// Traces of navigations other than the session's own, the latest last.
    traces: VecDeque<TraceId>,
    /// Steps of the tests that drive the browser.
    #[serde(default)]
    steps: TestSteps,
    #[serde(default)]
    iterations: Iterations,
    #[serde(rename = "tally")]
    counts: SessionCounts,
    /// When another session replaced this one, which then only waits for the ends of its requests.
    #[serde(default)]
    retired: Option<Nanos>,
    /// Whether this is only what was observed after the session had ended: its root and what was open then are exported.
    #[serde(default)]
    after_end: bool,
}

/// A run of the extension's service worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Worker {
    id: String,
    /// The number of its last batch.
    number: u64,
    dropped: u64,
}

impl Session {
    /// Begins a session, which may have a parent in another process.
    #[must_use]
    pub fn new(context: SessionContext, parent: Option<RemoteParent>, started: Nanos) -> Self {
        Self {
            context,
            parents: ParentContexts::new(context, parent),
            started,
            latest: started,
            workers: VecDeque::new(),
            requests: BTreeMap::new(),
            preflights: VecDeque::new(),
            navigations: BTreeMap::new(),
            ended: VecDeque::new(),
            documents: BTreeMap::new(),
            traces: VecDeque::new(),
            steps: TestSteps::default(),
            iterations: Iterations::default(),
            counts: SessionCounts::default(),
            retired: None,
            after_end: false,
        }
    }

    /// Adds links to the session's span.
    pub(crate) fn with_links(mut self, links: Vec<SpanLink>) -> Self {
        self.parents.link_session(links);
        self
    }

    /// Marks the session as one whose spans, with the root, were exported at its end.
    pub(crate) fn add_to_ended(&mut self) {
        self.after_end = true;
    }

    pub(crate) fn counts(&self) -> &SessionCounts {
        &self.counts
    }

    /// Returns whether nothing was ever observed.
    pub(crate) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Returns whether the batch was already taken.
    pub(crate) fn has(&self, observed: &Observed) -> bool {
        self.workers.iter().any(|worker| worker.id == observed.worker && worker.number >= observed.number)
    }

    /// Takes a batch and returns the spans that it finished. Ignores a batch that was already taken.
    pub fn observe(&mut self, observed: &Observed) -> Vec<Span> {
        if self.has(observed) {
            return Vec::new();
        }
        self.update_worker(observed);
        let mut spans = Vec::new();
        for observation in &observed.observations {
            let time = nanos(observation.time());
            if !matches!(observation, Observation::ContextIssued { .. } | Observation::RootDescribed { .. }) {
                self.started = self.started.min(time);
                self.latest = self.latest.max(time);
            }
            self.apply_context(observation);
            self.apply_iteration(observation);
            self.apply_request(observation, time, &mut spans);
            self.apply_navigation(observation, time);
        }
        self.find_steps();
        self.end_left_requests(&mut spans);
        self.end_navigations(&mut spans);
        let mut spans = self.only_sampled(spans);
        let contexts = self.end_contexts();
        spans.extend(self.only_sampled(contexts));
        self.count_contexts(&spans);
        spans
    }

    fn count_contexts(&mut self, spans: &[Span]) {
        let apart = self.parents.trace_apart();
        self.counts.apart = apart;
        let below = spans.iter().filter(|span| span.operation != Operation::Session);
        self.counts.count_contexts(below, |id| self.parents.is_of_context(id) || apart == Some(id));
    }

    /// Returns the spans of the browser contexts that have closed and of which nothing is open any more.
    fn end_contexts(&mut self) -> Vec<Span> {
        let closed = self.parents.closed_contexts();
        let ended = closed.into_iter().filter(|context| !self.is_in_use(*context)).collect::<Vec<_>>();
        ended.into_iter().filter_map(|context| self.parents.end_group(context)).collect()
    }

    /// Returns whether something that is open has this span as its parent.
    fn is_in_use(&self, parent: SpanId) -> bool {
        self.navigations.keys().any(|id| self.parents.for_navigation(*id).parent == Some(parent))
            || self.requests.values().any(|request| self.parents.for_request(request.parent).parent == Some(parent))
    }

    fn update_worker(&mut self, observed: &Observed) {
        let known = self.workers.iter().position(|worker| worker.id == observed.worker);
        let dropped_before = known.and_then(|at| self.workers.remove(at)).map_or(0, |worker| worker.dropped);
        let dropped = observed.dropped.saturating_sub(dropped_before);
        self.counts.dropped = self.counts.dropped.saturating_add(dropped);
        let worker = Worker { id: observed.worker.clone(), number: observed.number, dropped: observed.dropped };
        let _ = remember(&mut self.workers, worker);
    }

    fn apply_context(&mut self, observation: &Observation) {
        if let Observation::ContextClosed { span_id, .. } = observation {
            return self.parents.close_context(*span_id);
        }
        if let Observation::RootDescribed { span_id, name, attributes, .. } = observation {
            self.parents.describe(*span_id, Description::new(name.as_deref(), attributes));
        }
        let Observation::ContextIssued { span_id, issued_for, trace_id, flags, parent, tracestate, links, .. } =
            observation
        else {
            return;
        };
        // A script may pass one of our own contexts on as the client's.
        if *issued_for == IssuedFor::Client && self.knows(*span_id) {
            return;
        }
        let context = ParentContext {
            trace_id: *trace_id,
            flags: *flags,
            parent: *parent,
            is_remote: false,
            tracestate: tracestate.as_str().into(),
            links: links.clone(),
        };
        self.parents.add(*span_id, *issued_for, context);
    }

    /// Removes the spans that are not sampled.
    fn only_sampled(&mut self, mut spans: Vec<Span>) -> Vec<Span> {
        spans.retain(|span| span.flags.is_sampled());
        for span in &spans {
            self.parents.require_parent_of(span);
        }
        spans
    }

    /// Marks the session as replaced by another, to which its documents belong from now on.
    pub(crate) fn retire(&mut self, time: Nanos) {
        if self.retired.is_some() {
            return;
        }
        self.retired = Some(time);
        self.documents.clear();
        for open in self.navigations.values_mut() {
            open.leave(time);
        }
    }

    /// Returns whether no request is waiting for its end.
    pub(crate) fn is_drained(&self) -> bool {
        self.requests.values().all(OpenRequest::is_between_hops)
    }

    /// Ends the session: returns the spans of everything that is still open, and the root span last.
    pub(crate) fn close(&mut self, time: Nanos) -> Vec<Span> {
        let mut spans = Vec::new();
        let end = time.max(self.latest);
        for (_, request) in std::mem::take(&mut self.requests) {
            self.abandon(request, end, &mut spans);
        }
        for (id, mut open) in std::mem::take(&mut self.navigations) {
            if self.is_exported(&open) {
                continue;
            }
            let loading = open.is_loading();
            if loading {
                open.extend_to(end);
            }
            spans.push(self.navigation_span(id, open, loading));
        }
        let mut spans = self.only_sampled(spans);
        spans.extend(self.parents.end_groups());
        if !self.is_empty() && !self.after_end {
            let end = self.retired.map_or(end, |retired| retired.max(self.started));
            let (id, parent) = self.parents.for_session();
            let root = parent.into_span(id, (self.started, end), false, Operation::Session);
            spans.push(self.parents.described(root));
        }
        let spans = self.only_sampled(spans);
        self.count_contexts(&spans);
        spans
    }
}

/// Appends an item, and removes and returns the oldest one if the list is too long.
fn remember<T>(list: &mut VecDeque<T>, latest: T) -> Option<T> {
    list.push_back(latest);
    (list.len() > MAX_REMEMBERED).then(|| list.pop_front()).flatten()
}

mod description;
mod iterations;
mod left;
mod navigations;
mod parents;
mod requests;
mod steps;
#[cfg(test)]
mod tests;
