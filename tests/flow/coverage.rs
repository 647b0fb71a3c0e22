//! Every kind of request that a page can make carries a valid header, and nothing else about the page changes.

use crate::bench::{Bench, Run, assert_own_spans, traceparent, turn};
use crate::support::site::{coverage_kinds, coverage_table};

/// The loads of three iterations.
const ITERATIONS: [&str; 3] = ["1-0", "1-1", "1-2"];

#[test]
fn every_kind_of_request_carries_a_header_and_a_span_of_its_own() {
    let _turn = turn();
    assert_own_spans(&covered("detailed").requests);
}

#[test]
fn every_kind_of_request_carries_a_header_in_lightweight_mode() {
    let _turn = turn();
    covered("lightweight");
}

/// Loads the page with every kind of request with and without navtrace, and compares.
fn covered(mode: &str) -> Run {
    let bench = Bench::new();
    let plain = bench.plain("coverage.js", &[]);
    let traced = bench.traced_in(mode, "coverage.js", &[("ITERATIONS", "3")]);
    println!("{mode} mode\n{}", coverage_table(&traced.requests));
    let words = format!("  {mode} mode  ");
    assert_eq!(traced.log.lines().filter(|line| line.contains(&words)).count(), 3, "{}", traced.log);

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
    bench.assert_nothing_left();
    traced
}

#[test]
fn what_is_not_sampled_carries_a_header_too() {
    let _turn = turn();
    let bench = Bench::new();
    let mut command = bench.traced_command("coverage.js", &[]);
    command.env("OTEL_TRACES_SAMPLER", "always_off");
    let traced = bench.run(command);
    assert_eq!(traced.trace_ids().len(), 1);
    assert!(traced.requests.len() > 50);
    assert!(traced.requests.iter().all(|request| traceparent(request).flags == 0));
}

#[test]
fn two_pages_at_once_and_two_contexts_one_after_the_other_share_the_iterations_trace() {
    let _turn = turn();
    let bench = Bench::new();
    for script in ["two-pages.js", "two-contexts.js"] {
        let traced = bench.traced(script, &[("ITERATIONS", "2")]);
        assert!(traced.requests.len() > 20, "{script}");
        assert_eq!(traced.trace_ids().len(), 2, "{script}");
        assert_eq!(traced.summary(), traced.trace_ids(), "{script}");
        assert_own_spans(&traced.requests);
        bench.assert_nothing_left();
    }
}
