//! The trace and the parent of each span.

mod context;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::issuer::SessionContext;
use crate::observe::observation::{IssuedFor, SpanLink};
use crate::observe::session::description::{Description, Descriptions};
pub(super) use crate::observe::session::parents::context::ParentContext;
use crate::observe::session::remember;
use crate::observe::span::{Nanos, Operation, Span};

/// The parent of a session in another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteParent {
    pub(crate) span_id: SpanId,
    pub(crate) tracestate: String,
}

/// The number of issued contexts to remember. Most belong to navigations that have ended or never began.
const MAX_ISSUED: usize = 10_000;

/// A context that differs from the session's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Issued {
    issued_for: IssuedFor,
    #[serde(rename = "place")]
    context: ParentContext,
}

/// The parent contexts of a session's spans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ParentContexts {
    session: SessionContext,
    parent: Option<RemoteParent>,
    /// Links of the session's span.
    #[serde(default)]
    links: Vec<SpanLink>,
    /// By span id.
    issued: BTreeMap<SpanId, Issued>,
    /// The span ids in the order of their arrival, including some that are forgotten.
    order: VecDeque<SpanId>,
    /// The session and groups that have a sampled child, so their span must be exported even if they are not sampled.
    needed: BTreeSet<SpanId>,
    /// The first start and the last end in each group: a tab or a browser context whose navigations share a trace, or what is below the session's
    /// root.
    #[serde(rename = "tabs")]
    groups: BTreeMap<SpanId, (Nanos, Nanos)>,
    /// The groups whose span is finished, the latest last.
    #[serde(default)]
    ended: VecDeque<SpanId>,
    /// Browser contexts that have closed and whose span is not finished.
    #[serde(default)]
    closed: BTreeSet<SpanId>,
    /// The session's span if its own trace is a browser context's.
    #[serde(default)]
    apart: Option<SpanId>,
    /// The traces of browser contexts other than the session's own, the latest last.
    #[serde(default)]
    contexts: VecDeque<TraceId>,
    /// Whether there was something in another browser context than that of the session's own trace.
    #[serde(default)]
    has_contexts: bool,
    #[serde(default)]
    descriptions: Descriptions,
}

impl ParentContexts {
    pub(super) fn new(session: SessionContext, parent: Option<RemoteParent>) -> Self {
        Self {
            session,
            parent,
            links: Vec::new(),
            issued: BTreeMap::new(),
            order: VecDeque::new(),
            needed: BTreeSet::new(),
            groups: BTreeMap::new(),
            ended: VecDeque::new(),
            closed: BTreeSet::new(),
            apart: None,
            contexts: VecDeque::new(),
            has_contexts: false,
            descriptions: Descriptions::default(),
        }
    }

    pub(super) fn link_session(&mut self, links: Vec<SpanLink>) {
        self.links = links;
    }

    /// Adds a context that differs from the session's.
    pub(super) fn add(&mut self, id: SpanId, issued_for: IssuedFor, mut context: ParentContext) {
        // A script may pass one of our own contexts on as the client's.
        if issued_for == IssuedFor::Client && (id == self.session.span_id || self.issued.contains_key(&id)) {
            return;
        }
        (context.parent, context.is_remote) = self.parent_of(issued_for, &context);
        if issued_for == IssuedFor::Session {
            self.apart = Some(id);
        }
        if issued_for == IssuedFor::Context && !self.contexts.contains(&context.trace_id) {
            let _ = remember(&mut self.contexts, context.trace_id);
        }
        self.issued.insert(id, Issued { issued_for, context });
        self.order.push_back(id);
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        for _ in 0..self.order.len() {
            if self.order.len() <= MAX_ISSUED {
                return;
            }
            let Some(oldest) = self.order.pop_front() else { return };
            if Some(oldest) == self.apart || self.groups.contains_key(&oldest) {
                self.order.push_back(oldest);
            } else {
                self.issued.remove(&oldest);
            }
        }
    }

    /// Decides on the parent of a context that was issued, and returns whether it belongs to another process. The span of a browser context is below
    /// the one that the host has named for it, or else below the one that the session continues, as the session's span is.
    fn parent_of(&self, issued_for: IssuedFor, context: &ParentContext) -> (Option<SpanId>, bool) {
        let above = self.parent.as_ref().filter(|_| context.trace_id == self.session.trace_id);
        match issued_for {
            IssuedFor::Context | IssuedFor::Session => {
                let parent = context.parent.or(above.map(|above| above.span_id));
                (parent, parent.is_some())
            }
            IssuedFor::Navigation | IssuedFor::Tab | IssuedFor::Client => {
                let parent = context.parent.and_then(|parent| self.issued.get(&parent));
                (context.parent, parent.is_some_and(|parent| parent.issued_for == IssuedFor::Client))
            }
        }
    }

    /// Takes the description of a span. A client's span that gets a name is made here, as that of a tab is.
    pub(super) fn describe(&mut self, id: SpanId, description: Description) {
        if description.name.is_some()
            && let Some(issued) = self.issued.get_mut(&id).filter(|issued| issued.issued_for == IssuedFor::Client)
        {
            issued.issued_for = IssuedFor::Tab;
        }
        self.descriptions.add(id, description);
    }

    /// Adds the description of a span, if there is one.
    pub(super) fn described(&self, span: Span) -> Span {
        Span { description: self.descriptions.of(span.id), ..span }
    }

    /// Adds the description of a span, if there is one, and forgets it.
    pub(super) fn described_once(&mut self, span: Span) -> Span {
        Span { description: self.descriptions.take(span.id), ..span }
    }

    /// Forgets a context that no later observation will name.
    pub(super) fn forget(&mut self, id: SpanId) {
        self.issued.remove(&id);
    }

    /// Returns whether a span id is that of a context that differs from the session's.
    pub(super) fn is_issued(&self, id: SpanId) -> bool {
        self.issued.contains_key(&id)
    }

    /// Returns whether a span id that a request names as its parent is a navigation's.
    pub(super) fn is_navigation(&self, id: SpanId) -> bool {
        self.issued.get(&id).is_none_or(|issued| issued.issued_for == IssuedFor::Navigation)
    }

    /// Returns whether a context was issued for this.
    pub(super) fn is_for(&self, id: SpanId, issued_for: IssuedFor) -> bool {
        self.issued.get(&id).is_some_and(|issued| issued.issued_for == issued_for)
    }

    /// Returns whether a span id is that of a group.
    fn is_group(&self, id: SpanId) -> bool {
        id == self.session.span_id || self.is_for(id, IssuedFor::Tab) || self.is_for(id, IssuedFor::Context)
    }

    /// Returns the id of the session's span if the session's own trace turned out to be that of one browser context among several.
    fn apart(&self) -> Option<SpanId> {
        self.apart.filter(|apart| self.has_contexts || self.needed.contains(apart))
    }

    /// Returns the trace of the session's span if that is not the session's own.
    pub(super) fn trace_apart(&self) -> Option<TraceId> {
        let trace_id = self.apart().map(|apart| self.for_navigation(apart).trace_id);
        trace_id.filter(|trace_id| *trace_id != self.session.trace_id)
    }

    /// Returns whether a trace may be that of a browser context.
    pub(super) fn is_of_context(&self, trace_id: TraceId) -> bool {
        trace_id == self.session.trace_id || self.contexts.contains(&trace_id)
    }

    /// Returns the session's span.
    pub(super) fn for_session(&self) -> (SpanId, ParentContext) {
        let id = self.apart().unwrap_or(self.session.span_id);
        let mut context = if id == self.session.span_id { self.session_root() } else { self.for_navigation(id) };
        context.links.extend(self.links.iter().filter(|_| id != self.session.span_id).copied());
        (id, self.sampled_if_needed(id, context))
    }

    fn session_root(&self) -> ParentContext {
        let parent = self.parent.as_ref().map(|parent| parent.span_id);
        ParentContext { parent, is_remote: parent.is_some(), links: self.links.clone(), ..self.below_session() }
    }

    pub(super) fn for_navigation(&self, id: SpanId) -> ParentContext {
        self.issued.get(&id).map_or_else(|| self.below_session(), |issued| issued.context.clone())
    }

    /// Returns the context of a request whose parent is a navigation, a tab or a client's span, or else the session.
    pub(super) fn for_request(&self, parent: Option<SpanId>) -> ParentContext {
        let Some(parent) = parent else { return self.below_session() };
        let Some(Issued { issued_for, context }) = self.issued.get(&parent) else {
            return ParentContext { parent: Some(parent), ..self.below_session() };
        };
        let is_remote = *issued_for == IssuedFor::Client;
        ParentContext { parent: Some(parent), is_remote, links: Vec::new(), ..context.clone() }
    }

    /// Returns the context of a request below a navigation that was never announced, so that no parent is missing.
    pub(super) fn in_place_of(&self, navigation: SpanId) -> ParentContext {
        ParentContext { links: Vec::new(), ..self.for_navigation(navigation) }
    }

    /// Returns the context of a request in a trace that nothing else names. It has no parent, but a link to the session.
    pub(super) fn for_unknown_trace(&self, trace_id: TraceId) -> ParentContext {
        let links = vec![SpanLink { trace_id: self.session.trace_id, span_id: self.session.span_id }];
        ParentContext { trace_id, parent: None, tracestate: Box::default(), links, ..self.below_session() }
    }

    fn below_session(&self) -> ParentContext {
        ParentContext {
            trace_id: self.session.trace_id,
            flags: self.session.flags,
            parent: Some(self.session.span_id),
            is_remote: false,
            tracestate: self.parent.as_ref().map_or("", |parent| &parent.tracestate).into(),
            links: Vec::new(),
        }
    }

    /// Sets the sampled flag if the span has a sampled child, so that no parent is missing.
    fn sampled_if_needed(&self, id: SpanId, context: ParentContext) -> ParentContext {
        let flags = if self.needed.contains(&id) { Flags::SAMPLED } else { context.flags };
        ParentContext { flags, ..context }
    }

    /// Makes sure that the session or group above a sampled span is exported too.
    pub(super) fn require_parent_of(&mut self, span: &Span) {
        if let Some(parent) = span.parent {
            self.require(parent);
        }
    }

    /// Makes sure that the span of a session or a group is exported.
    pub(super) fn require(&mut self, id: SpanId) {
        if Some(id) == self.apart || self.is_group(id) {
            self.needed.insert(id);
        }
    }

    /// Extends the group that is the parent of a span, if there is one. A group without a sampled span has none itself.
    pub(super) fn extend_group(&mut self, span: &ParentContext, start: Nanos, end: Nanos) {
        let is_group = |id: &SpanId| self.is_group(*id) && !self.ended.contains(id);
        let Some(parent) = span.parent.filter(is_group).filter(|_| span.flags.is_sampled()) else { return };
        self.has_contexts |= self.is_for(parent, IssuedFor::Context);
        let (first, last) = self.groups.entry(parent).or_insert((start, end));
        *first = start.min(*first);
        *last = end.max(*last);
    }

    /// Marks a browser context as closed.
    pub(super) fn close_context(&mut self, id: SpanId) {
        if self.is_group(id) {
            self.closed.insert(id);
        }
    }

    /// Returns the browser contexts that have closed and whose span can be finished.
    pub(super) fn closed_contexts(&self) -> Vec<SpanId> {
        let is_known = |id: &&SpanId| **id != self.session.span_id || self.apart().is_some();
        self.closed.iter().filter(is_known).copied().collect()
    }

    /// Returns the spans of the groups that had navigations or requests.
    pub(super) fn end_groups(&mut self) -> Vec<Span> {
        let is_session = |id: &SpanId| *id == self.session.span_id && self.apart().is_none();
        let ids: Vec<_> = self.groups.keys().filter(|id| !is_session(id)).copied().collect();
        ids.into_iter().filter_map(|id| self.end_group(id)).collect()
    }

    /// Returns the span of a group, if it had navigations or requests.
    pub(super) fn end_group(&mut self, id: SpanId) -> Option<Span> {
        self.closed.remove(&id);
        let period = self.groups.remove(&id)?;
        let operation = if self.is_for(id, IssuedFor::Tab) { Operation::Tab } else { Operation::Context };
        let context = if id == self.session.span_id {
            let apart = self.apart().map(|span_id| (span_id, self.for_navigation(span_id).trace_id));
            let links = apart.map(|(span_id, trace_id)| SpanLink { trace_id, span_id }).into_iter().collect();
            ParentContext { links, ..self.session_root() }
        } else {
            self.for_navigation(id)
        };
        let span = self.sampled_if_needed(id, context).into_span(id, period, false, operation);
        let _ = remember(&mut self.ended, id);
        Some(self.described(span))
    }
}
