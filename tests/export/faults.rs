//! Tests collectors that are down, refuse, accept a part, ask for a pause or do not answer: nothing waits for them, and every span that they
//! are willing to accept arrives once.

use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use crate::collector::{Behaviour, Collector};
use crate::host::TestHost;
use crate::observations::{all_ids, page, page_ids};
use crate::setup::{ExportTest, wait_until};

const KEPT: &str = "they are kept, and the next traced browser or `navtrace flush` sends them";

/// Asserts that the host reported once that spans can't be sent, and for this reason.
fn assert_reported_once(host: &TestHost, test: &ExportTest, reason: &str) {
    let sentence = format!("spans can't be sent to {}: {reason}; {KEPT}\n", test.target());
    host.wait_for_stderr(&sentence);
    assert_eq!(host.count_in_stderr("spans can't be sent"), 1, "{}", host.stderr());
}

#[test]
fn a_collector_that_starts_late_gets_everything() {
    let mut test = ExportTest::with(Collector::down());
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.wait_for_stderr("spans can't be sent to ");
    host.observe(&page(2, 3));
    assert!(host.stderr().contains("Connection refused"), "{}", host.stderr());
    test.collector.up();
    test.wait_for_spans(4 + 4);
    host.end();
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 3)]));
    assert_eq!(host.count_in_stderr("spans can't be sent"), 1, "{}", host.stderr());
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn a_collector_that_restarts_gets_the_rest() {
    let mut test = ExportTest::new();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_spans(4);
    test.collector.stop();
    host.observe(&page(2, 3));
    host.wait_for_stderr("spans can't be sent to ");
    test.collector.up();
    test.wait_for_spans(4 + 4);
    host.observe(&page(3, 3));
    host.end();
    test.assert_tree(&session, &all_ids((1..=3).map(|number| page_ids(number, 3))));
}

#[test]
fn an_idle_connection_may_be_closed() {
    let mut test = ExportTest::new();
    let mut host = test.host_with_browser();
    let session = host.start_session();
    for number in 1..=3 {
        host.observe(&page(number, 1));
        test.wait_for_spans(usize::try_from(2 * number).unwrap());
        // As when the collector closes an idle connection, or restarts.
        test.collector.stop();
        test.collector.up();
    }
    host.end();
    test.assert_tree(&session, &all_ids((1..=3).map(|number| page_ids(number, 1))));
    assert_eq!(host.stderr(), "");
}

#[test]
fn the_next_host_sends_what_a_missing_collector_left() {
    let mut test = ExportTest::with(Collector::down());
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.wait_for_stderr("spans can't be sent to ");
    host.end();
    assert_eq!((test.journals().len(), test.spooled_ids().len()), (0, 3 + 1 + 1));
    test.collector.up();
    let mut next = test.host_with_browser();
    let other = next.start_session();
    test.wait_for_spans(5);
    test.assert_tree(&session, &page_ids(1, 3));
    next.observe(&page(2, 1));
    next.end();
    let spans = test.collector.spans();
    assert_eq!(spans.len(), 5 + 3);
    crate::tree::assert_tree(&spans[5..], &other, &page_ids(2, 1));
    assert_eq!(test.spooled().len(), 0);
}

/// Returns the time between the first two requests.
fn first_gap(test: &ExportTest) -> Duration {
    let arrived = test.collector.arrived();
    arrived[1].at - arrived[0].at
}

#[test]
fn retry_after_seconds_is_respected() {
    for (status, name) in [(429, "429 Too Many Requests"), (503, "503 Service Unavailable")] {
        let test = ExportTest::new();
        test.collector.behave(Behaviour::Refuses(status, Some("2")));
        let mut host = test.host_with_browser();
        let session = host.start_session();
        host.observe(&page(1, 3));
        test.wait_for_requests(1);
        test.collector.behave(Behaviour::Accepts);
        assert_reported_once(&host, &test, &format!("{name}: not now"));
        // A new batch does not shorten the pause.
        host.observe(&page(2, 1));
        test.wait_for_spans(4);
        let gap = first_gap(&test);
        assert!(gap >= Duration::from_secs(2), "it was asked again after {gap:?}");
        host.end();
        test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 1)]));
    }
}

#[test]
fn retry_after_a_date_is_respected() {
    let test = ExportTest::new();
    let date = SystemTime::now() + Duration::from_secs(4);
    let header = httpdate::fmt_http_date(date);
    let date = httpdate::parse_http_date(&header).unwrap();
    test.collector.behave(Behaviour::Refuses(503, Some(header.leak())));
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_requests(1);
    test.collector.behave(Behaviour::Accepts);
    test.wait_for_requests(2);
    let arrived_at = test.collector.arrived()[1].time;
    assert!(arrived_at >= date, "it arrived_at at {arrived_at:?} and not at {date:?}");
    host.end();
    test.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn pauses_grow_without_a_useful_retry_after() {
    for after in [None, Some("0"), Some("Mon, 23 Nov 2015 20:00:00 GMT")] {
        let test = ExportTest::new();
        test.collector.behave(Behaviour::Refuses(503, after));
        let mut host = test.host_with_browser();
        let session = host.start_session();
        host.observe(&page(1, 3));
        test.wait_for_requests(4);
        test.collector.behave(Behaviour::Accepts);
        let arrived = test.collector.arrived();
        for (tries, pair) in arrived.windows(2).enumerate() {
            // 100 ms, doubled with each failure, minus up to a random quarter.
            let least = Duration::from_millis(75 << tries);
            let gap = pair[1].at - pair[0].at;
            assert!(gap >= least, "{after:?}: try {tries} arrived_at {gap:?} after the one before");
        }
        test.wait_for_spans(4);
        host.end();
        test.assert_tree(&session, &page_ids(1, 3));
        assert_reported_once(&host, &test, "503 Service Unavailable: not now");
    }
}

#[test]
fn retry_after_is_respected_when_the_host_ends() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Refuses(503, Some("600")));
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_requests(1);
    host.wait_for_stderr("spans can't be sent to ");
    test.collector.behave(Behaviour::Accepts);
    host.end();
    assert_eq!((test.collector.arrived().len(), test.spooled_ids().len()), (1, 5));
    assert_eq!(test.flush(), (0, format!("navtrace: 5 spans sent to {}\n", test.target())));
    test.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn a_refused_batch_is_dropped_and_the_next_is_sent() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Refuses(400, None));
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_requests(1);
    let sentence = "refused 4 spans, which are dropped: 400 Bad Request: not now";
    host.wait_for_stderr(&format!("the collector at {} {sentence}\n", test.target()));
    host.observe(&page(2, 1));
    test.wait_for_requests(2);
    test.collector.behave(Behaviour::Accepts);
    host.observe(&page(3, 1));
    test.wait_for_spans(2);
    host.end();
    assert_eq!(host.count_in_stderr("which are dropped"), 1, "{}", host.stderr());
    test.assert_tree(&session, &page_ids(3, 1));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn spans_are_kept_on_auth_and_server_errors() {
    for (status, name) in [(401, "401 Unauthorized"), (404, "404 Not Found"), (500, "500 Internal Server Error")] {
        let test = ExportTest::new();
        test.collector.behave(Behaviour::Refuses(status, None));
        let mut host = test.host_with_browser();
        let session = host.start_session();
        host.observe(&page(1, 3));
        let reason = format!("{name}: not now; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS");
        assert_reported_once(&host, &test, &reason);
        // The last spans go to the spool at once.
        host.observe(&page(2, 1));
        host.end();
        assert_eq!((test.collector.arrived().len(), test.journals().len()), (1, 0), "{name}");
        let (code, message) = test.flush();
        let sentence = format!("7 spans can't be sent to {} now and will be kept: {name}: not now", test.target());
        assert_eq!((code, message), (1, format!("navtrace: {sentence}\n")));
        test.collector.behave(Behaviour::Accepts);
        assert_eq!(test.flush(), (0, format!("navtrace: 7 spans sent to {}\n", test.target())));
        test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 1)]));
    }
}

#[test]
fn a_failed_batch_is_put_aside_and_the_next_is_sent() {
    let test = ExportTest::new();
    let failures = [401, 403, 500, 401];
    let behaviours = failures.into_iter().flat_map(|status| [Behaviour::Refuses(status, None), Behaviour::Accepts]);
    test.collector.behave_in_turn(behaviours.collect::<std::collections::VecDeque<_>>());
    let mut host = test.host_with_browser();
    let session = host.start_session();
    for (number, _) in (0..).zip(failures) {
        host.observe(&page(2 * number + 1, 3));
        test.wait_for_requests(2 * usize::try_from(number).unwrap() + 1);
        wait_until("the batch is put aside", || test.spooled().len() == usize::try_from(number).unwrap() + 1);
        host.observe(&page(2 * number + 2, 1));
        test.wait_for_spans(2 * (usize::try_from(number).unwrap() + 1));
    }
    let arrived = test.collector.arrived();
    for failure in [0, 2, 4, 6] {
        let gap = arrived[failure + 1].at - arrived[failure].at;
        assert!(gap >= Duration::from_millis(1500), "the collector was asked again after {gap:?}");
    }
    host.end();
    // Each kind of failure is reported once.
    for name in ["401 Unauthorized", "403 Forbidden", "500 Internal Server Error"] {
        let sentence = format!(
            "spans can't be sent to {}: {name}: not now; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS; {KEPT}\n",
            test.target()
        );
        assert_eq!(host.count_in_stderr(&sentence), 1, "{}", host.stderr());
    }
    assert_eq!(test.flush(), (0, format!("navtrace: 16 spans sent to {}\n", test.target())));
    test.assert_tree(&session, &all_ids((1..=8).map(|number| page_ids(number, if number % 2 == 1 { 3 } else { 1 }))));
}

#[test]
fn pauses_grow_while_the_collector_fails() {
    let test = ExportTest::new();
    let failed = || Behaviour::Refuses(500, None);
    test.collector.behave_in_turn([failed(), failed(), Behaviour::Accepts]);
    let mut host = test.host_with_browser();
    let session = host.start_session();
    for number in 1..=3 {
        host.observe(&page(number, 1));
        test.wait_for_requests(usize::try_from(number).unwrap());
    }
    let arrived = test.collector.arrived();
    let gaps = [arrived[1].at - arrived[0].at, arrived[2].at - arrived[1].at];
    assert!(gaps[0] >= Duration::from_millis(1500) && gaps[1] >= Duration::from_secs(3), "{gaps:?}");
    host.end();
    test.flush();
    test.assert_tree(&session, &all_ids((1..=3).map(|number| page_ids(number, 1))));
}

#[test]
fn rejected_spans_are_reported_and_not_sent_again() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Rejects(2));
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.wait_for_stderr(&format!("the collector at {} rejected 2 of 4 spans: too old\n", test.target()));
    test.collector.behave(Behaviour::Accepts);
    host.observe(&page(2, 1));
    host.end();
    // The test's collector stores all spans of a request, even if it says that it rejects some.
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 1)]));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn the_channel_never_waits_for_a_silent_collector() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Silent);
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_requests(1);
    for number in 2..=4 {
        let start = Instant::now();
        host.observe(&page(number, 3));
        let (observed, replenished) = (start.elapsed(), host.replenish());
        assert!(
            observed < Duration::from_secs(5) && replenished < Duration::from_secs(5),
            "{observed:?} {replenished:?}"
        );
    }
    host.end();
    assert_eq!((test.journals().len(), test.spooled_ids().len()), (0, 4 * 4 + 1));
    test.collector.behave(Behaviour::Accepts);
    assert_eq!(test.flush(), (0, format!("navtrace: 17 spans sent to {}\n", test.target())));
    test.assert_tree(&session, &all_ids((1..=4).map(|number| page_ids(number, 3))));
}

#[test]
fn an_export_that_times_out_is_sent_again() {
    let test = ExportTest::new().set("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    test.collector.behave(Behaviour::Silent);
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_requests(2);
    test.collector.behave(Behaviour::Accepts);
    test.wait_for_spans(4);
    host.end();
    test.assert_tree(&session, &page_ids(1, 3));
    assert!(host.stderr().contains("timed out"), "{}", host.stderr());
}

#[test]
fn what_is_accepted_after_the_timeout_arrives_again_with_the_same_ids() {
    let test = ExportTest::new().set("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    test.collector.behave_in_turn([Behaviour::Slow(Duration::from_secs(2)), Behaviour::Accepts]);
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    test.wait_for_spans(2 * 4);
    host.end();
    let spans = test.collector.spans();
    assert_eq!(spans[..4], spans[4..8]);
    crate::tree::assert_tree(&spans[4..], &session, &page_ids(1, 3));
}

#[test]
fn a_timeout_of_0_is_no_limit() {
    for name in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT"] {
        let test = ExportTest::new().set(name, "0");
        test.collector.behave(Behaviour::Slow(Duration::from_millis(200)));
        let mut host = test.host_with_browser();
        let session = host.start_session();
        host.observe(&page(1, 3));
        test.wait_for_spans(4);
        host.end();
        test.assert_tree(&session, &page_ids(1, 3));
        assert_eq!(host.stderr(), "", "{name}");
    }
}

#[test]
fn spans_are_kept_while_a_setting_is_unusable() {
    let test = ExportTest::new();
    let mut command = test.command(&[crate::setup::ORIGIN]);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "S3CRET");
    let mut host = test.host_below_browser(&command);
    let session = host.start_session();
    host.observe(&page(1, 3));
    let reason = "OTEL_EXPORTER_OTLP_HEADERS can't be used: item 1 is not key=value, percent-encoded";
    host.wait_for_stderr(&format!("spans can't be sent: {reason}; {KEPT}\n"));
    host.end();
    assert_eq!(test.collector.arrived().len(), 0);
    assert_eq!(test.flush().0, 0);
    test.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn a_redirect_does_not_count_as_accepted() {
    // As a proxy does before a login. After the redirect, the POST would become a GET that succeeds.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/traces", post(|| async { (StatusCode::FOUND, [("location", "/login")]) }))
        .route("/login", get(|| async { "who are you?" }));
    runtime.spawn(async move { axum::serve(listener, app).await });
    let test = ExportTest::new().set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let mut host = test.host_with_browser();
    host.start_session();
    host.observe(&page(1, 3));
    host.wait_for_stderr(&format!(
        "spans can't be sent to {endpoint}/v1/traces: 302 Found; check OTEL_EXPORTER_OTLP_ENDPOINT"
    ));
    host.end();
    assert_eq!(test.spooled_ids().len(), 5);
}
