//! Which spans stand for executions of tests, and which traces failed. Pure.
//!
//! The spans of a trace come in any order, so this is decided at the end.

use std::collections::HashMap;

use indexmap::IndexSet;

use crate::base::text::short_name;
use crate::export::otlp::SESSION_NAME;
use crate::view::parsed::{ParsedSpan, SCENARIO, TEST_CASE_NAME};
use crate::view::run::TestSummary;
use crate::view::run::durations::Durations;
use crate::view::trace::Role;

/// Most traces that are told apart. The map then has 2^20 slots of 33 bytes and is filled to seven eighths; one more would double it.
const MAX_TRACES: usize = 7 << 17;

/// How many executions of tests are kept.
const MAX_EXECUTIONS: usize = 1 << 20;

/// How many names of machines are kept, and of executions of each rank.
const MAX_NAMES: u16 = 8192;

/// Durations and errors of spans that belong together.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) errors: usize,
    pub(super) durations: Durations,
}

/// The traces of a run, and the spans in them that may stand for executions.
#[derive(Debug, Default)]
pub(super) struct Executions {
    /// By the number of the trace.
    traces: HashMap<u128, TraceFacts>,
    candidates: Vec<Execution>,
    /// By rank, so that names of roots take no place of names of tests.
    names: [Names; 3],
    machines: Names,
    further_spans: usize,
}

/// What follows from all spans.
#[derive(Debug)]
pub(super) struct ExecutionSummary {
    /// The number of traces that are told apart.
    pub(super) traces: usize,
    /// Those with an error.
    pub(super) failed_traces: usize,
    /// The number of spans of further traces, of which nothing else is known.
    pub(super) further_spans: usize,
    pub(super) tests: Vec<TestSummary>,
    pub(super) left_out_tests: usize,
    /// The executions of each machine.
    pub(super) machines: HashMap<String, Group>,
}

/// What is known of a trace.
#[derive(Debug, Clone, Copy, Default)]
struct TraceFacts {
    /// The rank of the spans that stand for its executions.
    rank: Option<Rank>,
    /// The number of spans of this rank that are not in `candidates`.
    left_out: usize,
    failed: bool,
    /// The machine of its browser.
    machine: Option<u16>,
}

/// A span that may stand for one execution of a test.
#[derive(Debug, Clone, Copy)]
struct Execution {
    trace: u128,
    us: u64,
    name: u16,
    machine: Option<u16>,
    rank: Rank,
    error: bool,
}

/// Which spans of a trace stand for executions: those of the first of these ranks that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Rank {
    Test,
    Root,
    /// A session in a trace whose root is not there.
    Session,
}

/// Texts that many spans have, each kept once.
#[derive(Debug, Default)]
struct Names(IndexSet<String>);

impl Group {
    pub(super) fn add(&mut self, us: u64, is_error: bool) {
        self.durations.add(us);
        self.errors += usize::from(is_error);
    }
}

impl Executions {
    /// Adds a span of this duration in microseconds. `machine` is empty if it is not known.
    pub(super) fn add(&mut self, us: u64, span: &ParsedSpan, machine: &str) {
        let trace = span.trace_number();
        if self.traces.len() == MAX_TRACES && !self.traces.contains_key(&trace) {
            self.further_spans += 1;
            return;
        }
        let machine = if machine.is_empty() { None } else { self.machines.number(machine) };
        let facts = self.traces.entry(trace).or_default();
        facts.failed |= span.error;
        // The browser's machine is what the user looks for, wherever services are.
        if span.scope == env!("CARGO_PKG_NAME") || facts.machine.is_none() && span.parent.is_none() {
            facts.machine = machine.or(facts.machine);
        }
        let (rank, name) = match span.first_text(&[TEST_CASE_NAME]) {
            Some(name) => (Rank::Test, name),
            None if span.parent.is_none() => (Rank::Root, span.first_text(&[SCENARIO]).unwrap_or(&span.name)),
            None if span.role() == Role::Session => {
                (Rank::Session, span.first_text(&[SCENARIO]).unwrap_or(SESSION_NAME))
            }
            None => return,
        };
        if facts.rank.is_none_or(|known| rank < known) {
            // The earlier spans are no executions, so that none is left out.
            (facts.rank, facts.left_out) = (Some(rank), 0);
        }
        if facts.rank != Some(rank) {
            return;
        }
        let name = self.names[rank as usize].number(&short_name(name));
        match name.filter(|_| self.candidates.len() < MAX_EXECUTIONS) {
            Some(name) => self.candidates.push(Execution { trace, us, name, machine, rank, error: span.error }),
            None => facts.left_out += 1,
        }
    }

    pub(super) fn finish(self) -> ExecutionSummary {
        let Self { traces, candidates, names, machines: machine_names, further_spans } = self;
        let (mut tests, mut machines) = (HashMap::<&str, Group>::new(), HashMap::<String, Group>::new());
        for Execution { trace, us, name, machine, rank, error } in &candidates {
            let facts = traces[trace];
            if facts.rank != Some(*rank) {
                continue;
            }
            let failed = *error || *rank == Rank::Root && facts.failed;
            tests.entry(names[*rank as usize].text(*name)).or_default().add(*us, failed);
            if let Some(machine) = facts.machine.filter(|_| *rank == Rank::Root).or(*machine) {
                machines.entry(machine_names.text(machine).to_owned()).or_default().add(*us, failed);
            }
        }
        let mut tests: Vec<TestSummary> = tests
            .into_iter()
            .map(|(name, group)| TestSummary {
                name: name.to_owned(),
                failed: group.errors,
                durations: group.durations.statistics(),
            })
            .collect();
        tests.sort_by(|a, b| {
            let slower = b.durations.p95_ms.total_cmp(&a.durations.p95_ms);
            b.failed.cmp(&a.failed).then(slower).then_with(|| a.name.cmp(&b.name))
        });
        ExecutionSummary {
            traces: traces.len(),
            failed_traces: traces.values().filter(|facts| facts.failed).count(),
            further_spans,
            tests,
            left_out_tests: traces.values().map(|facts| facts.left_out).sum(),
            machines,
        }
    }
}

impl Names {
    /// Returns the number of a text; `None` if there are too many.
    fn number(&mut self, text: &str) -> Option<u16> {
        let number = match self.0.get_index_of(text) {
            None if self.0.len() == usize::from(MAX_NAMES) => return None,
            None => self.0.insert_full(text.to_owned()).0,
            Some(number) => number,
        };
        u16::try_from(number).ok()
    }

    fn text(&self, number: u16) -> &str {
        &self.0[usize::from(number)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root, or the span of a test below it.
    fn span(trace: u32, name: &str, is_test: bool) -> ParsedSpan {
        let attributes = if is_test { vec![(TEST_CASE_NAME.to_owned(), name.into())] } else { Vec::new() };
        let parent = is_test.then(|| "1".to_owned());
        ParsedSpan {
            trace_id: format!("{trace:032x}"),
            parent,
            name: name.to_owned(),
            attributes,
            ..ParsedSpan::default()
        }
    }

    /// Returns the summary of the spans, the number of names, and the number of executions.
    fn summary(spans: impl IntoIterator<Item = ParsedSpan>) -> (ExecutionSummary, usize, usize) {
        let mut executions = Executions::default();
        spans.into_iter().for_each(|span| executions.add(1, &span, "load-1"));
        let summary = executions.finish();
        let (names, count) = (summary.tests.len(), summary.tests.iter().map(|test| test.durations.count).sum());
        (summary, names, count)
    }

    #[test]
    fn roots_above_tests_are_neither_listed_nor_left_out() {
        let pair = |trace| [span(trace, &format!("root {trace}"), false), span(trace, "one test", true)];
        let reversed = |trace| pair(trace).into_iter().rev();
        for spans in [(1..=8299).flat_map(pair).collect::<Vec<_>>(), (1..=8299).flat_map(reversed).collect()] {
            let (summary, names, count) = summary(spans);
            assert_eq!((names, count, summary.left_out_tests), (1, 8299, 0));
            assert_eq!(summary.machines["load-1"].durations.count(), 8299);
        }
        // All roots before all tests, whose names are as many.
        let roots = (1..=8200).map(|trace| span(trace, &format!("root {trace}"), false));
        let tests = (1..=8200).map(|trace| span(trace, &format!("test {trace}"), true));
        let (summary, names, count) = summary(roots.chain(tests));
        assert_eq!((names, count, summary.left_out_tests), (8192, 8192, 8));
    }

    #[test]
    fn executions_of_further_names_are_left_out() {
        let roots = (1..=8200).map(|trace| span(trace, &format!("root {trace}"), false));
        // One is not left out, since a test is below it.
        let (summary, names, count) = summary(roots.chain([span(8200, "one test", true)]));
        assert_eq!((names, count, summary.left_out_tests), (8193, 8193, 7));
    }

    #[test]
    fn the_number_of_traces_is_bounded() {
        let traces = (1..=MAX_TRACES as u128).map(|trace| (trace, TraceFacts::default())).collect();
        let mut executions = Executions { traces, ..Executions::default() };
        for trace in [1, 2_000_000, 2_000_001, 2_000_001] {
            executions.add(1, &ParsedSpan { error: true, ..span(trace, "root", false) }, "");
        }
        let summary = executions.finish();
        assert_eq!((summary.traces, summary.failed_traces, summary.further_spans), (MAX_TRACES, 1, 3));
        assert_eq!((summary.tests[0].failed, summary.tests[0].durations.count, summary.left_out_tests), (1, 1, 0));
    }
}
