//! Many iterations: no k6 error, no request without a header, nothing left behind.

use crate::bench::{Bench, assert_own_spans, turn};

#[test]
fn three_hundred_iterations_in_a_row() {
    let _turn = turn();
    let bench = Bench::new();
    let run = bench.traced("pages.js", &[("ITERATIONS", "300"), ("SUBS", "8")]);
    println!("{} requests in 300 iterations", run.requests.len());
    assert!(run.requests.len() >= 3000);
    assert_eq!(run.trace_ids().len(), 300);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary(), run.trace_ids());
    bench.assert_nothing_left();
}

#[test]
fn four_users_at_once_for_a_minute() {
    let _turn = turn();
    let bench = Bench::new();
    let run = bench.traced("pages.js", &[("VUS", "4"), ("DURATION", "60s"), ("SUBS", "8")]);
    let traces = run.trace_ids().len();
    println!("{} requests in {traces} iterations", run.requests.len());
    assert!(traces >= 4);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary().len(), traces, "{}", run.log);
    bench.assert_nothing_left();
}
