use super::*;
use crate::context::sampler::Sampler;
use crate::context::traceparent::SpanContext;
use crate::observe::test_span::TestError;
use crate::view::link::LinkTemplate;

const REMOTE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Connections: two test runners and a host.
const RUNNER: usize = 0;
const OTHER_RUNNER: usize = 1;
const HOST: usize = 2;

fn attempts(policy: Policy) -> TestAttempts {
    TestAttempts::new(policy, TraceLinks::default())
}

/// Reads a report as it comes over the socket.
fn report(text: &str) -> Report {
    serde_json::from_str(text).unwrap()
}

fn began(attempt: u64, worker: u32) -> Report {
    report(&format!(
        r#"{{"report":"test-began","attempt":{attempt},"pid":100,"name":"cart › buys","case":"a.spec.js › cart › buys","suite":"cart",
            "project":"web","file":"/tests/a.spec.js","line":3,"retry":1,"worker":{worker},"tags":["@smoke"],"time":1000}}"#
    ))
}

fn step_began(attempt: u64, step: u64, parent: Option<u64>, time: u64) -> Report {
    let parent = parent.map_or("null".to_owned(), |parent| parent.to_string());
    report(&format!(
        r#"{{"report":"step-began","attempt":{attempt},"step":{step},"parent":{parent},"category":"pw:api","title":"Navigate",
            "url":"http://shop.test/?token=abc","file":"/tests/a.spec.js","line":5,"time":{time}}}"#
    ))
}

fn step_ended(attempt: u64, step: u64, time: u64) -> Report {
    report(&format!(r#"{{"report":"step-ended","attempt":{attempt},"step":{step},"time":{time}}}"#))
}

fn ended(attempt: u64, status: &str, passed: bool, time: u64) -> Report {
    let error = r#"{"kind":"TypeError","message":"no http://shop.test/?token=abc","stack":"at x"}"#;
    let errors = if passed { "" } else { error };
    report(&format!(
        r#"{{"report":"test-ended","attempt":{attempt},"status":"{status}","passed":{passed},"time":{time},"errors":[{errors}]}}"#
    ))
}

fn follows(worker: u32, ancestors: &[u32]) -> Report {
    Report::FollowWorker(FollowWorker::new(worker, ancestors.to_vec()))
}

/// Returns what a connection is told, in short.
fn told(effects: &Effects, connection: usize) -> Vec<String> {
    let own = effects.notices.iter().filter(|(to, _)| *to == connection);
    own.map(|(_, notice)| match notice {
        Notice::Trace { attempt, link, .. } => format!("trace of {attempt}, {link:?}"),
        Notice::Test { test } => if test.is_some() { "test" } else { "none" }.to_owned(),
        Notice::Step(step) => format!("step {} {:?}", step.start, step.end),
        Notice::Iteration(_) => "iteration".to_owned(),
    })
    .collect()
}

/// Shows each span by its name, its parent's, and its times in milliseconds.
fn tree(spans: &[Span]) -> Vec<String> {
    let name = |span: &Span| match &span.operation {
        Operation::Test(test) => test.name.to_string(),
        Operation::Step(step) => format!("{} {}", step.name, step.place.line.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let line = |span: &Span| {
        let parent = spans.iter().find(|other| Some(other.id) == span.parent).map_or("-".to_owned(), name);
        let unfinished = if span.unfinished { " unfinished" } else { "" };
        format!("{} < {parent} {}-{}{unfinished}", name(span), span.start / 1_000_000, span.end / 1_000_000)
    };
    spans.iter().map(line).collect()
}

#[test]
fn each_attempt_is_a_trace_of_its_test_and_steps() {
    let mut attempts = attempts(Policy::default());
    let began_at = attempts.apply(RUNNER, &began(1, 0));
    assert_eq!(told(&began_at, RUNNER), ["trace of 1, None"]);
    attempts.apply(RUNNER, &step_began(1, 1, None, 1010));
    attempts.apply(RUNNER, &step_began(1, 2, Some(1), 1020));
    attempts.apply(RUNNER, &step_ended(1, 2, 1030));
    attempts.apply(RUNNER, &step_began(1, 3, None, 1040));
    let spans = attempts.apply(RUNNER, &ended(1, "failed", false, 1100)).spans;
    assert_eq!(
        tree(&spans),
        [
            "Navigate 5 < cart › buys 1010-1100 unfinished",
            "Navigate 5 < Navigate 5 1020-1030",
            "Navigate 5 < cart › buys 1040-1100 unfinished",
            "cart › buys < - 1000-1100",
        ]
    );
    let Operation::Test(test) = &spans[3].operation else { panic!("{spans:?}") };
    let expected = Test {
        name: "cart › buys".into(),
        full_name: "a.spec.js › cart › buys".into(),
        suite: "cart".into(),
        project: "web".into(),
        place: test.place.clone(),
        retry: 1,
        worker: 0,
        tags: vec!["@smoke".into()],
        status: "failed".into(),
        passed: Some(false),
        errors: vec![TestError {
            kind: Some("TypeError".into()),
            message: "no http://shop.test/?token=REDACTED".into(),
            stack: Some("at x".into()),
        }],
        dropped_steps: 0,
    };
    assert_eq!(**test, expected);
    assert_eq!((test.place.file.as_deref(), test.place.line), (Some("/tests/a.spec.js"), Some(3)));
    let Operation::Step(step) = &spans[0].operation else { panic!("{spans:?}") };
    assert_eq!(step.url.as_deref(), Some("http://shop.test/?token=REDACTED"));

    attempts.apply(RUNNER, &began(2, 0));
    let second = attempts.apply(RUNNER, &ended(2, "passed", true, 1200)).spans;
    assert_eq!(tree(&second), ["cart › buys < - 1000-1200"]);
    assert_ne!(second[0].trace_id, spans[3].trace_id);
    let outcomes: Vec<_> = attempts.ended.listed().iter().map(|test| (&*test.name, test.failed)).collect();
    assert_eq!(outcomes, [("cart › buys", true), ("cart › buys", false)]);
}

#[test]
fn a_host_learns_of_the_tests_of_its_worker_alone() {
    let mut attempts = attempts(Policy::default());
    assert_eq!(told(&attempts.apply(HOST, &follows(7, &[50, 100])), HOST), ["none"]);
    assert_eq!(told(&attempts.apply(RUNNER, &began(1, 0)), HOST), [""; 0]);
    assert_eq!(told(&attempts.apply(RUNNER, &began(2, 7)), HOST), ["test"]);
    assert_eq!(told(&attempts.apply(RUNNER, &step_began(2, 1, None, 1010)), HOST), ["step 1010 None"]);
    assert_eq!(told(&attempts.apply(RUNNER, &step_began(1, 1, None, 1010)), HOST), [""; 0]);
    assert_eq!(told(&attempts.apply(RUNNER, &step_ended(2, 1, 1020)), HOST), ["step 1010 Some(1020.0)"]);
    attempts.apply(RUNNER, &step_began(2, 2, None, 1030));
    // A host that starts later, or again, learns what has begun.
    assert_eq!(told(&attempts.apply(HOST, &follows(7, &[50, 100])), HOST), ["test", "step 1030 None"]);
    assert_eq!(told(&attempts.apply(RUNNER, &ended(2, "passed", true, 1100)), HOST), ["none"]);
    attempts.disconnected(HOST, 0);
    assert_eq!(told(&attempts.apply(RUNNER, &began(3, 7)), HOST), [""; 0]);
}

#[test]
fn workers_of_two_runners_have_the_same_indexes() {
    let mut attempts = attempts(Policy::default());
    attempts.apply(HOST, &follows(0, &[50, 200]));
    // With one runner, process ids may be those of another container.
    assert_eq!(told(&attempts.apply(RUNNER, &began(1, 0)), HOST), ["test"]);
    let mut other = began(1, 0);
    if let Report::TestBegan(test) = &mut other {
        test.pid = 200;
    }
    assert_eq!(told(&attempts.apply(OTHER_RUNNER, &other), HOST), ["test"]);
    assert_eq!(told(&attempts.apply(RUNNER, &step_began(1, 1, None, 1010)), HOST), [""; 0]);
    assert_eq!(told(&attempts.apply(OTHER_RUNNER, &step_began(1, 1, None, 1010)), HOST), ["step 1010 None"]);
}

#[test]
fn tests_join_the_trace_of_the_run() {
    let parent = SpanContext {
        trace_id: REMOTE.parse().unwrap(),
        span_id: "00f067aa0ba902b7".parse().unwrap(),
        flags: "01".parse().unwrap(),
        tracestate: "a=1".to_owned(),
    };
    let mut attempts = attempts(Policy { parent: Some(parent.clone()), ..Policy::default() });
    for attempt in [1, 2] {
        attempts.apply(RUNNER, &began(attempt, 0));
        let spans = attempts.apply(RUNNER, &ended(attempt, "passed", true, 1100)).spans;
        assert_eq!((spans[0].trace_id, spans[0].parent), (parent.trace_id, Some(parent.span_id)));
        assert_eq!((spans[0].is_remote, &*spans[0].tracestate), (true, "a=1"));
    }
}

#[test]
fn a_test_that_is_not_sampled_has_no_spans() {
    let sampler = Sampler { ratio: 0.0, parent_based: true };
    let mut attempts = attempts(Policy { sampler, ..Policy::default() });
    attempts.apply(HOST, &follows(0, &[100]));
    let effects = attempts.apply(RUNNER, &began(1, 0));
    // The reporter would name a trace that is nowhere.
    assert_eq!((told(&effects, HOST), told(&effects, RUNNER)), (vec!["test".to_owned()], vec![]));
    assert_eq!(attempts.apply(RUNNER, &ended(1, "passed", true, 1100)).spans, []);
}

#[test]
fn what_is_reported_too_late_or_not_at_all_does_no_harm() {
    let mut attempts = attempts(Policy::default());
    for late in [step_began(1, 1, None, 1000), step_ended(1, 1, 1000), ended(1, "passed", true, 1000)] {
        assert_eq!(attempts.apply(RUNNER, &late), Effects::default());
    }
    attempts.apply(RUNNER, &began(1, 0));
    let spans = attempts.disconnected(RUNNER, 1_500 * 1_000_000).spans;
    assert_eq!(tree(&spans), ["cart › buys < - 1000-1500 unfinished"]);
    let Operation::Test(test) = &spans[0].operation else { panic!("{spans:?}") };
    assert_eq!((test.passed, attempts.ended.listed()[0].failed), (None, true));
    assert_eq!(attempts.disconnected(RUNNER, 0), Effects::default());

    attempts.apply(RUNNER, &began(1, 0));
    attempts.apply(OTHER_RUNNER, &began(1, 0));
    let spans = attempts.interrupt(1_500 * 1_000_000);
    assert_eq!(tree(&spans), ["cart › buys < - 1000-1500 unfinished"; 2]);
}

#[test]
fn a_skipped_test_has_neither_passed_nor_failed() {
    let mut attempts = attempts(Policy::default());
    attempts.apply(RUNNER, &began(1, 0));
    let spans = attempts.apply(RUNNER, &ended(1, "skipped", true, 1100)).spans;
    let Operation::Test(test) = &spans[0].operation else { panic!("{spans:?}") };
    assert_eq!((test.passed, &*test.status), (None, "skipped"));
    assert!(!attempts.ended.listed()[0].failed);
}

#[test]
fn steps_and_texts_are_limited() {
    let mut attempts = attempts(Policy::default());
    let mut long = began(1, 0);
    if let Report::TestBegan(test) = &mut long {
        test.name = "x".repeat(10_000);
        test.tags = vec!["y".repeat(10_000); 100];
    }
    attempts.apply(RUNNER, &long);
    for step in 0..MAX_STEPS as u64 + 3 {
        attempts.apply(RUNNER, &step_began(1, step, None, 1010));
    }
    let mut end = ended(1, "passed", true, 1100);
    if let Report::TestEnded(test) = &mut end {
        test.dropped_steps = 4;
    }
    let spans = attempts.apply(RUNNER, &end).spans;
    assert_eq!(spans.len(), MAX_STEPS + 1);
    let Operation::Test(test) = &spans[MAX_STEPS].operation else { panic!("{spans:?}") };
    assert_eq!((test.name.chars().count(), test.tags.len(), test.dropped_steps), (501, MAX_ITEMS, 7));
    for attempt in 0..MAX_ATTEMPTS as u64 + 10 {
        attempts.apply(RUNNER, &began(attempt, 0));
    }
    assert_eq!(attempts.runners[&RUNNER].attempts.len(), MAX_ATTEMPTS);
}

#[test]
fn a_report_gets_the_configured_link_or_the_runs_page() {
    let template = LinkTemplate::parse("http://jaeger.test/trace/{trace_id}?from={start_s}&to={end_s}").ok();
    let page = Some("file:///tmp/run.html".to_owned());
    let link = |template: Option<LinkTemplate>| {
        let mut attempts = TestAttempts::new(Policy::default(), TraceLinks { template, page: page.clone() });
        let effects = attempts.apply(RUNNER, &began(1, 0));
        match effects.notices.as_slice() {
            [(RUNNER, Notice::Trace { trace_id, link: Some(link), .. })] => link.replace(&trace_id.to_string(), "ID"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(link(None), "file:///tmp/run.html#ID");
    assert_eq!(link(template), "http://jaeger.test/trace/ID?from=1&to=3601");
}
