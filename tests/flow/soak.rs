//! Tests many iterations: no error of k6, no request without a header, nothing left behind.

use crate::browser_test::{BrowserTest, assert_own_spans, beside_others};

/// What k6 logs when it has missed the event by which it learns that a page is there. It waits for that only once, and its iteration ends
/// before anything was requested.
const MISSED_PAGE: &str = "creating new page in browser context: timed out after 30s";

#[test]
fn three_hundred_iterations_in_a_row() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let command = test.traced_command("pages.js", &[("ITERATIONS", "300"), ("SUBS", "8")]);
    let run = test.ended(&test.output(command));
    let errors = run.errors();
    println!("{} requests in 300 iterations; {errors:?}", run.requests.len());
    assert!(errors.iter().all(|error| error.contains(MISSED_PAGE)), "{errors:?}");
    assert!(errors.len() <= 1, "{errors:?}");
    assert!(run.requests.len() >= 10 * (300 - errors.len()));
    assert_eq!(run.trace_ids().len(), 300 - errors.len());
    assert_own_spans(&run.requests);
    assert_eq!(run.summary().len(), 300);
    assert!(run.summary().is_superset(&run.trace_ids()));
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
