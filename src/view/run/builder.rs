//! Adds up the spans of a run, one by one, in any order and in bounded memory. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use opentelemetry_semantic_conventions::attribute as semconv;

use crate::base::text::short_name;
use crate::export::otlp::{SESSION_NAME, own};
use crate::view::parsed::{Origin, ParsedSpan, SCENARIO, TEST_CASE_NAME};
use crate::view::run::durations::{Durations, milliseconds};
use crate::view::run::operation::{Operation, OperationKind, is_cached};
use crate::view::run::repeats::Repeats;
use crate::view::run::slowest::Slowest;
use crate::view::run::{FailureGroup, MachineSummary, OperationSummary, RunSummary, TestSummary, Totals};
use crate::view::sources::Sources;
use crate::view::trace::Role;
use crate::view::trace_index::TraceIndex;

/// Most operations, machines and kinds of failures, each, that are kept. Spans of further operations are only counted.
const MAX_GROUPS: usize = 4096;

/// How many executions of tests are kept.
const MAX_EXECUTIONS: usize = 1 << 20;

/// How many run ids and services are kept.
const MAX_NAMES: usize = 64;

/// Adds up spans. What depends on other spans of a trace is decided at the end.
#[derive(Debug, Default)]
pub(crate) struct RunBuilder {
    repeats: Repeats,
    runs: BTreeSet<String>,
    services: BTreeSet<String>,
    totals: Totals,
    operations: HashMap<Operation, Group>,
    failures: HashMap<(Operation, String), FailureGroup>,
    /// The slowest requests of browsers, and the slowest answers of services.
    slow: [Slowest; 2],
    left_out_spans: usize,
    left_out_tests: usize,
    machines: HashMap<String, Group>,
    executions: Vec<Execution>,
    /// Texts that many executions have, by their number, and their numbers.
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    traces: Vec<TraceFacts>,
}

/// Durations and errors of spans that belong together.
#[derive(Debug, Clone, Default)]
struct Group {
    errors: usize,
    durations: Durations,
}

/// What is known of a trace.
#[derive(Debug, Clone, Copy, Default)]
struct TraceFacts {
    has_test: bool,
    has_root: bool,
    /// The machine of its browser.
    machine: Option<usize>,
}

/// A span that may stand for one execution of a test.
#[derive(Debug, Clone, Copy)]
struct Execution {
    rank: Rank,
    trace: usize,
    name: usize,
    machine: Option<usize>,
    us: u64,
    error: bool,
}

/// Which spans of a trace stand for executions: those of the first of these ranks that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Test,
    Root,
    /// A session in a trace whose root is not there.
    Session,
}

impl Group {
    fn add(&mut self, us: u64, is_error: bool) {
        self.durations.add(us);
        self.errors += usize::from(is_error);
    }
}

impl RunBuilder {
    /// Adds a span of the trace with this index. Returns whether it comes for the first time; else nothing is added.
    pub(crate) fn add(&mut self, trace: Option<usize>, span: &ParsedSpan, origin: &Origin) -> bool {
        let service = origin.service();
        if !self.repeats.is_new(span, service) {
            return false;
        }
        self.totals.spans += 1;
        self.totals.errors += usize::from(span.error);
        keep(&mut self.services, Some(service));
        keep(&mut self.runs, origin.resource_text(own::RUN_ID));
        let machine = short_name(origin.resource_text(semconv::HOST_NAME).unwrap_or_default());
        let us = span.end.saturating_sub(span.start) / 1000;
        self.add_operation(us, span, service, &machine);
        if let Some(trace) = trace {
            self.add_to_trace(trace, us, span, &machine);
        }
        true
    }

    fn add_operation(&mut self, us: u64, span: &ParsedSpan, service: &str, machine: &str) {
        self.totals.cached_requests += usize::from(is_cached(span));
        let operation = Operation::of(span, service);
        if operation.kind == OperationKind::Request {
            self.totals.requests += 1;
            self.totals.failed_requests += usize::from(span.error);
            if let Some(group) = group(&mut self.machines, &machine.to_owned()) {
                group.add(us, span.error);
            }
        }
        match operation.kind {
            OperationKind::Request => self.slow[0].add(us, span, machine, &operation),
            OperationKind::Server => self.slow[1].add(us, span, machine, &operation),
            _ => {}
        }
        if span.error {
            self.add_failure(span, &operation);
        }
        if operation.kind.is_endpoint() {
            match group(&mut self.operations, &operation) {
                Some(group) => group.add(us, span.error),
                None => self.left_out_spans += 1,
            }
        }
    }

    fn add_failure(&mut self, span: &ParsedSpan, operation: &Operation) {
        let status = span.attribute_text("http.response.status_code");
        let reason = status.or_else(|| span.attribute_text("error.type"));
        let reason = short_name(&reason.unwrap_or_else(|| span.message.clone())).into_owned();
        let key = (operation.clone(), reason);
        if let Some(group) = self.failures.get_mut(&key) {
            group.count += 1;
        } else if self.failures.len() < MAX_GROUPS {
            let group = FailureGroup {
                operation: key.0.clone(),
                reason: key.1.clone(),
                count: 1,
                trace_id: span.trace_id.clone(),
                span_id: short_name(&span.id).into_owned(),
            };
            self.failures.insert(key, group);
        }
    }

    fn add_to_trace(&mut self, trace: usize, us: u64, span: &ParsedSpan, machine: &str) {
        if self.traces.len() <= trace {
            self.traces.resize(trace + 1, TraceFacts::default());
        }
        let test = span.first_text(&[TEST_CASE_NAME]);
        let is_session = span.role() == Role::Session;
        let machine = if machine.is_empty() { None } else { self.number(machine) };
        let facts = &mut self.traces[trace];
        facts.has_test |= test.is_some();
        facts.has_root |= span.parent.is_none();
        // The browser's machine is what the user looks for, wherever services are.
        if span.scope == env!("CARGO_PKG_NAME") || facts.machine.is_none() && span.parent.is_none() {
            facts.machine = machine.or(facts.machine);
        }
        let (rank, name) = match test {
            Some(name) => (Rank::Test, name),
            None if span.parent.is_none() => (Rank::Root, span.first_text(&[SCENARIO]).unwrap_or(&span.name)),
            None if is_session => (Rank::Session, span.first_text(&[SCENARIO]).unwrap_or(SESSION_NAME)),
            None => return,
        };
        match self.number(&short_name(name)).filter(|_| self.executions.len() < MAX_EXECUTIONS) {
            Some(name) => self.executions.push(Execution { rank, trace, name, machine, us, error: span.error }),
            None => self.left_out_tests += 1,
        }
    }

    /// Returns the number of a text.
    fn number(&mut self, text: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = self.names.len();
        if number == 2 * MAX_GROUPS {
            return None;
        }
        self.names.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        Some(number)
    }

    /// Returns the summary of all spans. `index` has the traces to which they were added.
    pub(in crate::view) fn finish(mut self, index: &TraceIndex, sources: &Sources) -> RunSummary {
        let (tests, executions) = self.tests(index);
        let machines = self.machines(executions);
        let Self {
            runs,
            services,
            mut totals,
            operations,
            failures,
            slow: [of_browsers, of_services],
            left_out_spans,
            left_out_tests,
            ..
        } = self;
        let times = index.traces.iter().filter(|trace| trace.start > 0);
        let start = times.clone().map(|trace| trace.start).min().unwrap_or(0);
        let end = times.map(|trace| trace.end).max().unwrap_or(start);
        totals.files = sources.count();
        totals.start_ms = milliseconds(start / 1000);
        totals.duration_ms = milliseconds((end - start) / 1000);
        totals.traces = index.traces.len() + index.further.len();
        totals.failed_traces = index.traces.iter().filter(|trace| trace.errors > 0).count();
        totals.services = services.into_iter().collect();
        let mut failures: Vec<FailureGroup> = failures.into_values().collect();
        failures.sort_by(|a, b| (b.count, &a.operation, &a.reason).cmp(&(a.count, &b.operation, &b.reason)));
        let mut operations: Vec<OperationSummary> = operations
            .into_iter()
            .map(|(operation, group)| OperationSummary {
                operation,
                errors: group.errors,
                durations: group.durations.statistics(),
            })
            .collect();
        operations.sort_by(|a, b| {
            let slower = b.durations.p95_ms.total_cmp(&a.durations.p95_ms);
            b.errors.cmp(&a.errors).then(slower).then_with(|| a.operation.cmp(&b.operation))
        });
        let slowest = Some(of_browsers.into_sorted()).filter(|slow| !slow.is_empty());
        RunSummary {
            runs: runs.into_iter().collect(),
            totals,
            failures,
            slowest: slowest.unwrap_or_else(|| of_services.into_sorted()),
            operations,
            left_out_spans,
            tests,
            left_out_tests,
            machines,
            unreadable: sources.unreadable.iter().map(ToString::to_string).collect(),
        }
    }

    /// Returns the tests, and the executions of each machine.
    fn tests(&self, index: &TraceIndex) -> (Vec<TestSummary>, HashMap<usize, Group>) {
        let (mut tests, mut machines) = (BTreeMap::<usize, Group>::new(), HashMap::<usize, Group>::new());
        for Execution { rank, trace, name, machine, us, error } in &self.executions {
            let facts = self.traces[*trace];
            let counts = match rank {
                Rank::Test => true,
                Rank::Root => !facts.has_test,
                Rank::Session => !facts.has_test && !facts.has_root,
            };
            if !counts {
                continue;
            }
            let failed = *error || *rank == Rank::Root && index.traces[*trace].errors > 0;
            tests.entry(*name).or_default().add(*us, failed);
            if let Some(machine) = facts.machine.filter(|_| *rank == Rank::Root).or(*machine) {
                machines.entry(machine).or_default().add(*us, failed);
            }
        }
        let mut tests: Vec<TestSummary> = tests
            .into_iter()
            .map(|(name, group)| TestSummary {
                name: self.names[name].clone(),
                failed: group.errors,
                durations: group.durations.statistics(),
            })
            .collect();
        tests.sort_by(|a, b| {
            let slower = b.durations.p95_ms.total_cmp(&a.durations.p95_ms);
            b.failed.cmp(&a.failed).then(slower).then_with(|| a.name.cmp(&b.name))
        });
        (tests, machines)
    }

    /// Returns the machines with executions of tests or requests.
    fn machines(&mut self, mut executions: HashMap<usize, Group>) -> Vec<MachineSummary> {
        let mut requests = std::mem::take(&mut self.machines);
        requests.remove("");
        let names: BTreeSet<String> =
            executions.keys().map(|number| self.names[*number].clone()).chain(requests.keys().cloned()).collect();
        let summary = |name: String| {
            let number = self.numbers.get(&name);
            let tests = number.and_then(|number| executions.remove(number)).unwrap_or_default();
            let requests = requests.remove(&name).unwrap_or_default();
            MachineSummary {
                name,
                tests: tests.durations.count(),
                failed_tests: tests.errors,
                failed_requests: requests.errors,
                requests: requests.durations.statistics(),
            }
        };
        names.into_iter().map(summary).collect()
    }
}

/// Returns the group of a key; `None` if there are too many.
fn group<'a, K: Hash + Eq + Clone>(groups: &'a mut HashMap<K, Group>, key: &K) -> Option<&'a mut Group> {
    if !groups.contains_key(key) {
        if groups.len() == MAX_GROUPS {
            return None;
        }
        groups.insert(key.clone(), Group::default());
    }
    groups.get_mut(key)
}

/// Adds a text to a set, up to its limit.
fn keep(names: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name.filter(|name| names.len() < MAX_NAMES && !names.contains(*name)) {
        names.insert(short_name(name).into_owned());
    }
}
