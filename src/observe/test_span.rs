//! Spans of tests and their steps, as a test runner reports them.

use serde::{Deserialize, Serialize};

/// One attempt of a test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Test {
    /// The titles of the test and the groups around it.
    pub(crate) name: Box<str>,
    /// The name with the file's.
    pub(crate) full_name: Box<str>,
    /// The groups around the test, or the file.
    pub(crate) suite: Box<str>,
    /// The project of the configuration; empty if it has no name.
    pub(crate) project: Box<str>,
    pub(crate) place: CodePlace,
    /// The number of attempts before this one.
    pub(crate) retry: u32,
    /// The index of the worker process.
    pub(crate) worker: u32,
    pub(crate) tags: Vec<Box<str>>,
    /// The runner's word for the result; empty while there is none.
    pub(crate) status: Box<str>,
    /// Whether it ended as expected; `None` if it was skipped or its end was not reported.
    pub(crate) passed: Option<bool>,
    pub(crate) errors: Vec<TestError>,
    /// The number of steps that have no span, because there were too many.
    pub(crate) dropped_steps: usize,
}

/// A step of a test: what the test names so, a hook, a fixture, or a call of the client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: Box<str>,
    /// The runner's category, such as `hook` or `pw:api`.
    pub(crate) category: Box<str>,
    /// The address that it navigates to or requests, without secrets.
    pub(crate) url: Option<Box<str>>,
    pub(crate) place: CodePlace,
    pub(crate) error: Option<TestError>,
}

/// A place in the source of a test.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CodePlace {
    /// The absolute path of the file.
    pub(crate) file: Option<Box<str>>,
    /// The line, from 1.
    pub(crate) line: Option<u32>,
}

/// An error of a test or a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TestError {
    /// The error's class, if it has one.
    pub(crate) kind: Option<Box<str>>,
    pub(crate) message: Box<str>,
    pub(crate) stack: Option<Box<str>>,
}
