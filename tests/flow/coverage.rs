//! Tests that every kind of request carries a valid header, and that nothing else on the page changes.

use axum::http::Version;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others, traceparent};
use crate::support::site::{ACCEPTING, Recorded, coverage_kinds, coverage_table};

/// The loads of three iterations.
const ITERATIONS: [&str; 3] = ["1-0", "1-1", "1-2"];

#[test]
fn every_kind_of_request_has_its_own_span_id() {
    let _guard = beside_others();
    assert_own_spans(&covered("detailed").requests);
}

#[test]
fn every_kind_of_request_has_a_header_in_lightweight_mode() {
    let _guard = beside_others();
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

    assert_every_kind(&traced, &ITERATIONS);
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
    test.assert_nothing_left();
    traced
}

/// Asserts that every kind of request came with every load, and that nothing failed.
fn assert_every_kind(run: &Run, loads: &[&str]) {
    let seen = run.counts();
    for load in loads {
        for kind in coverage_kinds() {
            let count = seen.get(&(load, kind.name)).copied().unwrap_or_default();
            assert!(count >= kind.at_least, "{} came {count} times in iteration {load}", kind.name);
        }
    }
    run.assert_whole(loads);
}

#[test]
fn every_kind_of_request_has_a_header_over_http2() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::over_http2();
        let mut command = test.traced_command("coverage.js", &[]);
        command.env("NAVTRACE_MODE", mode).env("K6_BROWSER_ARGS", ACCEPTING);
        let traced = test.run(command);
        println!("{mode} mode\n{}", coverage_table(&traced.requests));
        assert_every_kind(&traced, &ITERATIONS[..1]);
        // A WebSocket needs a connection of its own.
        let is_multiplexed = |request: &&Recorded| request.version == Version::HTTP_2 && request.label() != "websocket";
        assert_eq!(traced.requests.iter().filter(is_multiplexed).count() + 1, traced.requests.len());
        assert!(traced.counts().contains_key(&(ITERATIONS[0], "fetch-stream")), "uploads are streamed");
        assert_eq!(traced.trace_ids().len(), 1);
        if mode == "detailed" {
            assert_own_spans(&traced.requests);
        }
    }
}

#[test]
fn unsampled_requests_have_a_header() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.traced_command("coverage.js", &[]);
    command.env("OTEL_TRACES_SAMPLER", "always_off");
    let traced = test.run(command);
    assert_eq!(traced.trace_ids().len(), 1);
    assert!(traced.requests.len() > 50);
    assert!(traced.requests.iter().all(|request| traceparent(request).flags == 0));
}

#[test]
fn pages_of_an_iteration_share_its_trace_and_contexts_in_scope_session() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    for (script, scope, traces) in
        [("two-pages.js", "context", 2), ("two-contexts.js", "session", 2), ("two-contexts.js", "context", 4)]
    {
        let mut command = test.traced_command(script, &[("ITERATIONS", "2")]);
        let traced = test.run({
            command.env("NAVTRACE_SCOPE", scope);
            command
        });
        assert!(traced.requests.len() > 20, "{script}");
        assert_eq!(traced.trace_ids().len(), traces, "{script} {scope}");
        // With several contexts the session has a trace besides.
        assert!(traced.summary().is_superset(&traced.trace_ids()), "{script} {scope}: {}", traced.log);
        // Until the host has seen to a window that opened beside another one, rules put headers on its requests (`overlap`), and k6 opens one for
        // each page.
        if script == "two-pages.js" {
            let is_of_first_page = |request: &&Recorded| request.nav.as_deref().is_some_and(|nav| nav.contains("-a"));
            let requests: Vec<_> = traced.requests.iter().filter(is_of_first_page).cloned().collect();
            assert!(requests.len() > 20, "{script}");
            assert_own_spans(&requests);
        }
        test.assert_nothing_left();
    }
}
