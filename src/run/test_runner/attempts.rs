//! The tests that run now: issues their contexts, tells hosts of them, and makes spans of them and of their steps when they end. Pure.

use std::collections::BTreeMap;

use crate::context::ids::SpanId;
use crate::context::issuer::{Issuer, SessionContext};
use crate::context::policy::Policy;
use crate::observe::observation::SpanLink;
use crate::observe::session::TestStep;
use crate::observe::span::{Nanos, Operation, Span, nanos};
use crate::observe::test_span::{Step, Test};
use crate::run::reports::Report;
use crate::run::test_runner::messages::{
    FollowWorker, MAX_ITEMS, Notice, StepBegan, StepEnded, TestBegan, TestContext, TestEnded, name, text,
};
use crate::run::test_runner::summary::{EndedTest, EndedTests};
use crate::view::link::{LinkTemplate, LinkedTrace};

/// The most steps of a test that have a span, as in the reporter.
pub(super) const MAX_STEPS: usize = 2000;

/// The most tests that a runner may run at once. Bounds the memory of tests whose end is never reported.
const MAX_ATTEMPTS: usize = 1000;

/// How long after its start a test ends at the latest in a link that names a period, since the link is needed before the end.
const LINKED_PERIOD: Nanos = 3600 * 1_000_000_000;

/// Where a user sees traces.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceLinks {
    pub(crate) template: Option<LinkTemplate>,
    /// The address of the run's page, where no template is set.
    pub(crate) page: Option<String>,
}

impl TraceLinks {
    fn link(&self, SessionContext { trace_id, span_id, .. }: SessionContext, start: Nanos) -> Option<String> {
        let (trace_id, span_id) = (trace_id.to_string(), span_id.to_string());
        let end = start.saturating_add(LINKED_PERIOD);
        let filled = |template: &LinkTemplate| {
            template.fill(&LinkedTrace { trace_id: &trace_id, span_id: &span_id, start, end })
        };
        let on_page = || self.page.as_ref().map(|page| format!("{page}#{trace_id}"));
        self.template.as_ref().map(filled).or_else(on_page)
    }
}

/// The tests of a run.
#[derive(Debug)]
pub(crate) struct TestAttempts {
    policy: Policy,
    links: TraceLinks,
    /// The test runners, by connection.
    runners: BTreeMap<usize, Runner>,
    /// The hosts that ask for tests, by connection.
    hosts: BTreeMap<usize, FollowWorker>,
    pub(crate) ended: EndedTests,
}

/// What follows from a report.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// What to tell whom, by connection.
    pub(crate) notices: Vec<(usize, Notice)>,
    /// Finished spans.
    pub(crate) spans: Vec<Span>,
}

#[derive(Debug, Default)]
struct Runner {
    pid: u32,
    attempts: BTreeMap<u64, Attempt>,
}

#[derive(Debug)]
struct Attempt {
    context: SessionContext,
    start: Nanos,
    test: Test,
    /// By the reporter's number.
    steps: BTreeMap<u64, AttemptStep>,
}

#[derive(Debug)]
struct AttemptStep {
    span_id: SpanId,
    parent: Option<SpanId>,
    start: f64,
    end: Option<f64>,
    step: Step,
}

impl TestAttempts {
    /// Begins without tests.
    pub(crate) fn new(policy: Policy, links: TraceLinks) -> Self {
        Self { policy, links, runners: BTreeMap::new(), hosts: BTreeMap::new(), ended: EndedTests::default() }
    }

    /// Applies a report. Ignores those that are not about tests.
    pub(crate) fn apply(&mut self, connection: usize, report: &Report) -> Effects {
        match report {
            Report::TestBegan(began) => self.begin(connection, began),
            Report::StepBegan(began) => self.begin_step(connection, began),
            Report::StepEnded(ended) => self.end_step(connection, ended),
            Report::TestEnded(ended) => self.end(connection, ended),
            Report::FollowWorker(follow) => self.follow(connection, follow),
            _ => Effects::default(),
        }
    }

    /// Ends the tests of a runner that has gone.
    pub(crate) fn disconnected(&mut self, connection: usize, now: Nanos) -> Effects {
        self.hosts.remove(&connection);
        let mut effects = Effects::default();
        let attempts = self.runners.get(&connection).map(|runner| runner.attempts.keys().copied().collect::<Vec<_>>());
        for attempt in attempts.unwrap_or_default() {
            self.finish(connection, attempt, now, None, &mut effects);
        }
        self.runners.remove(&connection);
        effects
    }

    /// Ends all tests that still run, and returns their spans.
    pub(crate) fn interrupt(&mut self, now: Nanos) -> Vec<Span> {
        let runners: Vec<usize> = self.runners.keys().copied().collect();
        runners.into_iter().flat_map(|runner| self.disconnected(runner, now).spans).collect()
    }

    fn begin(&mut self, connection: usize, began: &TestBegan) -> Effects {
        let mut effects = Effects::default();
        let context = Issuer::start(self.policy.clone()).session();
        let start = nanos(began.time);
        let test = Test {
            name: name(&began.name),
            full_name: name(&began.full_name),
            suite: name(&began.suite),
            project: name(&began.project),
            place: began.place.place(),
            retry: began.retry,
            worker: began.worker,
            tags: began.tags.iter().take(MAX_ITEMS).map(|tag| name(tag)).collect(),
            ..Test::default()
        };
        let runner = self.runners.entry(connection).or_default();
        runner.pid = began.pid;
        runner.attempts.insert(began.attempt, Attempt { context, start, test, steps: BTreeMap::new() });
        if runner.attempts.len() > MAX_ATTEMPTS {
            runner.attempts.pop_first();
        }
        let (attempt, trace_id) = (began.attempt, context.trace_id);
        // Of another attempt there is no trace to look at.
        if context.flags.is_sampled() {
            let link = self.links.link(context, start);
            effects.notices.push((connection, Notice::Trace { attempt, trace_id, link }));
        }
        self.tell(connection, began.worker, &Notice::Test { test: Some(self.test_context(context)) }, &mut effects);
        effects
    }

    fn begin_step(&mut self, connection: usize, began: &StepBegan) -> Effects {
        let mut effects = Effects::default();
        let redaction = &self.policy.redaction;
        let Some(attempt) = attempt(&mut self.runners, connection, began.attempt) else { return effects };
        if attempt.steps.len() >= MAX_STEPS {
            attempt.test.dropped_steps += 1;
            return effects;
        }
        let detail = began.detail.as_deref().map(|detail| format!(" {}", redaction.text(detail))).unwrap_or_default();
        let step = AttemptStep {
            span_id: SpanId::random(&mut rand::rng()),
            parent: began.parent.and_then(|parent| Some(attempt.steps.get(&parent)?.span_id)),
            start: began.time,
            end: None,
            step: Step {
                name: name(&format!("{}{detail}", redaction.text(&began.title))),
                category: name(&began.category),
                url: began.url.as_deref().map(|url| text(&redaction.address(url))),
                place: began.place.place(),
                error: None,
            },
        };
        let notice = step.notice(attempt.context);
        attempt.steps.insert(began.step, step);
        let worker = attempt.test.worker;
        self.tell(connection, worker, &notice, &mut effects);
        effects
    }

    fn end_step(&mut self, connection: usize, ended: &StepEnded) -> Effects {
        let mut effects = Effects::default();
        let redaction = &self.policy.redaction;
        let Some(attempt) = attempt(&mut self.runners, connection, ended.attempt) else { return effects };
        let (context, worker) = (attempt.context, attempt.test.worker);
        let Some(step) = attempt.steps.get_mut(&ended.step) else { return effects };
        step.end = Some(ended.time);
        step.step.error = ended.error.as_ref().map(|error| error.error(|text| redaction.text(text)));
        let notice = step.notice(context);
        self.tell(connection, worker, &notice, &mut effects);
        effects
    }

    fn end(&mut self, connection: usize, ended: &TestEnded) -> Effects {
        let mut effects = Effects::default();
        self.finish(connection, ended.attempt, nanos(ended.time), Some(ended), &mut effects);
        effects
    }

    /// Makes the spans of a test. Without `ended` its end is not known.
    fn finish(
        &mut self,
        connection: usize,
        attempt: u64,
        end: Nanos,
        ended: Option<&TestEnded>,
        effects: &mut Effects,
    ) {
        let runner = self.runners.get_mut(&connection);
        let Some(Attempt { context, start, mut test, steps }) =
            runner.and_then(|runner| runner.attempts.remove(&attempt))
        else {
            return;
        };
        if let Some(ended) = ended {
            let errors = ended.errors.iter().take(MAX_ITEMS);
            test.errors = errors.map(|error| error.error(|text| self.policy.redaction.text(text))).collect();
            test.status = name(&ended.status);
            test.dropped_steps = test.dropped_steps.saturating_add(ended.dropped_steps);
            test.passed = (ended.status != "skipped" || !ended.passed).then_some(ended.passed);
        }
        // A step may end after the duration that the runner reports.
        let last = steps.values().filter_map(|step| step.end).map(nanos).max().unwrap_or(start);
        let end = end.max(start).max(last);
        let failed = ended.is_none_or(|ended| !ended.passed);
        let (name, project, retry) = (test.name.clone(), test.project.clone(), test.retry);
        self.ended.add(EndedTest { context, name, project, start, end, failed, retry });
        self.tell(connection, test.worker, &Notice::Test { test: None }, effects);
        if !context.flags.is_sampled() {
            return;
        }
        let span = |id, parent: Option<SpanId>, is_remote, (start, end), unfinished, operation| Span {
            trace_id: context.trace_id,
            id,
            parent,
            is_remote,
            flags: context.flags,
            tracestate: self.tracestate(context).into(),
            links: Vec::new(),
            start,
            end,
            unfinished,
            operation,
            description: None,
        };
        for AttemptStep { span_id, parent, start, end: ended, step } in steps.into_values() {
            let parent = parent.unwrap_or(context.span_id);
            let start = nanos(start);
            let period = (start, ended.map_or(end, nanos).max(start));
            let operation = Operation::Step(Box::new(step));
            effects.spans.push(span(span_id, Some(parent), false, period, ended.is_none(), operation));
        }
        let above = self.policy.parent.as_ref().map(|parent| parent.span_id);
        let operation = Operation::Test(Box::new(test));
        let root = span(context.span_id, above, above.is_some(), (start, end), ended.is_none(), operation);
        let linked = self.policy.linked.iter();
        let links = linked.map(|run| SpanLink { trace_id: run.trace_id, span_id: run.span_id }).collect();
        effects.spans.push(Span { links, ..root });
    }

    fn follow(&mut self, connection: usize, follow: &FollowWorker) -> Effects {
        self.hosts.insert(connection, follow.clone());
        let runner = self.runner_of(follow).and_then(|runner| self.runners.get(&runner));
        // A worker runs one test at a time.
        let attempts = runner.into_iter().flat_map(|runner| runner.attempts.values().rev());
        let current = attempts.into_iter().find(|attempt| attempt.test.worker == follow.worker);
        let test = current.map(|attempt| self.test_context(attempt.context));
        let mut notices = vec![(connection, Notice::Test { test })];
        if let Some(Attempt { context, steps, .. }) = current {
            let open = steps.values().filter(|step| step.end.is_none());
            notices.extend(open.map(|step| (connection, step.notice(*context))));
        }
        Effects { notices, ..Effects::default() }
    }

    /// Tells the hosts of a worker's browsers.
    fn tell(&self, runner: usize, worker: u32, notice: &Notice, effects: &mut Effects) {
        let hosts = self.hosts.iter().filter(|(_, follow)| follow.worker == worker);
        let hosts = hosts.filter(|(_, follow)| self.runner_of(follow) == Some(runner));
        effects.notices.extend(hosts.map(|(host, _)| (*host, notice.clone())));
    }

    /// Returns the runner above a host's browser, or the only runner if process ids tell nothing.
    fn runner_of(&self, follow: &FollowWorker) -> Option<usize> {
        let above = self.runners.iter().find(|(_, runner)| follow.ancestors.contains(&runner.pid));
        let only = || self.runners.iter().next().filter(|_| self.runners.len() == 1);
        above.or_else(only).map(|(connection, _)| *connection)
    }

    fn test_context(&self, context: SessionContext) -> TestContext {
        TestContext { context, tracestate: self.tracestate(context).to_owned() }
    }

    fn tracestate(&self, context: SessionContext) -> &str {
        let parent = self.policy.parent.as_ref().filter(|parent| parent.trace_id == context.trace_id);
        parent.map_or("", |parent| &parent.tracestate)
    }
}

fn attempt(runners: &mut BTreeMap<usize, Runner>, connection: usize, attempt: u64) -> Option<&mut Attempt> {
    runners.get_mut(&connection)?.attempts.get_mut(&attempt)
}

impl AttemptStep {
    fn notice(&self, context: SessionContext) -> Notice {
        let Self { span_id, start, end, .. } = *self;
        Notice::Step(TestStep { trace_id: context.trace_id, span_id, start, end })
    }
}

#[cfg(test)]
mod tests;
