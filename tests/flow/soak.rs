//! Many iterations: no k6 error, no request without a header, nothing left behind.

use crate::k6::{Bench, turn};

#[test]
fn a_hundred_iterations_in_a_row() {
    let _turn = turn();
    let bench = Bench::new();
    let run = bench.traced("pages.js", &[("ITERATIONS", "100"), ("SUBS", "8")]);
    println!("{} requests in 100 iterations", run.requests.len());
    assert!(run.requests.len() >= 1000);
    assert_eq!(run.trace_ids().len(), 100);
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
    assert_eq!(run.summary().len(), traces, "{}", run.log);
    bench.assert_nothing_left();
}
