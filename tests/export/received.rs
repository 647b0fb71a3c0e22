//! Tests that a batch is acknowledged once it is in the journal, and counts once, whatever comes between batches.

use navtrace::testing::Observation;
use serde_json::json;

use crate::host::WORKER;
use crate::observations::{START, all_ids, completed, page, page_ids, span_id, started};
use crate::reports::Reports;
use crate::setup::ExportTest;

#[test]
fn an_acknowledged_batch_is_in_the_journal_and_counts_once() {
    let test = ExportTest::new();
    let reports = Reports::listen();
    let mut host = test.host_with_reports(&reports);
    let session = host.start_session();
    for number in 1..=3 {
        host.send_batch(WORKER, number, &page(number, 2));
        host.assert_received(WORKER, number);
        let journal = std::fs::read_to_string(&test.journals()[0]).unwrap();
        let last = span_id((number << 16) + 2).to_string();
        assert!(journal.contains(&last), "{last} of batch {number} is in the journal: {journal}");
    }
    for number in [3, 1, 2, 3] {
        host.send_batch(WORKER, number, &page(number, 2));
        host.assert_received(WORKER, number);
    }
    host.end();
    test.assert_tree(&session, &all_ids((1..=3).map(|number| page_ids(number, 2))));
    let trace = reports.trace();
    assert_eq!((trace.counts.navigations, trace.counts.requests, trace.counts.failures), (3, 6, 0));
    assert_eq!(trace.exported.unwrap().exported, 3 * 3 + 1);
}

#[test]
fn each_worker_numbers_its_own_batches() {
    let test = ExportTest::new();
    let reports = Reports::listen();
    let mut host = test.host_with_reports(&reports);
    let session = host.start_session();
    host.send_batch("one", 1, &page(1, 1));
    host.send_batch("two", 1, &page(2, 1));
    // The second worker lost some observations.
    host.send(&json!({
        "v": 1, "type": "observed", "worker": "two", "number": 2, "dropped": 7, "observations": page(3, 1),
    }));
    host.send_batch("one", 2, &page(4, 1));
    host.send_batch("one", 1, &page(1, 1));
    for (worker, number) in [("one", 1), ("two", 1), ("two", 2), ("one", 2), ("one", 1)] {
        host.assert_received(worker, number);
    }
    host.end();
    test.assert_tree(&session, &all_ids((1..=4).map(|number| page_ids(number, 1))));
    let trace = reports.trace();
    assert_eq!((trace.counts.requests, trace.counts.dropped), (4, 7));
}

#[test]
fn invalid_messages_between_batches_lose_nothing() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    let broken = json!({
        "v": 1, "type": "observed", "worker": WORKER, "number": 1, "dropped": 0,
        "observations": [page(1, 1)[0], {"what": "request-started", "time": "now"}],
    });
    let garbage: [(&[u8], &str); 5] = [
        (b"\xff", "not-utf8"),
        (b"{", "not-json"),
        (br#"{"v":7,"type":"observed"}"#, "unknown-version"),
        (br#"{"v":1,"type":"observe"}"#, "unknown-type"),
        (&serde_json::to_vec(&broken).unwrap(), "invalid"),
    ];
    for (number, (body, code)) in (1..).zip(garbage) {
        host.send_bytes(body);
        assert_eq!(host.answer()["code"], code);
        host.observe(&page(number, 2));
    }
    host.end();
    test.assert_tree(&session, &all_ids((1..=5).map(|number| page_ids(number, 2))));
}

#[test]
fn a_browser_that_dies_within_a_frame_loses_only_that() {
    let (test, reports) = (ExportTest::new(), Reports::listen());
    let mut host = test.host_with_reports(&reports);
    let session = host.start_session();
    host.observe(&page(1, 2));
    host.send_truncated(b"{\"v\":1,\"type\":\"observed\"");
    // The end of the channel can be seen a moment before the end of the browser.
    host.close_channel();
    host.end();
    test.assert_tree(&session, &page_ids(1, 2));
    reports.trace();
    // It is no alarm.
    assert_eq!((reports.problems(), host.stderr()), (Vec::new(), String::new()));
}

#[test]
fn a_batch_of_the_longest_frame_is_accepted() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    let mut request = started(0.0, "1", 0xa1, None);
    if let Observation::RequestStarted { url, .. } = &mut request {
        url.push_str(&"x".repeat(1024 * 1024 - 1000));
    }
    host.observe(&[request, completed(1.0, "1", 200)]);
    host.end();
    test.assert_tree(&session, &[span_id(0xa1).to_string()]);
}

#[test]
fn nonsensical_times_and_ends_are_survived() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&[
        started(-2.0 * START, "1", 1, None),
        completed(f64::MAX, "1", 200),
        started(5.0, "2", 2, Some(0xa0)),
        completed(-5.0, "2", 200),
        completed(6.0, "nobody", 200),
        Observation::TabClosed { time: START, tab_id: -1 },
    ]);
    host.end();
    test.assert_tree(&session, &[1, 2].map(|id| span_id(id).to_string()));
    for span in test.collector.spans() {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
}
