//! All traces of a run together, from however many files: totals, failures, slow operations, tests and machines. Pure.
//!
//! [`builder`] adds up spans one by one in bounded memory: [`durations`] for percentiles, [`operation`] for what spans are grouped by,
//! [`executions`] for tests. [`text`] shows it in the terminal.
//! `navtrace view --json` prints these types, and the page's script reads them: names of fields stay. docs/clients.md describes them.

pub(crate) mod builder;
pub(crate) mod durations;
mod executions;
pub(crate) mod operation;
pub(crate) mod repeats;
mod slowest;
pub(crate) mod text;

use serde::Serialize;

use crate::view::run::durations::DurationStatistics;
use crate::view::run::operation::Operation;

/// A run: all traces of some files.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// The ids in the resources of spans, in order; more than one if the files are of several runs.
    pub runs: Vec<String>,
    /// Counts of everything.
    pub totals: Totals,
    /// Failures by what failed and why, the most frequent first.
    pub failures: Vec<FailureGroup>,
    /// The slowest requests of browsers, or of services if there are none.
    pub slowest: Vec<SlowSpan>,
    /// What spans are grouped by: those with errors first, then by the 95th percentile.
    pub operations: Vec<OperationSummary>,
    /// The number of spans of operations that are left out.
    pub left_out_spans: usize,
    /// Tests, or the scenarios or roots of other traces: those with failures first, then by the 95th percentile.
    pub tests: Vec<TestSummary>,
    /// The number of tests, each time that they ran, that are left out.
    pub left_out_tests: usize,
    /// The number of spans of traces beyond those in the totals. These traces and their tests are counted nowhere.
    pub further_trace_spans: usize,
    /// The machines whose browsers were traced, by name.
    pub machines: Vec<MachineSummary>,
    /// Sentences about files that can't be read.
    pub unreadable: Vec<String>,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Files that could be read.
    pub files: usize,
    /// Start of the first span, in milliseconds since the epoch.
    pub start_ms: f64,
    /// Time from the start of the first span to the end of the last.
    pub duration_ms: f64,
    /// Traces, up to a limit.
    pub traces: usize,
    /// Traces in which a span is an error.
    pub failed_traces: usize,
    /// Spans, without repeated ones.
    pub spans: usize,
    /// Spans that are errors.
    pub errors: usize,
    /// Requests of browsers that left them.
    pub requests: usize,
    /// Those of them that are errors.
    pub failed_requests: usize,
    /// Requests that the browser's cache answered.
    pub cached_requests: usize,
    /// The names of services.
    pub services: Vec<String>,
}

/// Spans that failed in the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureGroup {
    /// What failed.
    #[serde(flatten)]
    pub operation: Operation,
    /// The status of the response, the type of the error, or its message.
    pub reason: String,
    /// How often.
    pub count: usize,
    /// The trace of the first of them.
    pub trace_id: String,
    /// The span id of the first of them.
    pub span_id: String,
}

/// A span that took long.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowSpan {
    /// What it was.
    #[serde(flatten)]
    pub operation: Operation,
    /// How long it took.
    pub duration_ms: f64,
    /// Whether it is an error.
    pub error: bool,
    /// The machine in its resource; empty if there is none.
    pub machine: String,
    /// Its trace.
    pub trace_id: String,
    /// Its id.
    pub span_id: String,
}

/// All spans of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationSummary {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// Spans that are errors.
    pub errors: usize,
    /// Their number and durations.
    #[serde(flatten)]
    pub durations: DurationStatistics,
}

/// All executions of a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestSummary {
    /// The test's name (`test.case.name`), or else k6's scenario, or the name of the root span.
    pub name: String,
    /// Executions that failed: the test's span is an error, or any span of a trace that has no span of a test.
    pub failed: usize,
    /// Their number and durations.
    #[serde(flatten)]
    pub durations: DurationStatistics,
}

/// What one machine did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineSummary {
    /// `host.name` of the resource.
    pub name: String,
    /// Executions of tests.
    pub tests: usize,
    /// Those that failed.
    pub failed_tests: usize,
    /// Requests that are errors.
    pub failed_requests: usize,
    /// Number and durations of the requests of its browsers.
    pub requests: DurationStatistics,
}
