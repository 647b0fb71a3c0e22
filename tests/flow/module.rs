//! Tests `examples/k6/navtrace.js`, with which a k6 script chooses what each page carries.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde::Deserialize;

use crate::browser_test::{BrowserTest, Run, beside_others, logged, traceparent};
use crate::support::collector::{attribute, hex};
use crate::support::site::Recorded;

/// What `module.js` logs of an iteration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iteration {
    run: String,
    scenario: String,
    vu: u32,
    #[serde(rename = "iteration")]
    number: u32,
    /// The trace id that k6's samples carry.
    metadata: String,
    /// The same once one of two pages is not traced any more, and once none is.
    kept: String,
    left: Option<String>,
    routed: Routed,
    trace: String,
    root: String,
    updated: String,
    own: BTreeMap<String, String>,
    own_spans: [String; 2],
}

/// How requests ended that the script's own routes answered, stopped and let go on.
#[derive(Debug, PartialEq, Deserialize)]
struct Routed {
    fulfill: String,
    abort: String,
    #[serde(rename = "continue")]
    goes_on: bool,
}

impl Iteration {
    /// Returns the requests of a navigation of this iteration.
    fn requests<'a>(&self, run: &'a Run, nav: &str) -> Vec<&'a Recorded> {
        let is_of =
            |request: &&Recorded| request.run.as_ref() == Some(&self.run) && request.nav.as_deref() == Some(nav);
        run.requests.iter().filter(is_of).collect()
    }
}

/// Returns the different trace ids and span ids of requests, each of which has one context.
fn ids(requests: &[&Recorded]) -> (BTreeSet<String>, BTreeSet<String>) {
    requests.iter().map(|request| traceparent(request)).map(|context| (context.trace_id, context.span_id)).unzip()
}

/// Checks that requests of a page whose tracing has ended carry nothing.
fn check_off(requests: &[&Recorded]) {
    assert!(requests.len() > 4 && requests.iter().all(|request| request.traceparent.is_empty()), "{requests:?}");
}

fn checks_words(log: &str) {
    let refused: Vec<String> = logged(log, "REFUSED ");
    let of_page = "expected propagator, sampling, mode, headers, navtrace";
    let expected = [
        "propagator is b4: expected w3c or jaeger",
        "sampling is 2: expected a number from 0 to 1",
        "sampling is 1: expected a number from 0 to 1",
        "there is no option samplng: expected propagator, sampling",
        "there is no option mode: expected propagator, sampling",
        "the options are w3c: expected an object",
        &format!("there is no option mod: {of_page}"),
        &format!("there is no option header: {of_page}"),
        // No options are all defaults.
        "",
    ];
    assert_eq!(refused, expected, "{log}");
}

#[test]
fn a_script_chooses_what_each_page_carries() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting("k6");
    command.env("NAVTRACE_MODE", "detailed");
    test.script(&mut command, "module.js", &[("VUS", "2"), ("SETTLE", "1")]);
    let run = test.run(command);
    checks_words(&run.log);
    let iterations: Vec<Iteration> = logged(&run.log, "MODULE ");
    assert_eq!(iterations.len(), 2, "{}", run.log);
    let spans = test.collected();
    let mut traces = BTreeSet::new();
    for iteration in &iterations {
        let Iteration { trace, root, updated, own, own_spans, .. } = iteration;
        assert!([trace, updated].iter().all(|id| id.starts_with("dc0742") && id.len() == 32), "{trace} {updated}");
        assert!(traces.insert(trace) && traces.insert(updated));
        assert_eq!((&iteration.metadata, &iteration.kept, &iteration.left), (trace, trace, &None));
        let expected = Routed { fulfill: "of the script".to_owned(), abort: "stopped".to_owned(), goes_on: true };
        assert_eq!(iteration.routed, expected);

        let light = iteration.requests(&run, "light");
        let (light_traces, light_spans) = ids(&light);
        assert!(light.len() > 4 && light_spans.len() == 1, "lightweight: {light_spans:?}");
        let detailed = iteration.requests(&run, "detailed");
        let (detailed_traces, detailed_spans) = ids(&detailed);
        assert!(detailed.len() > 4 && detailed_spans.len() == detailed.len(), "detailed: {detailed_spans:?}");
        assert!(detailed.iter().all(|request| request.header("x-own") == Some("1")), "the script's own headers stay");
        let routed = iteration.requests(&run, "routed");
        assert_eq!(routed.len(), 1, "two of three never leave: {routed:?}");
        for (what, of) in [(light_traces, "light"), (detailed_traces, "detailed"), (ids(&routed).0, "routed")] {
            assert_eq!(what, BTreeSet::from([trace.clone()]), "{of}");
        }
        assert_eq!(ids(&iteration.requests(&run, "updated")).0, BTreeSet::from([updated.clone()]));
        let protocol = iteration.requests(&run, "http");
        assert_eq!(ids(&protocol), (BTreeSet::from([trace.clone()]), BTreeSet::from([root.clone()])));

        let unsampled = iteration.requests(&run, "unsampled");
        assert!(unsampled.len() > 4, "{unsampled:?}");
        for request in unsampled {
            let value = request.header("uber-trace-id").unwrap_or_default();
            assert!(value.starts_with(&format!("{trace}:")) && value.ends_with(":0"), "{value}");
            assert!(request.traceparent.is_empty());
        }
        check_off(&iteration.requests(&run, "off"));
        let second = iteration.requests(&run, "second");
        let is_steered =
            |request: &&Recorded| request.traceparent.is_empty() && request.header("uber-trace-id").is_some();
        assert!(second.len() > 4 && second.iter().all(is_steered), "a context after the first one: {second:?}");
        let own = &own["uber-trace-id"];
        assert!(own.starts_with("dc0742") && own.ends_with(":0:0") && own.split(':').count() == 4, "{own}");
        assert!(own_spans[0] != own_spans[1] && own_spans.iter().all(|id| id.len() == 16));
        check_roots(iteration, &spans);
    }
    test.assert_nothing_left();
}

/// Checks that both traces of an iteration have one root, which names it, and that all else is below.
fn check_roots(iteration: &Iteration, spans: &[Span]) {
    for id in [&iteration.trace, &iteration.updated] {
        let trace: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == *id).collect();
        let known: BTreeSet<_> = trace.iter().map(|span| &span.span_id).collect();
        let (roots, others): (Vec<&Span>, Vec<&Span>) = trace.iter().partition(|span| span.parent_span_id.is_empty());
        let [root] = roots.as_slice() else { panic!("{roots:?}") };
        assert_eq!(root.name, "iteration");
        let of = |key| attribute(root, key);
        assert_eq!(
            [of("test.scenario"), of("test.vu"), of("test.iteration.number")],
            [iteration.scenario.clone(), iteration.vu.to_string(), iteration.number.to_string()]
        );
        assert!(others.len() > 4 && others.iter().all(|span| known.contains(&span.parent_span_id)), "{others:?}");
    }
}

#[test]
fn without_navtrace_a_script_says_so_and_sends_one_header() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = test.plain("module.js", &[]);
    checks_words(&run.log);
    assert_eq!(run.log.matches("the browser is not navtrace").count(), 1, "{}", run.log);
    let iteration: Iteration = logged(&run.log, "MODULE ").remove(0);
    let fixed = (BTreeSet::from([iteration.trace.clone()]), BTreeSet::from([iteration.root.clone()]));
    for nav in ["light", "detailed", "http"] {
        let sent: Vec<_> = iteration.requests(&run, nav).into_iter().filter(|it| !it.traceparent.is_empty()).collect();
        assert!(!sent.is_empty());
        assert_eq!(ids(&sent), fixed, "{nav}");
    }
    assert_eq!(ids(&iteration.requests(&run, "updated")).0, BTreeSet::from([iteration.updated.clone()]));
    check_off(&iteration.requests(&run, "off"));
    assert!(run.requests.iter().all(|request| request.header("sec-ch-navtrace").is_none()));
}

#[test]
fn in_static_mode_a_script_changes_nothing_on_its_pages() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--mode", "static", "--", "k6"]);
    test.script(&mut command, "module.js", &[]);
    let run = test.run(command);
    let iteration: Iteration = logged(&run.log, "MODULE ").remove(0);
    let pages = ["light", "detailed", "routed", "updated", "unsampled", "off"];
    let sessions: BTreeSet<_> = pages.map(|nav| ids(&iteration.requests(&run, nav))).into();
    assert_eq!(sessions, BTreeSet::from([(run.summary(), sessions.first().unwrap().1.clone())]), "{}", run.log);
    assert!(sessions.first().unwrap().1.len() == 1 && !run.summary().contains(&iteration.trace));
    assert_eq!(ids(&iteration.requests(&run, "http")), ([iteration.trace].into(), [iteration.root].into()));
    assert!(run.requests.iter().all(|request| request.header("sec-ch-navtrace").is_none()));
}
