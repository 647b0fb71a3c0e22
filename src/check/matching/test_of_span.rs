//! The test to which each span belongs. Pure.
//!
//! A span takes 24 bytes until all are read, because children come in any order.

use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;
use serde_json::Value;

use crate::view::parsed::{Detail, Origin, ParsedSpan, SpanSink, TEST_CASE_NAME};

/// No test.
const NONE: u32 = u32::MAX;

/// The tests of a run.
#[derive(Debug, Default)]
pub(in crate::check) struct Tests {
    names: IndexSet<String>,
    traces: HashMap<u128, Trace>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Trace {
    number: u32,
    /// The test of all its spans, unless it has several.
    test: u32,
    has_several: bool,
}

/// A span. The one with a test comes before others with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    trace: u32,
    /// Hashes of ids; 0 for no parent.
    id: u64,
    test: u32,
    parent: u64,
}

impl SpanSink for Tests {
    fn detail(&self) -> Detail {
        Detail::Outline
    }

    fn add(&mut self, span: ParsedSpan, _: &Origin) {
        let test = span.attribute(TEST_CASE_NAME).and_then(Value::as_str).map_or(NONE, |name| self.number(name));
        let number = u32::try_from(self.traces.len()).unwrap_or(u32::MAX);
        let trace = self.traces.entry(span.trace_number()).or_insert(Trace { number, test: NONE, has_several: false });
        if test != NONE {
            trace.has_several |= trace.test != NONE && trace.test != test;
            trace.test = test;
        }
        let (id, parent) = span.id_hashes();
        self.rows.push(Row { trace: trace.number, id, test, parent });
    }
}

impl Tests {
    /// Returns the place of a test among the names.
    fn number(&mut self, name: &str) -> u32 {
        let known = self.names.get_index_of(name);
        u32::try_from(known.unwrap_or_else(|| self.names.insert_full(name.to_owned()).0)).unwrap_or(NONE)
    }

    /// Gives each span of a trace with several tests that of the nearest span above it. To be called once all spans are added.
    pub(in crate::check) fn assigned(mut self) -> Self {
        let several = self.traces.values().filter(|trace| trace.has_several).map(|trace| trace.number);
        let several: HashSet<u32> = several.collect();
        self.rows.retain(|row| several.contains(&row.trace));
        self.rows.shrink_to_fit();
        self.rows.sort_unstable();
        self.rows.dedup_by_key(|row| (row.trace, row.id));
        let mut path = Vec::new();
        for index in 0..self.rows.len() {
            let mut next = Some(index);
            let mut test = NONE;
            while let Some(at) = next.filter(|_| test == NONE) {
                let Row { trace, parent, .. } = self.rows[at];
                test = self.rows[at].test;
                // Without its parent a span is passed once only, also in a cycle.
                self.rows[at].parent = 0;
                path.push(at);
                next = if parent == 0 { None } else { self.place(trace, parent) };
            }
            for at in path.drain(..) {
                self.rows[at].test = test;
            }
        }
        self
    }

    fn place(&self, trace: u32, id: u64) -> Option<usize> {
        self.rows.binary_search_by_key(&(trace, id), |row| (row.trace, row.id)).ok()
    }

    /// Returns the name of a span's test.
    pub(in crate::check) fn of(&self, span: &ParsedSpan) -> Option<&str> {
        let trace = self.traces.get(&span.trace_number())?;
        let test =
            if trace.has_several { self.rows[self.place(trace.number, span.id_hashes().0)?].test } else { trace.test };
        self.names.get_index(test as usize).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the tests of spans given as trace, id, parent and name of the test, which may be empty.
    fn assigned(spans: &[(&str, &str, &str, &str)]) -> Vec<String> {
        let spans: Vec<ParsedSpan> = spans
            .iter()
            .map(|(trace, id, parent, test)| ParsedSpan {
                trace_id: (*trace).to_owned(),
                id: (*id).to_owned(),
                parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
                attributes: [*test]
                    .into_iter()
                    .filter(|test| !test.is_empty())
                    .map(|test| (TEST_CASE_NAME.to_owned(), test.into()))
                    .collect(),
                ..ParsedSpan::default()
            })
            .collect();
        let mut tests = Tests::default();
        for span in &spans {
            tests.add(span.clone(), &Origin { resource: &[], scope: "" });
        }
        let tests = tests.assigned();
        spans.iter().map(|span| tests.of(span).unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn the_only_test_of_a_trace_has_all_its_spans() {
        let spans = [
            ("1", "a", "", ""),
            ("1", "b", "a", "pays"),
            ("1", "c", "elsewhere", ""),
            ("1", "d", "", "pays"),
            ("2", "b", "", ""),
        ];
        assert_eq!(assigned(&spans), ["pays", "pays", "pays", "pays", "-"]);
    }

    #[test]
    fn each_of_several_tests_has_the_spans_below_it() {
        let spans = [
            // Children come before their parents.
            ("1", "e", "d", ""),
            ("1", "d", "b", ""),
            ("1", "root", "", ""),
            ("1", "b", "root", "pays"),
            ("1", "c", "root", "orders"),
            ("1", "f", "d", "inner"),
            ("1", "g", "f", ""),
            ("1", "h", "c", ""),
            // A span that was sent twice, an unknown parent, and the ids of another trace.
            ("1", "h", "c", ""),
            ("1", "i", "elsewhere", ""),
            ("2", "d", "b", "other"),
        ];
        let expected = ["pays", "pays", "-", "pays", "orders", "inner", "inner", "orders", "orders", "-", "other"];
        assert_eq!(assigned(&spans), expected);
    }

    #[test]
    fn cycles_do_no_harm() {
        let spans = [
            ("1", "a", "b", ""),
            ("1", "b", "a", ""),
            ("1", "c", "a", ""),
            ("1", "d", "d", ""),
            ("1", "e", "f", "pays"),
            ("1", "f", "e", "orders"),
        ];
        assert_eq!(assigned(&spans), ["-", "-", "-", "-", "pays", "orders"]);
    }
}
