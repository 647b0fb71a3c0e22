//! Iterations of k6, which exports spans itself. k6 gives each page the id of a span of its iteration, by which the trace of that page is found.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::observe::observation::{IssuedFor, Observation};
use crate::observe::session::description::Description;
use crate::observe::session::parents::ParentContext;
use crate::observe::session::{Session, remember};

/// The most ids of pages of an iteration to remember. The first is enough, unless a page has set it itself.
const MAX_IDS: usize = 20;

/// A trace of this session in which the spans of an iteration belong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IterationTrace {
    /// A span in k6's own trace of the iteration.
    pub(crate) k6_span_id: SpanId,
    pub(crate) trace_id: TraceId,
    /// The parent of the trace's navigations.
    pub(crate) root: SpanId,
    pub(crate) flags: Flags,
    pub(crate) tracestate: String,
    /// When the first page told of it, in milliseconds since the epoch.
    pub(crate) since: f64,
}

/// An iteration that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndedIteration {
    /// The root of its trace here.
    pub(crate) root: SpanId,
    /// What k6 says of it: nothing if it was interrupted.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The traces of a session that are those of iterations, the latest last, once per id that a page tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Iterations {
    traces: VecDeque<FollowedTrace>,
    /// Those that `navtrace run` has not been told of by this process.
    #[serde(skip)]
    untold: Vec<IterationTrace>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FollowedTrace {
    trace: IterationTrace,
    ended: bool,
}

impl Iterations {
    fn add(&mut self, trace: &IterationTrace) {
        let of_root = || self.traces.iter().filter(|known| known.trace.root == trace.root);
        let sampled = of_root().find(|known| known.trace.flags.is_sampled());
        let k6_span_id = trace.k6_span_id;
        let found = sampled.map_or_else(|| trace.clone(), |known| IterationTrace { k6_span_id, ..known.trace.clone() });
        let is_same = |known: &IterationTrace| (known.k6_span_id, known.flags) == (k6_span_id, found.flags);
        if of_root().count() >= MAX_IDS || of_root().any(|known| known.ended || is_same(&known.trace)) {
            return;
        }
        let _ = remember(&mut self.traces, FollowedTrace { trace: found.clone(), ended: false });
        self.untold.push(found);
    }

    /// Returns whether spans of an iteration with this root are still to come.
    fn awaits(&self, root: SpanId) -> bool {
        let known = self.traces.iter().rev().find(|known| known.trace.root == root);
        known.is_some_and(FollowedTrace::is_awaited)
    }
}

impl FollowedTrace {
    fn is_awaited(&self) -> bool {
        !self.ended && self.trace.flags.is_sampled()
    }
}

impl Session {
    /// Finds the trace of a page that k6 has given a span id.
    pub(super) fn apply_iteration(&mut self, observation: &Observation) {
        let Observation::K6Span { time, span_id, k6_span_id } = observation else { return };
        let ParentContext { trace_id, flags, parent, tracestate, .. } = self.parents.for_navigation(*span_id);
        // A navigation that is the root of its trace is not the whole iteration.
        let Some(root) = parent else { return };
        // What the script has put below a span of its own stays there, and k6's spans are of no use to it.
        let flags = if self.parents.is_for(root, IssuedFor::Client) { Flags::new(false, false) } else { flags };
        if flags.is_sampled() {
            self.parents.require(root);
        }
        let (k6_span_id, since, tracestate) = (*k6_span_id, *time, tracestate.into());
        self.iterations.add(&IterationTrace { k6_span_id, trace_id, root, flags, tracestate, since });
    }

    /// Returns the traces of iterations that were found since the last call.
    pub(crate) fn take_iteration_traces(&mut self) -> Vec<IterationTrace> {
        std::mem::take(&mut self.iterations.untold)
    }

    /// Makes [`Self::take_iteration_traces`] return what an earlier process had found.
    pub(crate) fn tell_iterations_again(&mut self) {
        let open = self.iterations.traces.iter().filter(|known| !known.ended);
        self.iterations.untold = open.map(|known| known.trace.clone()).collect();
    }

    /// Returns whether spans of an iteration are still to come.
    pub(crate) fn awaits_iteration(&self) -> bool {
        self.iterations.traces.iter().any(FollowedTrace::is_awaited)
    }

    /// Returns whether a trace with this root is an iteration's.
    pub(crate) fn has_iteration(&self, root: SpanId) -> bool {
        self.iterations.traces.iter().any(|known| known.trace.root == root)
    }

    /// Takes the end of an iteration, after which no step of it comes.
    pub(crate) fn end_iteration(&mut self, EndedIteration { root, attributes }: &EndedIteration) {
        for known in self.iterations.traces.iter_mut().filter(|known| known.trace.root == *root) {
            known.ended = true;
            if !attributes.is_empty() {
                self.parents.describe(*root, Description::new(None, attributes));
            }
        }
    }

    /// Returns whether the action that has caused a navigation may still be told.
    pub(super) fn awaits_cause(&self, navigation: SpanId) -> bool {
        !self.iterations.traces.is_empty()
            && self.parents.for_navigation(navigation).parent.is_some_and(|root| self.iterations.awaits(root))
    }
}
