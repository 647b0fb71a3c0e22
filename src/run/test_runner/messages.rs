//! Messages about tests: reports of a test runner's reporter (`reporter.mjs`), and what `navtrace run` tells that reporter and hosts.

use serde::{Deserialize, Serialize};

use crate::base::text::shortened;
use crate::context::ids::TraceId;
use crate::context::issuer::SessionContext;
use crate::observe::session::{EndedIteration, TestStep};
use crate::observe::test_span::{CodePlace, TestError};

/// The longest name, and the longest other text, in characters. The reporter has the same limits.
pub(super) const MAX_NAME: usize = 500;
pub(super) const MAX_TEXT: usize = 8000;

/// The most tags and errors of a test.
pub(super) const MAX_ITEMS: usize = 20;

/// An attempt of a test has begun. Times are in milliseconds since the epoch, attempts are numbered within a connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TestBegan {
    pub(super) attempt: u64,
    /// The process id of the test runner.
    pub(super) pid: u32,
    /// The titles of the test and the groups around it.
    pub(super) name: String,
    /// The name with the file's.
    #[serde(rename = "case")]
    pub(super) full_name: String,
    pub(super) suite: String,
    pub(super) project: String,
    #[serde(flatten)]
    pub(super) place: ReportedPlace,
    pub(super) retry: u32,
    pub(super) worker: u32,
    pub(super) tags: Vec<String>,
    pub(super) time: f64,
}

/// A step has begun. Steps are numbered within their test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StepBegan {
    pub(super) attempt: u64,
    pub(super) step: u64,
    /// The step around it.
    pub(super) parent: Option<u64>,
    pub(super) category: String,
    pub(super) title: String,
    /// What it acts on, such as a locator.
    pub(super) detail: Option<String>,
    /// The address that it navigates to or requests.
    pub(super) url: Option<String>,
    #[serde(flatten)]
    pub(super) place: ReportedPlace,
    pub(super) time: f64,
}

/// A step has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct StepEnded {
    pub(super) attempt: u64,
    pub(super) step: u64,
    pub(super) time: f64,
    pub(super) error: Option<ReportedError>,
}

/// An attempt of a test has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TestEnded {
    pub(super) attempt: u64,
    /// The runner's word for the result.
    pub(super) status: String,
    /// Whether that was expected.
    pub(super) passed: bool,
    pub(super) time: f64,
    pub(super) errors: Vec<ReportedError>,
    /// The number of steps that were not reported.
    pub(super) dropped_steps: usize,
}

/// A place in the source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReportedPlace {
    file: Option<String>,
    line: Option<u32>,
}

/// An error without colors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReportedError {
    kind: Option<String>,
    message: String,
    stack: Option<String>,
}

/// A host asks for the tests of the worker process that has started its browser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FollowWorker {
    /// The index of the worker process.
    pub(super) worker: u32,
    /// The process ids above the browser's. One of them is the test runner's.
    pub(super) ancestors: Vec<u32>,
}

impl FollowWorker {
    pub(crate) fn new(worker: u32, ancestors: Vec<u32>) -> Self {
        Self { worker, ancestors }
    }
}

/// What `navtrace run` tells a reporter or a host: a line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Notice {
    /// To a reporter: the trace of an attempt that is sampled.
    Trace { attempt: u64, trace_id: TraceId, link: Option<String> },
    /// To a host: the test that the worker runs from now on; `None` between two tests.
    Test { test: Option<TestContext> },
    /// To a host: a step of that test has begun, or has ended.
    Step(TestStep),
    /// To a host: an iteration of k6 has ended, of whose actions the host was told as of steps.
    Iteration(EndedIteration),
}

/// The context of a test's span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TestContext {
    #[serde(flatten)]
    pub context: SessionContext,
    /// The `tracestate` of the trace; empty if there is none.
    pub tracestate: String,
}

/// Cuts a name to the length that is kept.
pub(super) fn name(text: &str) -> Box<str> {
    shortened(text, MAX_NAME).into()
}

/// Cuts a text to the length that is kept.
pub(super) fn text(text: &str) -> Box<str> {
    shortened(text, MAX_TEXT).into()
}

impl ReportedPlace {
    pub(super) fn place(&self) -> CodePlace {
        CodePlace { file: self.file.as_deref().map(name), line: self.line }
    }
}

impl ReportedError {
    /// Returns the error with its texts as `redacted` leaves them.
    pub(super) fn error(&self, redacted: impl Fn(&str) -> String) -> TestError {
        TestError {
            kind: self.kind.as_deref().map(name),
            message: text(&redacted(&self.message)),
            stack: self.stack.as_ref().map(|stack| text(&redacted(stack))),
        }
    }
}
