//! Adds up the spans of a run, one by one, in any order and in bounded memory. Pure.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use opentelemetry_semantic_conventions::attribute as semconv;

use crate::base::text::short_name;
use crate::export::otlp::own;
use crate::view::parsed::{Origin, ParsedSpan};
use crate::view::run::durations::milliseconds;
use crate::view::run::executions::{ExecutionSummary, Executions, Group};
use crate::view::run::operation::{Operation, OperationKind, is_cached};
use crate::view::run::repeats::Repeats;
use crate::view::run::slowest::Slowest;
use crate::view::run::{FailureGroup, MachineSummary, OperationSummary, RunSummary, Totals};
use crate::view::sources::Sources;
use crate::view::trace_index::TraceIndex;

/// Most operations, machines and kinds of failures, each, that are kept. Spans of further operations are only counted.
const MAX_GROUPS: usize = 4096;

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
    machines: HashMap<String, Group>,
    executions: Executions,
}

impl RunBuilder {
    /// Adds a span. Returns whether it comes for the first time; else nothing is added.
    pub(crate) fn add(&mut self, span: &ParsedSpan, origin: &Origin) -> bool {
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
        self.executions.add(us, span, &machine);
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

    /// Returns the summary of all spans, which are also in `index`.
    pub(in crate::view) fn finish(self, index: &TraceIndex, sources: &Sources) -> RunSummary {
        let Self {
            runs,
            services,
            mut totals,
            operations,
            failures,
            slow: [of_browsers, of_services],
            left_out_spans,
            machines,
            executions,
            ..
        } = self;
        let ExecutionSummary { traces, failed_traces, further_spans, tests, left_out_tests, machines: by_machine } =
            executions.finish();
        let (start, end) = index.times().unwrap_or_default();
        totals.files = sources.count();
        totals.start_ms = milliseconds(start / 1000);
        totals.duration_ms = milliseconds((end - start) / 1000);
        (totals.traces, totals.failed_traces) = (traces, failed_traces);
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
            further_trace_spans: further_spans,
            machines: machine_summaries(machines, by_machine),
            unreadable: sources.unreadable.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Returns the machines with executions of tests or requests.
fn machine_summaries(
    mut requests: HashMap<String, Group>,
    mut executions: HashMap<String, Group>,
) -> Vec<MachineSummary> {
    requests.remove("");
    let names: BTreeSet<String> = executions.keys().chain(requests.keys()).cloned().collect();
    let summary = |name: String| {
        let tests = executions.remove(&name).unwrap_or_default();
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
