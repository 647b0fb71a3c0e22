//! Tests many iterations: no error of k6, no request without a header, nothing left behind.

use crate::browser_test::{BrowserTest, assert_own_spans, beside_others};

#[test]
fn three_hundred_iterations_in_a_row() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = test.traced("pages.js", &[("ITERATIONS", "300"), ("SUBS", "8")]);
    println!("{} requests in 300 iterations", run.requests.len());
    assert!(run.requests.len() >= 3000);
    assert_eq!(run.trace_ids().len(), 300);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary(), run.trace_ids());
    test.assert_nothing_left();
}

#[test]
fn four_users_at_once_for_a_minute() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = test.traced("pages.js", &[("VUS", "4"), ("DURATION", "60s"), ("SUBS", "8")]);
    let traces = run.trace_ids().len();
    println!("{} requests in {traces} iterations", run.requests.len());
    assert!(traces >= 4);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary().len(), traces, "{}", run.log);
    test.assert_nothing_left();
}
