//! Batches are acknowledged once they are safe, and count once, whatever comes between them.

use navtrace::testing::Observation;
use serde_json::json;

use crate::bench::{Bench, Heard, WORKER, expected};
use crate::observations::{START, completed, page, page_ids, span_id, started};

#[test]
fn a_batch_is_safe_once_it_is_acknowledged_and_counts_once() {
    let bench = Bench::new();
    let heard = Heard::listen();
    let mut host = bench.host_heard_by(&heard);
    let session = host.greet();
    for number in 1..=3 {
        host.tell(WORKER, number, &page(number, 2));
        host.assert_received(WORKER, number);
        let journal = std::fs::read_to_string(&bench.journals()[0]).unwrap();
        let last = span_id((number << 16) + 2).to_string();
        assert!(journal.contains(&last), "{last} of batch {number} is in the journal: {journal}");
    }
    for number in [3, 1, 2, 3] {
        host.tell(WORKER, number, &page(number, 2));
        host.assert_received(WORKER, number);
    }
    host.end();
    bench.assert_tree(&session, &expected((1..=3).map(|number| page_ids(number, 2))));
    let trace = heard.trace();
    assert_eq!((trace.counts.navigations, trace.counts.requests, trace.counts.failures), (3, 6, 0));
    assert_eq!(trace.exported.unwrap().exported, 3 * 3 + 1);
}

#[test]
fn workers_count_their_batches_each_for_itself() {
    let bench = Bench::new();
    let heard = Heard::listen();
    let mut host = bench.host_heard_by(&heard);
    let session = host.greet();
    host.tell("one", 1, &page(1, 1));
    host.tell("two", 1, &page(2, 1));
    // The second one lost some.
    host.send(&json!({
        "v": 1, "type": "observed", "worker": "two", "number": 2, "dropped": 7, "observations": page(3, 1),
    }));
    host.tell("one", 2, &page(4, 1));
    host.tell("one", 1, &page(1, 1));
    for (worker, number) in [("one", 1), ("two", 1), ("two", 2), ("one", 2), ("one", 1)] {
        host.assert_received(worker, number);
    }
    host.end();
    bench.assert_tree(&session, &expected((1..=4).map(|number| page_ids(number, 1))));
    let trace = heard.trace();
    assert_eq!((trace.counts.requests, trace.counts.dropped), (4, 7));
}

#[test]
fn garbage_between_batches_loses_nothing() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
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
    bench.assert_tree(&session, &expected((1..=5).map(|number| page_ids(number, 2))));
}

#[test]
fn a_channel_that_is_cut_off_in_a_batch_loses_that_one_alone() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 2));
    host.send_half(b"{\"v\":1,\"type\":\"observed\"");
    host.end();
    bench.assert_tree(&session, &page_ids(1, 2));
}

#[test]
fn a_batch_as_long_as_a_frame_may_be_is_taken() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    let mut request = started(0.0, "1", 0xa1, None);
    if let Observation::RequestStarted { url, .. } = &mut request {
        url.push_str(&"x".repeat(1024 * 1024 - 1000));
    }
    host.observe(&[request, completed(1.0, "1", 200)]);
    host.end();
    bench.assert_tree(&session, &[span_id(0xa1).to_string()]);
}

#[test]
fn times_and_ends_that_make_no_sense_end_no_host() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&[
        started(-2.0 * START, "1", 1, None),
        completed(f64::MAX, "1", 200),
        started(5.0, "2", 2, Some(0xa0)),
        completed(-5.0, "2", 200),
        completed(6.0, "nobody", 200),
        Observation::TabClosed { time: START, tab_id: -1 },
    ]);
    host.end();
    bench.assert_tree(&session, &[1, 2, 0xa0].map(|id| span_id(id).to_string()));
    for span in bench.collector.spans() {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
}
