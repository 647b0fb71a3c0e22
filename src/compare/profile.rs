//! Where the time of a run went: durations of its operations and tests, and what spans below each of them took themselves. Pure.
//!
//! A span takes 48 bytes until all are read, because children come in any order.

use std::collections::HashMap;
use std::ops::Range;

use indexmap::IndexSet;

use crate::base::text::short_name;
use crate::view::parsed::{Detail, Origin, ParsedSpan, SCENARIO, SpanSink, TEST_CASE_NAME};
use crate::view::run::durations::Durations;
use crate::view::run::operation::{Operation, OperationKind};
use crate::view::run::repeats::Repeats;

/// How many operations and tests are kept. Spans of further ones are only counted.
pub(crate) const MAX_OPERATIONS: usize = 8192;

/// How many pairs of an operation and one below it are kept.
const MAX_PARTS: usize = 1 << 20;

/// How many ancestors of a span have a part in its time.
const MAX_DEPTH: usize = 64;

/// No operation.
const NONE: u32 = u32::MAX;

/// The operations and tests of a run.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) traces: usize,
    pub(crate) spans: usize,
    pub(crate) errors: usize,
    /// The number of spans of operations that are left out.
    pub(crate) left_out_spans: usize,
    /// The root of a trace without a test's name stands for one.
    pub(crate) subjects: HashMap<Operation, Subject>,
}

/// An operation or a test.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) durations: Durations,
    pub(crate) errors: usize,
    /// The operations of its spans and of all below them.
    pub(crate) parts: HashMap<Operation, Part>,
}

/// What spans of one operation took below another.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Part {
    /// Nanoseconds in which no child of theirs was working.
    pub(crate) self_nanos: u64,
    pub(crate) calls: u64,
}

/// Takes the spans of a run.
#[derive(Debug, Default)]
pub(crate) struct ProfileSink {
    repeats: Repeats,
    traces: HashMap<u128, u32>,
    rows: Vec<Row>,
    operations: IndexSet<Operation>,
    profile: Profile,
}

/// A span. Operations are numbers in the sink's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    trace: u32,
    /// Hashes of ids; 0 for no parent.
    id: u64,
    parent: u64,
    /// Nanoseconds since the epoch.
    start: u64,
    end: u64,
    operation: u32,
    /// The test for which the span stands.
    test: u32,
    error: bool,
}

impl SpanSink for ProfileSink {
    fn detail(&self) -> Detail {
        Detail::Outline
    }

    fn add(&mut self, span: ParsedSpan, origin: &Origin) {
        if !self.repeats.is_new(&span, origin.service()) {
            return;
        }
        self.profile.spans += 1;
        self.profile.errors += usize::from(span.error);
        let next = u32::try_from(self.traces.len()).unwrap_or(u32::MAX);
        let trace = *self.traces.entry(span.trace_number()).or_insert(next);
        // A span without a start has no duration.
        if span.start == 0 {
            return;
        }
        let operation = Operation::of(&span, origin.service());
        let test = match span.first_text(&[TEST_CASE_NAME]) {
            Some(name) => Some(name),
            None if span.parent.is_none() && !operation.kind.is_endpoint() => {
                Some(span.first_text(&[SCENARIO]).unwrap_or(&span.name))
            }
            None => None,
        };
        let test = test.map_or(NONE, |name| {
            let name = short_name(name).into_owned();
            self.number(Operation { kind: OperationKind::Test, service: String::new(), name })
        });
        let operation = self.number(operation);
        self.profile.left_out_spans += usize::from(operation == NONE);
        let (id, parent) = span.id_hashes();
        self.rows.push(Row {
            trace,
            operation,
            id,
            parent,
            start: span.start,
            end: span.end.max(span.start),
            test,
            error: span.error,
        });
    }
}

impl ProfileSink {
    /// Returns the number of an operation, or `NONE` if there are too many.
    fn number(&mut self, operation: Operation) -> u32 {
        if self.operations.len() == MAX_OPERATIONS && !self.operations.contains(&operation) {
            return NONE;
        }
        u32::try_from(self.operations.insert_full(operation).0).unwrap_or(NONE)
    }

    pub(crate) fn finish(self) -> Profile {
        let Self { traces, mut rows, operations, mut profile, .. } = self;
        profile.traces = traces.len();
        rows.sort_unstable();
        let subjects = |row: &Row| {
            let is_endpoint =
                operations.get_index(row.operation as usize).is_some_and(|known| known.kind.is_endpoint());
            [if is_endpoint { row.operation } else { NONE }, row.test]
        };
        let mut found: HashMap<u32, Subject> = HashMap::new();
        for row in &rows {
            for subject in subjects(row).into_iter().filter(|subject| *subject != NONE) {
                let subject = found.entry(subject).or_default();
                subject.durations.add((row.end - row.start) / 1000);
                subject.errors += usize::from(row.error);
            }
        }
        let mut parts: HashMap<(u32, u32), Part> = HashMap::new();
        let mut start = 0;
        while start < rows.len() {
            let length = rows[start..].partition_point(|row| row.trace == rows[start].trace);
            add_parts(&rows[start..start + length], &subjects, &mut parts);
            start += length;
        }
        for ((subject, operation), part) in parts {
            let operation = operations.get_index(operation as usize);
            if let (Some(subject), Some(operation)) = (found.get_mut(&subject), operation) {
                subject.parts.insert(operation.clone(), part);
            }
        }
        let named = |(number, subject): (u32, Subject)| Some((operations.get_index(number as usize)?.clone(), subject));
        profile.subjects = found.into_iter().filter_map(named).collect();
        profile
    }
}

/// Adds the time that each span of a trace took itself to the operations of the spans above it. `rows` are in the order of their ids.
fn add_parts(rows: &[Row], subjects: &impl Fn(&Row) -> [u32; 2], parts: &mut HashMap<(u32, u32), Part>) {
    let parents: Vec<Option<usize>> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let parent = rows.binary_search_by_key(&row.parent, |other| other.id).ok();
            parent.filter(|parent| row.parent != 0 && *parent != index)
        })
        .collect();
    let self_nanos = self_times(rows, &parents);
    let mut above = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        above.clear();
        let mut next = Some(index);
        for _ in 0..MAX_DEPTH {
            let Some(ancestor) = next else { break };
            above.extend(subjects(&rows[ancestor]).into_iter().filter(|subject| *subject != NONE));
            next = parents[ancestor];
        }
        // An operation that calls itself has the time once.
        above.sort_unstable();
        above.dedup();
        for subject in &above {
            let key = (*subject, row.operation);
            if parts.len() < MAX_PARTS || parts.contains_key(&key) {
                let part = parts.entry(key).or_default();
                part.self_nanos = part.self_nanos.saturating_add(self_nanos[index]);
                part.calls += 1;
            }
        }
    }
}

/// Returns for each span the time in which none of its children was working.
fn self_times(rows: &[Row], parents: &[Option<usize>]) -> Vec<u64> {
    let mut children: Vec<(usize, Range<u64>)> = Vec::new();
    for (row, parent) in rows.iter().zip(parents) {
        if let Some(parent) = *parent {
            let (start, end) = (row.start.max(rows[parent].start), row.end.min(rows[parent].end));
            if start < end {
                children.push((parent, start..end));
            }
        }
    }
    children.sort_unstable_by_key(|(parent, time)| (*parent, time.start));
    let mut times: Vec<u64> = rows.iter().map(|row| row.end - row.start).collect();
    let (mut of, mut covered) = (usize::MAX, 0);
    for (parent, time) in children {
        if parent != of {
            (of, covered) = (parent, 0);
        }
        times[parent] -= time.end.saturating_sub(time.start.max(covered));
        covered = covered.max(time.end);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::parsed::SERVICE_NAME;

    /// Returns a profile of spans given as trace, id, parent, kind, name, and start and end in milliseconds, all of one service.
    fn profile(spans: &[(&str, &str, &str, &'static str, &str, u64, u64)]) -> Profile {
        let mut sink = ProfileSink::default();
        let resource = [(SERVICE_NAME.to_owned(), "s".into())];
        for (trace, id, parent, kind, name, start, end) in spans {
            let span = ParsedSpan {
                trace_id: (*trace).to_owned(),
                id: (*id).to_owned(),
                parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
                name: (*name).to_owned(),
                kind,
                start: (1000 + start) * 1_000_000,
                end: (1000 + end) * 1_000_000,
                ..ParsedSpan::default()
            };
            sink.add(span, &Origin { resource: &resource, scope: "" });
        }
        sink.finish()
    }

    /// Returns the parts of a subject as name, milliseconds and calls, in the order of their names.
    fn parts(profile: &Profile, subject: &str) -> Vec<(String, u64, u64)> {
        let (_, subject) = profile.subjects.iter().find(|(operation, _)| operation.name == subject).unwrap();
        let parts = subject.parts.iter();
        let mut parts: Vec<_> =
            parts.map(|(of, part)| (of.name.clone(), part.self_nanos / 1_000_000, part.calls)).collect();
        parts.sort();
        parts
    }

    fn part(name: &str, ms: u64, calls: u64) -> (String, u64, u64) {
        (name.to_owned(), ms, calls)
    }

    #[test]
    fn time_belongs_to_the_span_in_which_nothing_else_worked() {
        let profile = profile(&[
            // Children come before their parents, overlap, and one ends too late.
            ("1", "c", "b", "client", "query", 20, 40),
            ("1", "d", "b", "client", "query", 30, 50),
            ("1", "e", "b", "internal", "render", 90, 150),
            ("1", "b", "a", "server", "orders", 10, 100),
            ("1", "a", "", "internal", "checkout", 0, 110),
            ("2", "a", "", "internal", "checkout", 0, 7),
        ]);
        assert_eq!((profile.traces, profile.spans, profile.subjects.len()), (2, 6, 3));
        // The part of a child that is not within its parent's time is still its own.
        assert_eq!(parts(&profile, "orders"), [part("orders", 50, 1), part("query", 40, 2), part("render", 60, 1)]);
        assert_eq!(
            parts(&profile, "checkout"),
            [part("checkout", 27, 2), part("orders", 50, 1), part("query", 40, 2), part("render", 60, 1)]
        );
        assert_eq!(parts(&profile, "query"), [part("query", 40, 2)]);
    }

    #[test]
    fn cycles_and_unknown_parents_do_no_harm() {
        let profile = profile(&[
            ("1", "a", "b", "server", "x", 0, 10),
            ("1", "b", "a", "server", "y", 2, 8),
            ("1", "c", "c", "server", "z", 0, 1),
            ("1", "d", "missing", "server", "z", 5, 3),
        ]);
        assert_eq!(parts(&profile, "x"), [part("x", 4, 1), part("y", 0, 1)]);
        assert_eq!(parts(&profile, "z"), [part("z", 1, 2)]);
    }

    #[test]
    fn an_operation_that_calls_itself_has_the_time_once() {
        let profile = profile(&[("1", "a", "", "server", "x", 0, 10), ("1", "b", "a", "server", "x", 2, 8)]);
        assert_eq!(parts(&profile, "x"), [part("x", 10, 2)]);
    }

    #[test]
    fn the_number_of_operations_is_bounded() {
        let names: Vec<String> = (0..MAX_OPERATIONS + 5).map(|number| format!("op{number}x")).collect();
        let spans: Vec<_> = names.iter().map(|name| ("1", name.as_str(), "z", "server", name.as_str(), 0, 1)).collect();
        let profile = profile(&spans);
        assert_eq!((profile.subjects.len(), profile.left_out_spans), (MAX_OPERATIONS, 5));
    }
}
