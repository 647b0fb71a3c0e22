//! Tests many iterations: no error but k6's own, no request without a header, nothing left behind.

use crate::browser_test::{BrowserTest, MISSED_PAGE, Run, alone, assert_own_spans, beside_others};

/// What k6 logs on a busy machine, with and without navtrace: that it has missed the event by which it learns of a page, for which it waits only
/// once, and that it has ended a browser while it was still starting, since its time was up.
const OF_K6: [&str; 2] = [MISSED_PAGE, "unexpectedly ended: context canceled"];

/// Runs iterations, and checks them but for those that k6 has lost before they requested anything. Returns their number as well.
fn soak(variables: &[(&str, &str)], most_lost: usize) -> (Run, usize) {
    let test = BrowserTest::new();
    let run = test.ended(&test.output(&mut test.traced_command("pages.js", variables)));
    let errors = run.errors();
    let (traces, lost) = (run.trace_ids(), errors.len());
    println!("{} requests in {} iterations; {errors:?}", run.requests.len(), traces.len());
    assert!(errors.iter().all(|error| OF_K6.iter().any(|known| error.contains(known))), "{errors:?}");
    assert!(lost <= most_lost, "{errors:?}");
    assert_own_spans(&run.requests);
    let summary = run.summary();
    assert!(summary.is_superset(&traces) && summary.len() <= traces.len() + lost, "{}", run.log);
    test.assert_nothing_left();
    (run, lost)
}

#[test]
fn three_hundred_iterations_in_a_row() {
    let _guard = beside_others();
    let (run, lost) = soak(&[("ITERATIONS", "300"), ("SUBS", "8")], 1);
    assert!(run.requests.len() >= 10 * (300 - lost));
    assert_eq!((run.trace_ids().len(), run.summary().len()), (300 - lost, 300));
}

#[test]
fn four_users_at_once_for_a_minute() {
    let _guard = alone();
    let (run, _) = soak(&[("VUS", "4"), ("DURATION", "60s"), ("SUBS", "8")], 4);
    assert!(run.trace_ids().len() >= 4);
}
