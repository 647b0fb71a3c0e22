//! Tests that every kind of request carries a valid header, and that nothing else on the page changes.

use crate::browser_test::{BrowserTest, Run, assert_own_spans, exclusive, traceparent};
use crate::support::site::{coverage_kinds, coverage_table};

/// The loads of three iterations.
const ITERATIONS: [&str; 3] = ["1-0", "1-1", "1-2"];

#[test]
fn every_kind_of_request_has_its_own_span_id() {
    let _guard = exclusive();
    assert_own_spans(&covered("detailed").requests);
}

#[test]
fn every_kind_of_request_has_a_header_in_lightweight_mode() {
    let _guard = exclusive();
    covered("lightweight");
}

/// Loads the coverage page with and without navtrace, and compares.
pub(crate) fn covered(mode: &str) -> Run {
    let test = BrowserTest::new();
    let plain = test.plain("coverage.js", &[]);
    let traced = test.traced_in(mode, "coverage.js", &[("ITERATIONS", "3")]);
    println!("{mode} mode\n{}", coverage_table(&traced.requests));
    let mark = format!("  {mode} mode");
    assert_eq!(traced.log.lines().filter(|line| line.contains(&mark)).count(), 3, "{}", traced.log);

    let seen = traced.counts();
    for run in ITERATIONS {
        for kind in coverage_kinds() {
            let count = seen.get(&(run, kind.name)).copied().unwrap_or_default();
            assert!(count >= kind.at_least, "{} came {count} times in iteration {run}", kind.name);
        }
    }
    let trace_ids = traced.trace_ids();
    assert_eq!(trace_ids.len(), 3, "one trace per iteration");
    assert_eq!(traced.summary(), trace_ids, "{}", traced.log);
    for run in ITERATIONS {
        let of_run = traced.requests.iter().filter(|request| request.run.as_deref() == Some(run));
        let ids: std::collections::BTreeSet<_> = of_run.map(|request| traceparent(request).trace_id).collect();
        assert_eq!(ids.len(), 1, "iteration {run}");
    }
    assert!(traced.requests.iter().all(|request| traceparent(request).sampled()));
    assert_eq!(traced.preflights(), 3 * plain.preflights(), "as many preflights as without navtrace");
    plain.assert_whole(&ITERATIONS[..1]);
    traced.assert_whole(&ITERATIONS);
    test.assert_nothing_left();
    traced
}

#[test]
fn unsampled_requests_have_a_header() {
    let _guard = exclusive();
    let test = BrowserTest::new();
    let mut command = test.traced_command("coverage.js", &[]);
    command.env("OTEL_TRACES_SAMPLER", "always_off");
    let traced = test.run(command);
    assert_eq!(traced.trace_ids().len(), 1);
    assert!(traced.requests.len() > 50);
    assert!(traced.requests.iter().all(|request| traceparent(request).flags == 0));
}

#[test]
fn pages_and_contexts_of_an_iteration_share_its_trace() {
    let _guard = exclusive();
    let test = BrowserTest::new();
    for script in ["two-pages.js", "two-contexts.js"] {
        let traced = test.traced(script, &[("ITERATIONS", "2")]);
        assert!(traced.requests.len() > 20, "{script}");
        assert_eq!(traced.trace_ids().len(), 2, "{script}");
        assert_eq!(traced.summary(), traced.trace_ids(), "{script}");
        assert_own_spans(&traced.requests);
        test.assert_nothing_left();
    }
}
