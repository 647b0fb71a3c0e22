//! Tests that spans of k6 itself are in the traces of the browsers that its iterations drive, with a script that does nothing for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::{Pid, Signal, kill_process};

use crate::browser_test::{BrowserTest, Run, beside_others, traceparent};
use crate::navtrace::Environment;
use crate::spans::{NAVIGATION, SESSION, Trace, assert_no_journal};
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
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        check(mode);
    }
}

#[test]
fn iterations_that_are_sampled_have_their_actions_and_others_have_no_span() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting("k6");
    command.env("OTEL_TRACES_SAMPLER", "traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0.5");
    test.script(&mut command, "actions.js", &OPTIONS);
    let run = test.run(command);
    let spans = test.collected();
    let is_sampled = |trace: &str| {
        let flags = run.requests.iter().map(traceparent).find(|context| context.trace_id == trace).unwrap().flags;
        flags & 1 == 1
    };
    let sampled: BTreeSet<_> = traces(&run).into_values().filter(|trace| is_sampled(trace)).collect();
    let exported: BTreeSet<_> = spans.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(exported, sampled, "{}", run.log);
    for trace_id in sampled {
        let _whole = Trace::of(&trace_id, &spans);
        assert_eq!(cause(&spans, &trace_id, "goto").name, "page.goto", "{}", run.log);
    }
    test.assert_nothing_left();
}

#[test]
fn spans_that_the_user_sends_elsewhere_stay_apart() {
    let _guard = beside_others();
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

#[test]
fn an_iteration_that_k6_interrupts_ends_with_its_trace_whole() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting("k6");
    test.script(&mut command, "interrupted.js", &[("VUS", "2")]);
    let run = test.run(command);
    let (spans, traces) = (test.collected(), run.trace_ids());
    assert_eq!(traces.len(), 2, "{}", run.log);
    for trace_id in traces {
        let whole = Trace::of(&trace_id, &spans);
        let named = |name: &str| whole.spans().filter(|span| span.name == name).count();
        assert_eq!([named(NAVIGATION), named("page.goto")], [1, 1], "{}", run.log);
        let root = whole.spans().find(|span| span.name == SESSION).unwrap();
        assert_eq!(attribute(root, "test.iteration.number"), "", "k6 tells of no iteration that it interrupts");
    }
    assert!(!run.log.contains("not ended"), "{}", run.log);
    assert_no_journal(&test);
    test.assert_nothing_left();
}

/// Returns a host whose browser has ended.
fn host_without_browser(test: &BrowserTest) -> Option<Pid> {
    let is_named =
        |id: &str, name: &str| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|comm| comm.trim() == name);
    let is_host = |id: &str| {
        fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains("chrome-extension://"))
    };
    test.environment.processes().iter().find_map(|process| {
        let (id, name) = process.split_once(' ').unwrap();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned();
        let is_left = name == "navtrace" && is_host(id) && !is_named(&parent, "chromium");
        Pid::from_raw(id.parse().ok().filter(|_| is_left)?)
    })
}

#[test]
fn a_host_that_is_killed_while_it_waits_for_k6_loses_nothing() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let variables = Environment::exporting(&collector.endpoint());
    // k6 sends its spans at its end only.
    let slowly = ("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut command = test.environment.navtrace(["run", "--", "k6"]);
    command.envs(variables.clone()).env(slowly.0, slowly.1);
    test.script(&mut command, "actions.js", &[("ITERATIONS", "2")]);
    let run = std::thread::scope(|scope| {
        let running = scope.spawn(|| test.run(command));
        while !running.is_finished() {
            if let Some(host) = host_without_browser(&test) {
                kill_process(host, Signal::KILL).unwrap();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        running.join().unwrap()
    });
    let flushed = test.environment.navtrace(["flush"]).envs(variables).output().unwrap();
    assert!(flushed.status.success(), "{flushed:?}");
    assert_no_journal(&test);
    let spans = collector.spans();
    let traces = run.trace_ids();
    assert_eq!(traces.len(), 2, "{}", run.log);
    for trace_id in traces {
        let whole = Trace::of(&trace_id, &spans);
        let named = |name: &str| whole.spans().filter(|span| span.name == name).count();
        assert_eq!([named(NAVIGATION), named("page.goto"), named("locator.click")], [2, 1, 1], "{}", run.log);
    }
}
