//! Evaluates conditions while spans are read, in memory that grows by some bytes per span. Pure.

use std::collections::{HashMap, HashSet};

use crate::base::text::short_name;
use crate::check::condition::{Comparison, Condition, Measure, Per, Rule};
use crate::check::matching::{Candidate, Tests};
use crate::check::outcome::{Outcome, Status, WorstSpan, aggregate};
use crate::check::report::Report;
use crate::view::link::LinkTemplate;
use crate::view::parsed::{Detail, Origin, ParsedSpan, SpanSink};
use crate::view::run::repeats::Repeats;

/// How many traces an outcome names.
const MAX_WORST: usize = 5;

/// Takes spans, and evaluates conditions at the end.
#[derive(Debug)]
pub(super) struct CheckSink<'a> {
    conditions: Vec<(&'a Condition, Tally)>,
    tests: Tests,
    traces: HashSet<u128>,
    spans: usize,
    repeats: Repeats,
}

/// What is kept of the spans of a condition.
#[derive(Debug, Default)]
struct Tally {
    spans: usize,
    errors: usize,
    /// In nanoseconds, for conditions on durations.
    durations: Vec<u64>,
    /// The longest ones, or the shortest if the condition wants longer ones.
    worst: Vec<WorstSpan>,
    /// For conditions on numbers of spans.
    by_trace: HashMap<u128, InTrace>,
    /// Trace, and hashes of id and parent, of all spans, for conditions on parents. The parent is 0 if there is none or the span is not selected.
    family: Vec<(u128, u64, u64)>,
}

#[derive(Debug, Default)]
struct InTrace {
    spans: usize,
    first: Option<WorstSpan>,
}

impl<'a> CheckSink<'a> {
    pub(super) fn new(conditions: &'a [Condition], tests: Tests) -> Self {
        let conditions = conditions.iter().map(|condition| (condition, Tally::default())).collect();
        Self { conditions, tests: tests.assigned(), traces: HashSet::new(), spans: 0, repeats: Repeats::default() }
    }

    pub(super) fn finish(self, link: Option<&LinkTemplate>) -> Report {
        let Self { conditions, traces, spans, .. } = self;
        let outcome = |(condition, tally): (&Condition, Tally)| {
            // Nothing can be said of nothing, not even that it has no errors.
            if traces.is_empty() { Outcome::of_no_span(condition, 0) } else { tally.outcome(condition, &traces) }
        };
        let outcomes: Vec<Outcome> = conditions.into_iter().map(outcome).collect();
        Report::new(&outcomes, traces.len(), spans, link)
    }
}

impl SpanSink for CheckSink<'_> {
    fn detail(&self) -> Detail {
        Detail::Outline
    }

    fn add(&mut self, span: ParsedSpan, origin: &Origin) {
        if !self.repeats.is_new(&span, origin.service()) {
            return;
        }
        let trace = span.trace_number();
        self.traces.insert(trace);
        self.spans += 1;
        let test = self.tests.of(&span);
        for (condition, tally) in &mut self.conditions {
            let is_selected = condition.spans().matches(Candidate { span: &span, origin, test });
            if is_selected {
                tally.spans += 1;
                tally.errors += usize::from(span.error);
            }
            match &condition.rule {
                Rule::NoMissingParents(_) => {
                    let (id, parent) = span.id_hashes();
                    tally.family.push((trace, id, if is_selected { parent } else { 0 }));
                }
                Rule::Measure { .. } if !is_selected => {}
                Rule::Measure { measure: Measure::Duration(_), comparison, .. } => {
                    // A span without times has no duration.
                    let Some(duration) = span.end.checked_sub(span.start).filter(|_| span.start > 0) else {
                        tally.spans -= 1;
                        continue;
                    };
                    tally.durations.push(duration);
                    add_worst(&mut tally.worst, comparison.wants_more(), trace, duration, &span, origin);
                }
                Rule::Measure { measure, .. } => {
                    if span.error || matches!(measure, Measure::Count(_)) {
                        let in_trace = tally.by_trace.entry(trace).or_default();
                        in_trace.spans += 1;
                        in_trace.first.get_or_insert_with(|| worst_span(trace, 0, &span, origin));
                    }
                }
            }
        }
    }
}

impl Tally {
    fn outcome(mut self, condition: &Condition, traces: &HashSet<u128>) -> Outcome {
        let mut outcome = Outcome::of_no_span(condition, self.spans);
        match &condition.rule {
            Rule::NoMissingParents(_) => {
                let missing = missing_parents(&mut self.family);
                outcome.compare_with(
                    missing.iter().map(|(_, count)| *count).sum::<usize>() as f64,
                    Comparison::Equal,
                    0.0,
                );
                outcome.worst = missing.into_iter().map(|(trace, count)| WorstSpan::of_trace(trace, count)).collect();
                keep_most(&mut outcome.worst);
            }
            Rule::Measure { measure, comparison, limit, .. } => {
                let value = match measure {
                    Measure::Duration(kind) => aggregate(*kind, &mut self.durations),
                    Measure::ErrorRate => (self.spans > 0).then(|| self.errors as f64 / self.spans as f64),
                    Measure::Count(Per::Run) => Some(self.spans as f64),
                    Measure::Errors(Per::Run) => Some(self.errors as f64),
                    Measure::Count(Per::Trace) | Measure::Errors(Per::Trace) => {
                        Some(self.worst_trace(traces, *comparison, *limit))
                    }
                };
                if let Some(value) = value {
                    outcome.compare_with(value, *comparison, *limit);
                }
                let is_per_trace = matches!(measure, Measure::Count(Per::Trace) | Measure::Errors(Per::Trace));
                outcome.worst = if matches!(measure, Measure::Duration(_)) {
                    self.worst.retain(|span| !comparison.holds(span.value as f64, *limit));
                    self.worst
                } else if is_per_trace {
                    self.offending_traces(traces, *comparison, *limit)
                } else if comparison.wants_more() {
                    // What is missing is in no trace.
                    Vec::new()
                } else {
                    let mut worst: Vec<WorstSpan> =
                        self.by_trace.into_values().filter_map(InTrace::worst_span).collect();
                    keep_most(&mut worst);
                    worst
                };
            }
        }
        if outcome.status == Status::Passed {
            outcome.worst.clear();
        }
        outcome
    }

    /// Returns the count of the trace that is farthest from what is wanted.
    fn worst_trace(&self, traces: &HashSet<u128>, comparison: Comparison, limit: f64) -> f64 {
        let counts = traces.iter().map(|trace| self.by_trace.get(trace).map_or(0.0, |found| found.spans as f64));
        let distance = |count: &f64| match comparison {
            Comparison::Equal => (count - limit).abs(),
            Comparison::NotEqual => -(count - limit).abs(),
            _ if comparison.wants_more() => -count,
            _ => *count,
        };
        counts.max_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0.0)
    }

    fn offending_traces(mut self, traces: &HashSet<u128>, comparison: Comparison, limit: f64) -> Vec<WorstSpan> {
        let mut worst = Vec::new();
        for trace in traces {
            let found = self.by_trace.remove(trace).unwrap_or_default();
            if !comparison.holds(found.spans as f64, limit) {
                worst.push(found.worst_span().unwrap_or_else(|| WorstSpan::of_trace(*trace, 0)));
            }
        }
        if comparison.wants_more() {
            worst.sort_by_key(|trace| (trace.value, trace.trace));
            worst.truncate(MAX_WORST);
        } else {
            keep_most(&mut worst);
        }
        worst
    }
}

impl InTrace {
    fn worst_span(self) -> Option<WorstSpan> {
        Some(WorstSpan { value: self.spans as u64, ..self.first? })
    }
}

/// Returns the traces with spans whose parent is missing, and how many of these spans they have.
fn missing_parents(family: &mut [(u128, u64, u64)]) -> Vec<(u128, usize)> {
    family.sort_unstable();
    let is_missing = |(trace, _, parent): &&(u128, u64, u64)| {
        *parent != 0 && family.binary_search_by_key(&(*trace, *parent), |(trace, id, _)| (*trace, *id)).is_err()
    };
    let mut traces: Vec<(u128, usize)> = Vec::new();
    for (trace, ..) in family.iter().filter(is_missing) {
        match traces.last_mut().filter(|(last, _)| last == trace) {
            Some((_, count)) => *count += 1,
            None => traces.push((*trace, 1)),
        }
    }
    traces
}

/// Keeps the traces with the most spans, in that order.
fn keep_most(worst: &mut Vec<WorstSpan>) {
    worst.sort_by_key(|trace| (std::cmp::Reverse(trace.value), trace.trace));
    worst.truncate(MAX_WORST);
}

/// Adds a span to the worst ones if it is one of them. There is one per trace.
fn add_worst(
    worst: &mut Vec<WorstSpan>,
    wants_more: bool,
    trace: u128,
    duration: u64,
    span: &ParsedSpan,
    origin: &Origin,
) {
    let is_worse = |other: &WorstSpan| if wants_more { duration < other.value } else { duration > other.value };
    if let Some(known) = worst.iter().position(|other| other.trace == trace) {
        if !is_worse(&worst[known]) {
            return;
        }
        worst.remove(known);
    } else if worst.len() == MAX_WORST {
        if !worst.last().is_some_and(is_worse) {
            return;
        }
        worst.pop();
    }
    let place = worst.iter().position(is_worse).unwrap_or(worst.len());
    worst.insert(place, worst_span(trace, duration, span, origin));
}

fn worst_span(trace: u128, value: u64, span: &ParsedSpan, origin: &Origin) -> WorstSpan {
    WorstSpan {
        trace,
        value,
        span_id: short_name(&span.id).into_owned(),
        service: short_name(origin.service()).into_owned(),
        label: short_name(&span.label()).into_owned(),
        start: span.start,
        end: span.end,
    }
}
