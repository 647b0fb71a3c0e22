//! Where spans stand: in which trace, below which span, beside which others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::issuer::SessionContext;
use crate::observe::observation::{IssuedFor, Linked};
use crate::observe::span::{Kind, Nanos, Span};

/// The span of somebody else's that a session is part of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// Its id.
    pub(crate) span_id: SpanId,
    /// What other vendors say of its trace.
    pub(crate) tracestate: String,
}

/// Where a span stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) trace_id: TraceId,
    pub(super) flags: Flags,
    pub(super) parent: Option<SpanId>,
    pub(super) is_remote: bool,
    pub(super) tracestate: Box<str>,
    pub(super) links: Vec<Linked>,
}

impl Place {
    /// Makes the span that stands here.
    pub(super) fn span(self, id: SpanId, (start, end): (Nanos, Nanos), unfinished: bool, kind: Kind) -> Span {
        let Self { trace_id, flags, parent, is_remote, tracestate, links } = self;
        Span { trace_id, id, parent, is_remote, flags, tracestate, links, start, end, unfinished, kind }
    }
}

/// Contexts that are remembered: those that came last. Most are navigations' that have ended, or that were never used.
const MOST_ISSUED: usize = 10_000;

/// A context that is not simply the session's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Issued {
    issued_for: IssuedFor,
    place: Place,
}

/// The places of a session's spans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Places {
    session: SessionContext,
    parent: Option<Parent>,
    issued: BTreeMap<SpanId, Issued>,
    /// The same in their order, with some that are forgotten.
    order: VecDeque<SpanId>,
    /// What has no span unless it is below it: the session or a tab that is not sampled, above something that is.
    needed: BTreeSet<SpanId>,
    /// From when to when something went on in each tab whose navigations share a trace.
    tabs: BTreeMap<SpanId, (Nanos, Nanos)>,
}

impl Places {
    pub(super) fn new(session: SessionContext, parent: Option<Parent>) -> Self {
        Self {
            session,
            parent,
            issued: BTreeMap::new(),
            order: VecDeque::new(),
            needed: BTreeSet::new(),
            tabs: BTreeMap::new(),
        }
    }

    /// Learns of a context that is not simply the session's.
    pub(super) fn issue(&mut self, id: SpanId, issued_for: IssuedFor, mut place: Place) {
        // A script may hand a context of ours on as its own.
        if issued_for == IssuedFor::Client && (id == self.session.span_id || self.issued.contains_key(&id)) {
            return;
        }
        let above = place.parent.and_then(|parent| self.issued.get(&parent));
        place.is_remote = above.is_some_and(|above| above.issued_for == IssuedFor::Client);
        self.issued.insert(id, Issued { issued_for, place });
        self.order.push_back(id);
        if self.order.len() > MOST_ISSUED
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
    }

    /// Forgets a context that nothing more will name.
    pub(super) fn forget(&mut self, id: SpanId) {
        self.issued.remove(&id);
    }

    /// Whether a span id that requests name as their parent is a navigation's.
    pub(super) fn is_navigation(&self, id: SpanId) -> bool {
        self.issued.get(&id).is_none_or(|issued| issued.issued_for == IssuedFor::Navigation)
    }

    /// Whether a span id is that of a tab whose navigations share a trace.
    fn is_tab(&self, id: SpanId) -> bool {
        self.issued.get(&id).is_some_and(|issued| issued.issued_for == IssuedFor::Tab)
    }

    /// The session's own root.
    pub(super) fn of_session(&self) -> Place {
        let parent = self.parent.as_ref();
        let place =
            Place { parent: parent.map(|parent| parent.span_id), is_remote: parent.is_some(), ..self.below_session() };
        self.with_what_is_below(self.session.span_id, place)
    }

    /// No parent may be missing: what is above something that is sampled is so too, whatever was decided for it.
    fn with_what_is_below(&self, id: SpanId, place: Place) -> Place {
        let flags = if self.needed.contains(&id) { Flags::SAMPLED } else { place.flags };
        Place { flags, ..place }
    }

    /// Learns that a span is exported.
    pub(super) fn keep(&mut self, span: &Span) {
        if let Some(parent) = span.parent.filter(|id| *id == self.session.span_id || self.is_tab(*id)) {
            self.needed.insert(parent);
        }
    }

    /// Everything right below the session.
    fn below_session(&self) -> Place {
        Place {
            trace_id: self.session.trace_id,
            flags: self.session.flags,
            parent: Some(self.session.span_id),
            is_remote: false,
            tracestate: self.parent.as_ref().map_or("", |parent| &parent.tracestate).into(),
            links: Vec::new(),
        }
    }

    /// A navigation.
    pub(super) fn of_navigation(&self, id: SpanId) -> Place {
        self.issued.get(&id).map_or_else(|| self.below_session(), |issued| issued.place.clone())
    }

    /// A request below `parent`, or below the session.
    pub(super) fn of_request(&self, parent: Option<SpanId>) -> Place {
        let Some(parent) = parent else { return self.below_session() };
        let Some(Issued { issued_for, place }) = self.issued.get(&parent) else {
            return Place { parent: Some(parent), ..self.below_session() };
        };
        let is_remote = *issued_for == IssuedFor::Client;
        Place { parent: Some(parent), is_remote, links: Vec::new(), ..place.clone() }
    }

    /// A request of a trace that nothing else is known of.
    pub(super) fn of_stray(&self, trace_id: TraceId) -> Place {
        let SessionContext { trace_id: session, span_id, .. } = self.session;
        // It was part of this session all the same.
        let links = vec![Linked { trace_id: session, span_id }];
        Place { trace_id, parent: None, tracestate: Box::default(), links, ..self.below_session() }
    }

    /// Something goes on at a place.
    pub(super) fn reach(&mut self, parent: Option<SpanId>, start: Nanos, end: Nanos) {
        let Some(parent) = parent.filter(|id| self.is_tab(*id)) else { return };
        let (first, last) = self.tabs.entry(parent).or_insert((start, end));
        *first = start.min(*first);
        *last = end.max(*last);
    }

    /// Gives the spans of the tabs in which something went on.
    pub(super) fn close_tabs(&mut self) -> Vec<Span> {
        let tabs = std::mem::take(&mut self.tabs).into_iter();
        tabs.map(|(id, extent)| self.with_what_is_below(id, self.of_navigation(id)).span(id, extent, false, Kind::Tab))
            .collect()
    }
}
