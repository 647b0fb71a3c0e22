//! The list of traces in a file, built span by span in bounded memory. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::text::short_name;
use crate::view::parsed::{Origin, ParsedSpan};
use crate::view::times::MAX_PAUSE;

/// More traces than this are only counted.
const MAX_TRACES: usize = 100_000;

/// Most traces that are only counted. The set then has 2^20 slots of 17 bytes and is filled to seven eighths; one more would double it.
const MAX_FURTHER: usize = 7 << 17;

/// How many services of a trace are kept.
const MAX_SERVICES: usize = 16;

/// How many separate times of a trace are kept. All but one of them can't be right.
const MAX_PERIODS: usize = 4;

#[derive(Debug, Clone)]
pub(crate) struct TraceSummary {
    pub(crate) id: String,
    /// The number of spans.
    pub(crate) spans: usize,
    /// The number of spans with an error.
    pub(crate) errors: usize,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the epoch.
    pub(crate) end: u64,
    /// The label of the root span.
    pub(crate) root: Option<String>,
    pub(crate) services: BTreeSet<String>,
}

/// A time without long pauses.
#[derive(Debug, Clone, Copy)]
struct Period {
    start: u64,
    end: u64,
    spans: usize,
}

#[derive(Debug, Default)]
pub(super) struct TraceIndex {
    /// In the order of their first spans in the file.
    pub(super) traces: Vec<TraceSummary>,
    /// The periods of each trace.
    periods: Vec<Vec<Period>>,
    /// The index of each trace id in `traces`.
    indexes: HashMap<String, usize>,
    /// Numbers of traces beyond `MAX_TRACES`; at most `MAX_FURTHER` of them.
    pub(super) further: HashSet<u128>,
    /// The number of spans beyond `MAX_TRACES` traces.
    pub(super) further_spans: usize,
    /// The periods of these spans.
    further_periods: Vec<Period>,
}

impl TraceIndex {
    /// Adds a span to its trace.
    pub(super) fn add(&mut self, span: &ParsedSpan, origin: &Origin) {
        let Some(trace) = self.trace(&span.trace_id) else {
            if self.further.len() < MAX_FURTHER {
                self.further.insert(span.trace_number());
            }
            self.further_spans += 1;
            add_time(&mut self.further_periods, span);
            return;
        };
        let summary = &mut self.traces[trace];
        summary.spans += 1;
        summary.errors += usize::from(span.error);
        let periods = &mut self.periods[trace];
        add_time(periods, span);
        if let Some(most) = most_likely(periods) {
            (summary.start, summary.end) = (most.start, most.end);
        }
        if span.parent.is_none() {
            summary.root = Some(short_name(&span.label()).into_owned());
        }
        if summary.services.len() < MAX_SERVICES && !summary.services.contains(origin.service()) {
            summary.services.insert(short_name(origin.service()).into_owned());
        }
    }

    /// Returns the start of the first span and the end of the last in nanoseconds, without times that can't be right.
    pub(super) fn times(&self) -> Option<(u64, u64)> {
        let listed = self.traces.iter().filter(|trace| trace.start > 0).map(|trace| (trace.start, trace.end));
        let further = most_likely(&self.further_periods).map(|period| (period.start, period.end));
        listed.chain(further).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Returns the index of a trace in `traces`, to which it is added; `None` for further ones.
    fn trace(&mut self, id: &str) -> Option<usize> {
        if let Some(index) = self.indexes.get(id) {
            return Some(*index);
        }
        let index = self.traces.len();
        if index == MAX_TRACES {
            return None;
        }
        self.indexes.insert(id.to_owned(), index);
        self.periods.push(Vec::new());
        self.traces.push(TraceSummary {
            id: id.to_owned(),
            spans: 0,
            errors: 0,
            start: 0,
            end: 0,
            root: None,
            services: BTreeSet::new(),
        });
        Some(index)
    }
}

/// Returns the period with the most spans.
fn most_likely(periods: &[Period]) -> Option<&Period> {
    periods.iter().max_by_key(|period| period.spans)
}

/// Adds a span to the period that it is in or near. An end that can't be right is not used.
fn add_time(periods: &mut Vec<Period>, span: &ParsedSpan) {
    if span.start == 0 {
        return;
    }
    let pause = u64::try_from(MAX_PAUSE).unwrap_or(u64::MAX);
    let end = if span.end.saturating_sub(span.start) > pause { span.start } else { span.end.max(span.start) };
    let mut joined = Period { start: span.start, end, spans: 1 };
    periods.retain(|period| {
        let is_near =
            joined.start <= period.end.saturating_add(pause) && period.start <= joined.end.saturating_add(pause);
        if is_near {
            joined.start = joined.start.min(period.start);
            joined.end = joined.end.max(period.end);
            joined.spans += period.spans;
        }
        !is_near
    });
    if periods.len() < MAX_PERIODS {
        periods.push(joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::parsed::SERVICE_NAME;

    #[test]
    fn the_number_of_indexed_traces_is_bounded() {
        let mut index = TraceIndex::default();
        let add = |index: &mut TraceIndex, id: &str, parent: Option<&str>, start, error| {
            let span = ParsedSpan {
                trace_id: id.to_owned(),
                parent: parent.map(ToOwned::to_owned),
                name: "n".repeat(1000),
                start,
                end: start + 1,
                error,
                ..ParsedSpan::default()
            };
            let resource = [(SERVICE_NAME.to_owned(), format!("s{start}").into())];
            index.add(&span, &Origin { resource: &resource, scope: "" });
        };
        add(&mut index, "a1", None, 5, false);
        add(&mut index, "a1", Some("1"), 3, true);
        let summary = &index.traces[0];
        assert_eq!((summary.id.as_str(), summary.spans, summary.errors), ("a1", 2, 1));
        assert_eq!((summary.start, summary.end), (3, 6));
        assert_eq!(summary.root.as_deref().unwrap(), short_name(&"n".repeat(1000)));
        assert_eq!(summary.services.iter().collect::<Vec<_>>(), ["s3", "s5"]);
        assert_eq!(index.traces.len(), 1);
        for id in 0..MAX_TRACES + 4 {
            add(&mut index, &format!("{id:032x}"), None, 1, false);
        }
        assert_eq!((index.traces.len(), index.indexes.len(), index.further.len()), (MAX_TRACES, MAX_TRACES, 5));
        assert_eq!((index.further_spans, index.times()), (5, Some((1, 6))));
        // One span a year later can't be right.
        add(&mut index, "f00000", None, 366 * 86_400_000_000_000, false);
        add(&mut index, "f00001", None, 7, false);
        assert_eq!((index.further.len(), index.further_spans, index.times()), (7, 7, Some((1, 8))));
    }
}
