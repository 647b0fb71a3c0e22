//! A collector that is away, that refuses, that takes a part, that wants to be left alone, or that does not answer: nobody waits for it, and
//! whatever it is willing to take arrives once.

use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use crate::bench::{Bench, Host, expected};
use crate::collector::{Behaviour, Collector};
use crate::observations::{page, page_ids};

const KEPT: &str = "they are kept, and the next traced browser or `navtrace flush` sends them";

/// How often the host of a bench said that spans can't be sent, and why.
fn assert_told_once(host: &Host, bench: &Bench, reason: &str) {
    let sentence = format!("spans can't be sent to {}: {reason}; {KEPT}\n", bench.target());
    host.hear(&sentence);
    assert_eq!(host.count_said("spans can't be sent"), 1, "{}", host.said());
}

#[test]
fn a_collector_that_comes_up_later_gets_everything() {
    let mut bench = Bench::with(Collector::down());
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    host.hear("spans can't be sent to ");
    host.observe(&page(2, 3));
    assert!(host.said().contains("Connection refused"), "{}", host.said());
    bench.collector.up();
    bench.wait_for(4 + 4);
    host.end();
    bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 3)]));
    assert_eq!(host.count_said("spans can't be sent"), 1, "{}", host.said());
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
}

#[test]
fn a_collector_that_is_killed_in_the_middle_gets_the_rest_when_it_is_back() {
    let mut bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for(4);
    bench.collector.kill();
    host.observe(&page(2, 3));
    host.hear("spans can't be sent to ");
    bench.collector.up();
    bench.wait_for(4 + 4);
    host.observe(&page(3, 3));
    host.end();
    bench.assert_tree(&session, &expected((1..=3).map(|number| page_ids(number, 3))));
}

#[test]
fn a_connection_that_the_collector_closed_while_nothing_happened_is_no_problem() {
    let mut bench = Bench::new();
    let mut host = bench.host_of_browser();
    let session = host.greet();
    for number in 1..=3 {
        host.observe(&page(number, 1));
        bench.wait_for(usize::try_from(2 * number).unwrap());
        // As when it has had enough of an idle connection, or was started anew.
        bench.collector.kill();
        bench.collector.up();
    }
    host.end();
    bench.assert_tree(&session, &expected((1..=3).map(|number| page_ids(number, 1))));
    assert_eq!(host.said(), "");
}

#[test]
fn a_collector_that_stays_away_holds_nobody_up_and_the_next_host_sends_what_was_left() {
    let mut bench = Bench::with(Collector::down());
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    host.hear("spans can't be sent to ");
    host.end();
    assert_eq!((bench.journals().len(), bench.spooled_ids().len()), (0, 3 + 1 + 1));
    bench.collector.up();
    let mut next = bench.host_of_browser();
    let other = next.greet();
    bench.wait_for(5);
    bench.assert_tree(&session, &page_ids(1, 3));
    next.observe(&page(2, 1));
    next.end();
    let spans = bench.collector.spans();
    assert_eq!(spans.len(), 5 + 3);
    crate::bench::assert_tree(&spans[5..], &other, &page_ids(2, 1));
    assert_eq!(bench.spooled().len(), 0);
}

/// How long the collector was left alone before its last request.
fn last_gap(bench: &Bench) -> Duration {
    let arrived = bench.collector.arrived();
    arrived[arrived.len() - 1].at - arrived[arrived.len() - 2].at
}

#[test]
fn a_collector_that_asks_for_time_is_given_it() {
    for (status, name) in [(429, "429 Too Many Requests"), (503, "503 Service Unavailable")] {
        let bench = Bench::new();
        bench.collector.behave(Behaviour::Refuses(status, Some("2")));
        let mut host = bench.host_of_browser();
        let session = host.greet();
        host.observe(&page(1, 3));
        bench.wait_for_requests(1);
        bench.collector.behave(Behaviour::Accepts);
        assert_told_once(&host, &bench, &format!("{name}: not now"));
        // Neither a new batch nor a full one makes it be asked earlier.
        host.observe(&page(2, 1));
        bench.wait_for(4);
        let gap = last_gap(&bench);
        assert!(gap >= Duration::from_secs(2), "it was asked again after {gap:?}");
        host.end();
        bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 1)]));
    }
}

#[test]
fn a_collector_that_asks_for_time_until_a_date_is_given_it() {
    let bench = Bench::new();
    let date = SystemTime::now() + Duration::from_secs(4);
    let text = httpdate::fmt_http_date(date);
    let date = httpdate::parse_http_date(&text).unwrap();
    bench.collector.behave(Behaviour::Refuses(503, Some(text.leak())));
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for_requests(1);
    bench.collector.behave(Behaviour::Accepts);
    bench.wait_for_requests(2);
    let came = bench.collector.arrived()[1].time;
    assert!(came >= date, "it came at {came:?} and not at {date:?}");
    host.end();
    bench.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn without_a_time_pauses_grow_and_a_time_that_is_over_is_no_reason_to_hammer() {
    for after in [None, Some("0"), Some("Mon, 23 Nov 2015 20:00:00 GMT")] {
        let bench = Bench::new();
        bench.collector.behave(Behaviour::Refuses(503, after));
        let mut host = bench.host_of_browser();
        let session = host.greet();
        host.observe(&page(1, 3));
        bench.wait_for_requests(4);
        bench.collector.behave(Behaviour::Accepts);
        let arrived = bench.collector.arrived();
        for (tries, pair) in arrived.windows(2).enumerate() {
            // 100 ms, doubled with each failure, less a quarter of it by chance.
            let least = Duration::from_millis(75 << tries);
            let gap = pair[1].at - pair[0].at;
            assert!(gap >= least, "{after:?}: try {tries} came {gap:?} after the one before");
        }
        bench.wait_for(4);
        host.end();
        bench.assert_tree(&session, &page_ids(1, 3));
        assert_told_once(&host, &bench, "503 Service Unavailable: not now");
    }
}

#[test]
fn a_collector_that_still_wants_to_be_left_alone_at_the_end_is() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Refuses(503, Some("600")));
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for_requests(1);
    host.hear("spans can't be sent to ");
    bench.collector.behave(Behaviour::Accepts);
    host.end();
    assert_eq!((bench.collector.arrived().len(), bench.spooled_ids().len()), (1, 5));
    assert_eq!(bench.flush(), (0, format!("navtrace: 5 spans sent to {}\n", bench.target())));
    bench.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn what_a_collector_can_not_use_is_dropped_and_the_next_goes_on() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Refuses(400, None));
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for_requests(1);
    let sentence = "refused 4 spans, which are dropped: 400 Bad Request: not now";
    host.hear(&format!("the collector at {} {sentence}\n", bench.target()));
    host.observe(&page(2, 1));
    bench.wait_for_requests(2);
    bench.collector.behave(Behaviour::Accepts);
    host.observe(&page(3, 1));
    bench.wait_for(2);
    host.end();
    assert_eq!(host.count_said("which are dropped"), 1, "{}", host.said());
    bench.assert_tree(&session, &page_ids(3, 1));
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
}

#[test]
fn what_a_collector_does_not_let_in_is_kept_and_told() {
    for (status, name) in [(401, "401 Unauthorized"), (404, "404 Not Found"), (500, "500 Internal Server Error")] {
        let bench = Bench::new();
        bench.collector.behave(Behaviour::Refuses(status, None));
        let mut host = bench.host_of_browser();
        let session = host.greet();
        host.observe(&page(1, 3));
        let reason = format!("{name}: not now; check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS");
        assert_told_once(&host, &bench, &reason);
        // It is not asked again, whatever comes.
        host.observe(&page(2, 1));
        host.end();
        assert_eq!((bench.collector.arrived().len(), bench.journals().len()), (1, 0), "{name}");
        let (code, words) = bench.flush();
        let sentence = format!("7 spans can't be sent to {} now and will be kept: {name}: not now", bench.target());
        assert_eq!((code, words), (1, format!("navtrace: {sentence}\n")));
        bench.collector.behave(Behaviour::Accepts);
        assert_eq!(bench.flush(), (0, format!("navtrace: 7 spans sent to {}\n", bench.target())));
        bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 1)]));
    }
}

#[test]
fn spans_that_a_collector_rejects_are_told_and_not_sent_again() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Rejects(2));
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    host.hear(&format!("the collector at {} took only a part: 2 of 4 spans were rejected: too old\n", bench.target()));
    bench.collector.behave(Behaviour::Accepts);
    host.observe(&page(2, 1));
    host.end();
    // The collector of these tests keeps all of a request of which it rejects some.
    bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 1)]));
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
}

#[test]
fn nobody_waits_for_a_collector_that_does_not_answer() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Silent);
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for_requests(1);
    for number in 2..=4 {
        let start = Instant::now();
        host.observe(&page(number, 3));
        let (observed, replenished) = (start.elapsed(), host.replenish());
        assert!(
            observed < Duration::from_secs(1) && replenished < Duration::from_secs(1),
            "{observed:?} {replenished:?}"
        );
    }
    host.end();
    assert_eq!((bench.journals().len(), bench.spooled_ids().len()), (0, 4 * 4 + 1));
    bench.collector.behave(Behaviour::Accepts);
    assert_eq!(bench.flush(), (0, format!("navtrace: 17 spans sent to {}\n", bench.target())));
    bench.assert_tree(&session, &expected((1..=4).map(|number| page_ids(number, 3))));
}

#[test]
fn a_request_that_is_not_answered_in_time_is_sent_again() {
    let bench = Bench::new().set("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    bench.collector.behave(Behaviour::Silent);
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    bench.wait_for_requests(2);
    bench.collector.behave(Behaviour::Accepts);
    bench.wait_for(4);
    host.end();
    bench.assert_tree(&session, &page_ids(1, 3));
    assert!(host.said().contains("timed out"), "{}", host.said());
}

#[test]
fn a_redirect_is_no_acceptance() {
    // As a proxy does for whom nobody has logged in: the POST would become a GET, and that one succeeds.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/traces", post(|| async { (StatusCode::FOUND, [("location", "/login")]) }))
        .route("/login", get(|| async { "who are you?" }));
    runtime.spawn(async move { axum::serve(listener, app).await });
    let bench = Bench::new().set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let mut host = bench.host_of_browser();
    host.greet();
    host.observe(&page(1, 3));
    host.hear(&format!("spans can't be sent to {endpoint}/v1/traces: 302 Found; check OTEL_EXPORTER_OTLP_ENDPOINT"));
    host.end();
    assert_eq!(bench.spooled_ids().len(), 5);
}
