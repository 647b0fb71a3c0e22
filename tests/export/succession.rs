//! A new trace in the same browser: the session before ends with it, and is exported whole.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::bench::{Bench, Heard, Session, assert_tree, expected, wait_until};
use crate::collector::{Collector, attribute, hex};
use crate::observations::{committed, completed, navigates, page, page_ids, span_id, started};

const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

fn other() -> Session {
    Session(json!({"traceId": OTHER, "spanId": "b7ad6b7169203331", "flags": "01"}))
}

/// How long the host may take to note the time, once it has answered.
const SOON: Duration = Duration::from_millis(500);

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// The collector's spans of one session.
fn assert_session(bench: &Bench, session: &Session, expected: &[String]) {
    let spans: Vec<_> = bench.collector.spans();
    let spans: Vec<_> = spans.into_iter().filter(|span| hex(&span.trace_id) == session.trace_id()).collect();
    assert_tree(&spans, session, expected);
}

#[test]
fn a_session_that_a_new_trace_ends_is_whole_before_the_browser_ends() {
    let bench = Bench::new();
    let heard = Heard::listen();
    let mut host = bench.host_heard_by(&heard);
    let first = host.greet();
    host.observe(&page(1, 3));
    host.resume(&other());
    bench.wait_for(4 + 1);
    assert_session(&bench, &first, &page_ids(1, 3));
    wait_until("the journal of the first session is gone", || bench.journals().len() == 1);
    host.observe(&page(2, 2));
    host.end();
    assert_session(&bench, &other(), &page_ids(2, 2));
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
    assert_eq!(host.said(), "");
    let traces = heard.traces(2);
    let exported: Vec<_> =
        traces.iter().map(|trace| (trace.counts.requests, trace.exported.unwrap().exported)).collect();
    assert_eq!(exported, [(3, 5), (2, 4)]);
    let last = host.states().pop().unwrap().1;
    assert_eq!((&last["dropped"], &last["problem"]), (&json!(0), &json!(null)));
}

#[test]
fn what_was_under_way_ends_in_the_session_in_which_it_began() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let first = host.greet();
    host.observe(&[
        navigates(0.0, "page", 0xa1, 0xa0),
        completed(10.0, "page", 200),
        committed(12.0, 0xa0),
        started(20.0, "slow", 0xa2, Some(0xa0)),
    ]);
    host.resume(&other());
    let ended = now();
    host.observe(&page(2, 2));
    assert!(
        bench
            .collector
            .spans()
            .iter()
            .all(|span| hex(&span.trace_id) != first.trace_id() || span.name != "browser session")
    );
    // So that the times of the two can be told apart.
    std::thread::sleep(2 * SOON);
    host.observe_late(&first, &[completed(3000.0, "slow", 200)]);
    let ids = expected([vec![span_id(0xa0).to_string()], vec![span_id(0xa1).to_string(), span_id(0xa2).to_string()]]);
    bench.wait_for(4 + 3);
    host.end();
    assert_session(&bench, &first, &ids);
    assert_session(&bench, &other(), &page_ids(2, 2));
    let spans = bench.collector.spans();
    assert!(spans.iter().all(|span| attribute(span, "navtrace.unfinished").is_empty()));
    let slow = spans.iter().find(|span| hex(&span.span_id) == span_id(0xa2).to_string()).unwrap();
    assert_eq!(slow.end_time_unix_nano - slow.start_time_unix_nano, 2_980_000_000);
    let root = spans.iter().find(|span| hex(&span.span_id) == first.span_id()).unwrap();
    // The host takes the time once it has answered.
    assert!(
        root.end_time_unix_nano <= ended + u64::try_from(SOON.as_nanos()).unwrap(),
        "the root ends with the session, whatever ends later"
    );
}

#[test]
fn a_request_that_never_ends_is_open_in_its_session() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    let first = host.greet();
    host.observe(&[started(0.0, "stream", 0xa1, None)]);
    host.resume(&other());
    host.observe(&page(2, 1));
    host.end();
    assert_session(&bench, &first, &[span_id(0xa1).to_string()]);
    let open: Vec<_> = bench.collector.spans();
    let open: Vec<_> = open.iter().filter(|span| attribute(span, "navtrace.unfinished") == "true").collect();
    assert_eq!(open.len(), 1);
    assert_session(&bench, &other(), &page_ids(2, 1));
}

#[test]
fn a_session_that_has_ended_outlives_its_host() {
    for killed in [true, false] {
        let mut bench = Bench::with(Collector::down());
        let mut host = bench.host_of_browser();
        let first = host.greet();
        host.observe(&[started(0.0, "slow", 0xa1, None)]);
        host.resume(&other());
        host.observe(&page(2, 1));
        if killed {
            host.kill();
        } else {
            host.close_channel();
            host.wait_gone();
        }
        bench.collector.up();
        let mut next = bench.host_of_browser();
        next.follow(&host);
        next.resume(&other());
        next.observe_late(&first, &[completed(50.0, "slow", 200)]);
        next.observe(&page(3, 1));
        next.end();
        bench.flush();
        assert_session(&bench, &first, &[span_id(0xa1).to_string()]);
        let spans = bench.collector.spans();
        let slow = spans.iter().find(|span| hex(&span.span_id) == span_id(0xa1).to_string()).unwrap();
        // A host that ends in good order while its browser goes on closes what had ended.
        assert_eq!(attribute(slow, "navtrace.unfinished") == "true", !killed);
        assert_session(&bench, &other(), &expected([page_ids(2, 1), page_ids(3, 1)]));
    }
}

#[test]
fn the_exporter_is_told_when_it_changes_and_not_more_often_than_once_a_second() {
    let mut bench = Bench::with(Collector::down());
    let mut host = bench.host_of_browser();
    host.greet();
    host.wait_for_state("the beginning is told", |state| {
        *state == json!({"v": 1, "type": "exporter", "exported": 0, "kept": 0, "dropped": 0, "problem": null})
    });
    for number in 1..=5 {
        host.observe(&page(number, 3));
    }
    host.wait_for_state("the problem is told", |state| {
        state["kept"] == 20
            && state["problem"].as_str().is_some_and(|problem| problem.starts_with("spans can't be sent to "))
    });
    bench.collector.up();
    host.wait_for_state("all is well", |state| {
        state["exported"] == 20 && state["kept"] == 0 && state["problem"].is_null()
    });
    let states = host.states();
    for pair in states.windows(2) {
        let [(before, first), (after, second)] = pair else { unreachable!() };
        assert!(first != second && (*after - *before).as_millis() > 900, "{states:?}");
    }
    host.end();
}

#[test]
fn a_choice_holds_until_another_one_and_null_is_as_configured() {
    let bench = Bench::new()
        .set("NAVTRACE_TARGETS", "https://shop.test/*")
        .set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    let bench = bench.set("OTEL_TRACES_SAMPLER_ARG", "0.25").set("NAVTRACE_LINK", "http://j.test/{trace_id}");
    let mut host = bench.host_of_browser();
    let session = host.greet();
    let mut choose = |ratio: serde_json::Value, targets: serde_json::Value| {
        host.send(&json!({"v": 1, "type": "choose", "ratio": ratio, "targets": targets}));
        host.answer()
    };
    let chosen = choose(json!(0.5), json!(["https://other.test/*"]));
    assert_eq!(chosen["session"], session.0);
    assert_eq!(chosen["propagation"]["sampler"], json!({"ratio": 0.5, "parentBased": true}));
    assert!(chosen["propagation"]["targets"][0].as_str().unwrap().contains("other"), "{chosen}");
    let configured = json!({
        "link": "http://j.test/{trace_id}", "endpoint": bench.target(), "ratio": 0.25, "parentBased": true,
        "targets": ["https://shop.test/*"], "exclude": [],
    });
    assert_eq!(chosen["configured"], configured);
    for (ratio, targets, sentence) in [
        (json!(1.5), json!(null), "1.5 is no share of traces to sample: expected a number from 0 to 1"),
        (
            json!(null),
            json!(["shop"]),
            "\"shop\" is wrong: expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>",
        ),
    ] {
        assert_eq!(choose(ratio, targets), json!({"v": 1, "type": "error", "code": "refused", "message": sentence}));
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
