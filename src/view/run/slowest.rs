//! The slowest spans of a run. Pure.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::base::text::short_name;
use crate::view::parsed::ParsedSpan;
use crate::view::run::SlowSpan;
use crate::view::run::durations::milliseconds;
use crate::view::run::operation::Operation;

/// How many slow spans are kept.
const MAX_SLOW: usize = 20;

/// Keeps the slowest of all spans that are added.
#[derive(Debug, Default)]
pub(super) struct Slowest {
    /// Durations in microseconds, trace ids and span ids. The shortest of these is on top.
    heap: BinaryHeap<Reverse<(u64, String, String)>>,
    spans: HashMap<(String, String), SlowSpan>,
}

impl Slowest {
    pub(super) fn add(&mut self, us: u64, span: &ParsedSpan, machine: &str, operation: &Operation) {
        let Self { heap, spans } = self;
        if heap.len() == MAX_SLOW && heap.peek().is_some_and(|Reverse((least, ..))| us <= *least) {
            return;
        }
        let key = (span.trace_id.clone(), short_name(&span.id).into_owned());
        heap.push(Reverse((us, key.0.clone(), key.1.clone())));
        let slow = SlowSpan {
            operation: operation.clone(),
            duration_ms: milliseconds(us),
            error: span.error,
            machine: machine.to_owned(),
            trace_id: key.0.clone(),
            span_id: key.1.clone(),
        };
        spans.insert(key, slow);
        if heap.len() > MAX_SLOW
            && let Some(Reverse((_, trace_id, span_id))) = heap.pop()
        {
            spans.remove(&(trace_id, span_id));
        }
    }

    pub(super) fn into_sorted(self) -> Vec<SlowSpan> {
        let Self { heap, mut spans } = self;
        heap.into_sorted_vec()
            .into_iter()
            .filter_map(|Reverse((_, trace, span))| spans.remove(&(trace, span)))
            .collect()
    }
}
