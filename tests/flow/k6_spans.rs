//! Tests that spans of k6 itself are in the traces of the browsers that its iterations drive, with a script that does nothing for it.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser_test::{BrowserTest, Run, exclusive, traceparent};
use crate::spans::{NAVIGATION, SESSION, Trace};
use crate::support::collector::{Collector, attribute, hex};

/// Iterations of the script, three at a time.
const ITERATIONS: usize = 6;

const OPTIONS: [(&str, &str); 2] = [("VUS", "3"), ("ITERATIONS", "6")];

/// Sentence about spans that are sent elsewhere.
const ELSEWHERE: &str = "k6's own spans go where K6_TRACES_OUTPUT says, so they are not put into the browsers' traces";

/// Returns the trace id of each iteration. All of its requests must carry it.
fn traces(run: &Run) -> BTreeMap<&str, String> {
    let mut traces = BTreeMap::new();
    for request in &run.requests {
        let Some(name) = request.run.as_deref() else { continue };
        let trace_id = traceparent(request).trace_id;
        assert_eq!(traces.entry(name).or_insert_with(|| trace_id.clone()), &trace_id, "{name}");
    }
    assert_eq!(traces.len(), ITERATIONS, "{}", run.log);
    assert_eq!(traces.values().collect::<BTreeSet<_>>().len(), ITERATIONS, "no two iterations share a trace");
    traces
}

/// Returns the parent of the navigation that the script calls `nav`.
fn cause<'a>(spans: &'a [Span], trace_id: &str, nav: &str) -> &'a Span {
    let mut of_trace = spans.iter().filter(|span| hex(&span.trace_id) == trace_id);
    let is_it = |span: &&Span| span.name == NAVIGATION && attribute(span, "url.full").contains(&format!("&nav={nav}&"));
    let navigation = of_trace.clone().find(is_it).unwrap_or_else(|| panic!("{nav} of {trace_id}"));
    of_trace.find(|span| span.span_id == navigation.parent_span_id).unwrap()
}

/// Checks that every iteration is one whole trace that names it.
fn check(mode: &str) {
    let test = BrowserTest::new();
    let mut command = test.collecting("k6");
    command.env("NAVTRACE_MODE", mode);
    test.script(&mut command, "actions.js", &OPTIONS);
    let run = test.run(command);
    let spans = test.collected();
    let traces = traces(&run);
    let exported: BTreeSet<_> = spans.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(exported, traces.values().cloned().collect(), "{mode}: no trace of k6's own is left");
    for (name, trace_id) in traces {
        let _whole = Trace::of(&trace_id, &spans);
        let (vu, iteration) = name.split_once('-').unwrap();
        let of_trace = || spans.iter().filter(|span| hex(&span.trace_id) == trace_id);
        let root = of_trace().find(|span| span.name == SESSION).unwrap();
        let of = |key| attribute(root, key);
        assert_eq!(
            [of("test.scenario"), of("test.vu"), of("test.iteration.number")],
            ["browser".to_owned(), vu.to_owned(), iteration.to_owned()],
            "{mode}: {}",
            run.log
        );
        let goto = cause(&spans, &trace_id, "goto");
        assert_eq!(goto.name, "page.goto", "{mode}: {name}");
        assert!(attribute(goto, "page.goto.url").contains(&format!("run={name}&")), "{mode}: {goto:?}");
        assert_eq!(cause(&spans, &trace_id, "click").name, "locator.click", "{mode}: {name}");
        let named = |name: &str| of_trace().filter(|span| span.name == name).count();
        assert_eq!([named(NAVIGATION), named("web_vital"), named("iteration")], [2, 0, 0], "{mode}: {name}");
        let line = run.log.lines().find(|line| line.contains(&trace_id)).unwrap();
        assert!(line.contains(&format!("  browser, VU {vu}, iteration {iteration}  ")), "{mode}: {line}");
        assert!(!line.contains("served by"), "{mode}: {line}");
    }
    assert!(!run.log.contains(" of k6 "), "{mode}: {}", run.log);
    test.assert_nothing_left();
}

#[test]
fn iterations_name_their_traces_and_actions_cause_navigations() {
    let _guard = exclusive();
    for mode in ["detailed", "lightweight"] {
        check(mode);
    }
}

#[test]
fn spans_that_the_user_sends_elsewhere_stay_apart() {
    let _guard = exclusive();
    let (test, elsewhere) = (BrowserTest::new(), Collector::start());
    let mut command = test.collecting("k6");
    command.env("K6_TRACES_OUTPUT", format!("otel={}/v1/traces,proto=http", elsewhere.endpoint()));
    test.script(&mut command, "actions.js", &OPTIONS);
    let run = test.run(command);
    assert_eq!(run.log.matches(ELSEWHERE).count(), 1, "{}", run.log);
    let spans = test.collected();
    for trace_id in traces(&run).into_values() {
        let _whole = Trace::of(&trace_id, &spans);
        assert_eq!(cause(&spans, &trace_id, "goto").name, SESSION);
    }
    let iterations = elsewhere.spans().iter().filter(|span| span.name == "iteration").count();
    assert_eq!(iterations, ITERATIONS);
    test.assert_nothing_left();
}
