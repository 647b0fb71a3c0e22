//! The trace and the parent of each span.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::issuer::SessionContext;
use crate::observe::observation::{IssuedFor, SpanLink};
use crate::observe::span::{Nanos, Operation, Span};

/// The parent of a session in another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteParent {
    pub(crate) span_id: SpanId,
    pub(crate) tracestate: String,
}

/// The trace of a span, its parent in that trace, and its links to other traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ParentContext {
    pub(super) trace_id: TraceId,
    pub(super) flags: Flags,
    pub(super) parent: Option<SpanId>,
    pub(super) is_remote: bool,
    pub(super) tracestate: Box<str>,
    pub(super) links: Vec<SpanLink>,
}

impl ParentContext {
    pub(super) fn into_span(
        self,
        id: SpanId,
        (start, end): (Nanos, Nanos),
        unfinished: bool,
        operation: Operation,
    ) -> Span {
        let Self { trace_id, flags, parent, is_remote, tracestate, links } = self;
        Span { trace_id, id, parent, is_remote, flags, tracestate, links, start, end, unfinished, operation }
    }
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
    /// By span id.
    issued: BTreeMap<SpanId, Issued>,
    /// The span ids in the order of their arrival, including some that are forgotten.
    order: VecDeque<SpanId>,
    /// The session and tabs that have a sampled child, so their span must be exported even if they are not sampled.
    needed: BTreeSet<SpanId>,
    /// The first start and the last end in each tab whose navigations share a trace.
    tabs: BTreeMap<SpanId, (Nanos, Nanos)>,
}

impl ParentContexts {
    pub(super) fn new(session: SessionContext, parent: Option<RemoteParent>) -> Self {
        Self {
            session,
            parent,
            issued: BTreeMap::new(),
            order: VecDeque::new(),
            needed: BTreeSet::new(),
            tabs: BTreeMap::new(),
        }
    }

    /// Adds a context that differs from the session's.
    pub(super) fn add(&mut self, id: SpanId, issued_for: IssuedFor, mut context: ParentContext) {
        // A script may pass one of our own contexts on as the client's.
        if issued_for == IssuedFor::Client && (id == self.session.span_id || self.issued.contains_key(&id)) {
            return;
        }
        let parent = context.parent.and_then(|parent| self.issued.get(&parent));
        context.is_remote = parent.is_some_and(|parent| parent.issued_for == IssuedFor::Client);
        self.issued.insert(id, Issued { issued_for, context });
        self.order.push_back(id);
        if self.order.len() > MAX_ISSUED
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
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

    /// Returns whether a span id is that of a tab whose navigations share a trace.
    fn is_tab(&self, id: SpanId) -> bool {
        self.issued.get(&id).is_some_and(|issued| issued.issued_for == IssuedFor::Tab)
    }

    pub(super) fn for_session(&self) -> ParentContext {
        let parent = self.parent.as_ref().map(|parent| parent.span_id);
        let context = ParentContext { parent, is_remote: parent.is_some(), ..self.below_session() };
        self.sampled_if_needed(self.session.span_id, context)
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

    /// Makes sure that the session or tab above a sampled span is exported too.
    pub(super) fn require_parent_of(&mut self, span: &Span) {
        if let Some(parent) = span.parent.filter(|id| *id == self.session.span_id || self.is_tab(*id)) {
            self.needed.insert(parent);
        }
    }

    /// Extends the tab that is the parent of a span, if its parent is a tab.
    pub(super) fn extend_tab(&mut self, parent: Option<SpanId>, start: Nanos, end: Nanos) {
        let Some(parent) = parent.filter(|id| self.is_tab(*id)) else { return };
        let (first, last) = self.tabs.entry(parent).or_insert((start, end));
        *first = start.min(*first);
        *last = end.max(*last);
    }

    /// Returns the spans of the tabs that had navigations or requests.
    pub(super) fn close_tabs(&mut self) -> Vec<Span> {
        let tabs = std::mem::take(&mut self.tabs).into_iter();
        let context = |id| self.sampled_if_needed(id, self.for_navigation(id));
        tabs.map(|(id, period)| context(id).into_span(id, period, false, Operation::Tab)).collect()
    }
}
