//! Steps of the tests that drive the browser. A navigation that begins within a step has the innermost one as its parent.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::context::ids::{SpanId, TraceId};
use crate::observe::session::Session;
use crate::observe::span::{Nanos, nanos};

/// The number of steps to remember. Observations arrive in batches, so the step that has caused a navigation may have ended before.
const MAX_STEPS: usize = 500;

/// A step of a test that has begun or ended. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestStep {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) start: f64,
    /// `None` while it runs.
    pub(crate) end: Option<f64>,
}

impl TestStep {
    fn contains(&self, time: Nanos) -> bool {
        nanos(self.start) <= time && self.end.is_none_or(|end| time <= nanos(end))
    }
}

/// The latest steps, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TestSteps(VecDeque<TestStep>);

impl TestSteps {
    pub(crate) fn add(&mut self, step: TestStep) {
        match self.0.iter_mut().rev().find(|known| known.span_id == step.span_id) {
            Some(known) => *known = step,
            None => self.0.push_back(step),
        }
        if self.0.len() > MAX_STEPS {
            // A step that still runs may have navigations to come.
            let oldest = self.0.iter().position(|step| step.end.is_some()).unwrap_or(0);
            self.0.remove(oldest);
        }
    }

    /// Takes all steps, the latest last.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = TestStep> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }

    /// Returns whether a trace is a test's.
    pub(super) fn has(&self, trace_id: TraceId) -> bool {
        self.0.iter().any(|step| step.trace_id == trace_id)
    }

    /// Returns the innermost step of a trace at a time: the one that has begun last.
    pub(super) fn at(&self, trace_id: TraceId, time: Nanos) -> Option<TestStep> {
        let around = self.0.iter().filter(|step| step.trace_id == trace_id && step.contains(time));
        around.max_by(|a, b| a.start.total_cmp(&b.start)).copied()
    }
}

impl Session {
    /// Takes the begin or the end of a step.
    pub(crate) fn step(&mut self, step: TestStep) {
        self.steps.add(step);
        self.find_steps();
    }

    /// Finds the steps of open navigations. A step that begins later is further inside.
    pub(super) fn find_steps(&mut self) {
        if self.steps.0.is_empty() {
            return;
        }
        for (id, open) in &mut self.navigations {
            let trace_id = self.parents.for_navigation(*id).trace_id;
            let found = self.steps.at(trace_id, open.start);
            let is_inner = |found: &TestStep| open.step.is_none_or(|step| step.start <= found.start);
            if let Some(step) = found.filter(is_inner) {
                open.step = Some(step);
            }
        }
    }
}
