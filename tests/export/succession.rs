//! Tests a new trace in the same browser: it ends the session before, which is exported completely.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::collector::{Collector, attribute, hex};
use crate::observations::{all_ids, committed, completed, navigates, page, page_ids, span_id, started};
use crate::reports::Reports;
use crate::setup::{ExportTest, wait_until};
use crate::tree::{Session, assert_tree};

const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

fn other() -> Session {
    Session(json!({"traceId": OTHER, "spanId": "b7ad6b7169203331", "flags": "01"}))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// Asserts that the collector has the tree of one session among others.
fn assert_session(test: &ExportTest, session: &Session, expected: &[String]) {
    let spans: Vec<_> = test.collector.spans();
    let spans: Vec<_> = spans.into_iter().filter(|span| hex(&span.trace_id) == session.trace_id()).collect();
    assert_tree(&spans, session, expected);
}

#[test]
fn a_new_trace_completes_the_session_before() {
    let test = ExportTest::new();
    let reports = Reports::listen();
    let mut host = test.host_with_reports(&reports);
    let first = host.start_session();
    host.observe(&page(1, 3));
    host.resume(&other());
    test.wait_for_spans(4 + 1);
    assert_session(&test, &first, &page_ids(1, 3));
    wait_until("the journal of the first session is gone", || test.journals().len() == 1);
    host.observe(&page(2, 2));
    host.end();
    assert_session(&test, &other(), &page_ids(2, 2));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
    assert_eq!(host.stderr(), "");
    let traces = reports.traces(2);
    let exported: Vec<_> =
        traces.iter().map(|trace| (trace.counts.requests, trace.exported.unwrap().exported)).collect();
    assert_eq!(exported, [(3, 5), (2, 4)]);
    let last = host.exporter_states().pop().unwrap().1;
    assert_eq!((&last["dropped"], &last["problem"]), (&json!(0), &json!(null)));
}

#[test]
fn open_requests_end_in_the_session_of_their_start() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    let first = host.start_session();
    host.observe(&[
        navigates(0.0, "page", 0xa1, 0xa0),
        completed(10.0, "page", 200),
        committed(12.0, 0xa0),
        started(20.0, "slow", 0xa2, Some(0xa0)),
    ]);
    host.resume(&other());
    host.observe(&page(2, 2));
    // The host began the other session before it acknowledged a batch of it.
    let ended = now();
    assert!(
        test.collector
            .spans()
            .iter()
            .all(|span| hex(&span.trace_id) != first.trace_id() || span.name != "browser session")
    );
    // So the late end differs from the end of the session.
    std::thread::sleep(Duration::from_millis(10));
    host.observe_late(&first, &[completed(3000.0, "slow", 200)]);
    let ids = all_ids([vec![span_id(0xa0).to_string()], vec![span_id(0xa1).to_string(), span_id(0xa2).to_string()]]);
    test.wait_for_spans(4 + 3);
    host.end();
    assert_session(&test, &first, &ids);
    assert_session(&test, &other(), &page_ids(2, 2));
    let spans = test.collector.spans();
    assert!(spans.iter().all(|span| attribute(span, "navtrace.unfinished").is_empty()));
    let slow = spans.iter().find(|span| hex(&span.span_id) == span_id(0xa2).to_string()).unwrap();
    assert_eq!(slow.end_time_unix_nano - slow.start_time_unix_nano, 2_980_000_000);
    let root = spans.iter().find(|span| hex(&span.span_id) == first.span_id()).unwrap();
    assert!(root.end_time_unix_nano <= ended, "the root ends with the session, whatever ends later");
}

#[test]
fn a_request_that_never_ends_is_marked_unfinished() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    let first = host.start_session();
    host.observe(&[started(0.0, "stream", 0xa1, None)]);
    host.resume(&other());
    host.observe(&page(2, 1));
    host.end();
    assert_session(&test, &first, &[span_id(0xa1).to_string()]);
    let open: Vec<_> = test.collector.spans();
    let open: Vec<_> = open.iter().filter(|span| attribute(span, "navtrace.unfinished") == "true").collect();
    assert_eq!(open.len(), 1);
    assert_session(&test, &other(), &page_ids(2, 1));
}

#[test]
fn a_session_that_has_ended_outlives_its_host() {
    for killed in [true, false] {
        let mut test = ExportTest::with(Collector::down());
        let mut host = test.host_with_browser();
        let first = host.start_session();
        host.observe(&[started(0.0, "slow", 0xa1, None)]);
        host.resume(&other());
        host.observe(&page(2, 1));
        if killed {
            host.kill();
        } else {
            host.close_channel();
            host.wait_for_exit();
        }
        test.collector.up();
        let mut next = test.host_with_browser();
        next.continue_batches_of(&host);
        next.resume(&other());
        next.observe_late(&first, &[completed(50.0, "slow", 200)]);
        next.observe(&page(3, 1));
        next.end();
        test.flush();
        assert_session(&test, &first, &[span_id(0xa1).to_string()]);
        let spans = test.collector.spans();
        let slow = spans.iter().find(|span| hex(&span.span_id) == span_id(0xa1).to_string()).unwrap();
        // A host that exits normally while its browser continues also finishes the sessions that had ended.
        assert_eq!(attribute(slow, "navtrace.unfinished") == "true", !killed);
        assert_session(&test, &other(), &all_ids([page_ids(2, 1), page_ids(3, 1)]));
    }
}

#[test]
fn exporter_changes_are_sent_at_most_once_a_second() {
    let mut test = ExportTest::with(Collector::down());
    let start = Instant::now();
    let mut host = test.host_with_browser();
    host.start_session();
    host.wait_for_exporter("the beginning is reported", |state| {
        *state == json!({"v": 1, "type": "exporter", "exported": 0, "kept": 0, "dropped": 0, "problem": null})
    });
    for number in 1..=5 {
        host.observe(&page(number, 3));
    }
    host.wait_for_exporter("the problem is reported", |state| {
        state["kept"] == 20
            && state["problem"].as_str().is_some_and(|problem| problem.starts_with("spans can't be sent to "))
    });
    test.collector.up();
    host.wait_for_exporter("all is well", |state| {
        state["exported"] == 20 && state["kept"] == 0 && state["problem"].is_null()
    });
    let states = host.exporter_states();
    for pair in states.windows(2) {
        assert_ne!(pair[0].1, pair[1].1, "{states:?}");
    }
    // The test may read a message late, which shortens the time to the next one. So this counts from the start.
    for (number, (at, _)) in (0..).zip(&states) {
        assert!(*at - start >= number * Duration::from_secs(1), "{states:?}");
    }
    host.end();
}

#[test]
fn a_choice_holds_until_the_next_and_null_resets_it() {
    let test = ExportTest::new()
        .set("NAVTRACE_TARGETS", "https://shop.test/*")
        .set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    let test = test.set("OTEL_TRACES_SAMPLER_ARG", "0.25").set("NAVTRACE_LINK", "http://j.test/{trace_id}");
    let mut host = test.host_with_browser();
    let session = host.start_session();
    let mut choose = |ratio: serde_json::Value, targets: serde_json::Value| {
        host.send(&json!({"v": 1, "type": "choose", "ratio": ratio, "targets": targets}));
        host.answer()
    };
    let chosen = choose(json!(0.5), json!(["https://other.test/*"]));
    assert_eq!(chosen["session"], session.0);
    assert_eq!(chosen["propagation"]["sampler"], json!({"ratio": 0.5, "parentBased": true}));
    assert!(chosen["propagation"]["targets"][0].as_str().unwrap().contains("other"), "{chosen}");
    let configured = json!({
        "link": "http://j.test/{trace_id}", "endpoint": test.target(), "ratio": 0.25, "parentBased": true,
        "targets": ["https://shop.test/*"], "exclude": [], "resources": ["all"],
    });
    assert_eq!(chosen["configured"], configured);
    for (ratio, targets, sentence) in [
        (json!(1.5), json!(null), "1.5 is not a sampling ratio: expected a number from 0 to 1"),
        (
            json!(null),
            json!(["shop"]),
            "\"shop\" is not a valid pattern: expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>",
        ),
    ] {
        assert_eq!(
            choose(ratio, targets),
            json!({"v": 1, "type": "error", "code": "refused", "message": sentence, "about": "choose"})
        );
    }
    let everybody = choose(json!(null), json!([]));
    assert_eq!(
        (&everybody["propagation"]["targets"], &everybody["propagation"]["sampler"]["ratio"]),
        (&json!([]), &json!(0.25))
    );
    let back = choose(json!(null), json!(null));
    assert!(back["propagation"]["targets"][0].as_str().unwrap().contains("shop"), "{back}");
    host.end();
}
