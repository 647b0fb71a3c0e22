//! Where a span belongs.

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::observe::observation::SpanLink;
use crate::observe::span::{Nanos, Operation, Span};

/// The trace of a span, its parent in that trace, and its links to other traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::observe::session) struct ParentContext {
    pub(in crate::observe::session) trace_id: TraceId,
    pub(in crate::observe::session) flags: Flags,
    pub(in crate::observe::session) parent: Option<SpanId>,
    pub(in crate::observe::session) is_remote: bool,
    pub(in crate::observe::session) tracestate: Box<str>,
    pub(in crate::observe::session) links: Vec<SpanLink>,
}

impl ParentContext {
    pub(in crate::observe::session) fn into_span(
        self,
        id: SpanId,
        (start, end): (Nanos, Nanos),
        unfinished: bool,
        operation: Operation,
    ) -> Span {
        let Self { trace_id, flags, parent, is_remote, tracestate, links } = self;
        let description = None;
        Span {
            trace_id,
            id,
            parent,
            is_remote,
            flags,
            tracestate,
            links,
            start,
            end,
            unfinished,
            operation,
            description,
        }
    }
}
