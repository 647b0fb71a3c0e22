//! Exchanges that a request repeats, and requests that never left or were stopped.

use super::*;
use crate::observe::span::{Request, SpanError};

pub(super) fn challenged(time: f64, request: &str, id: u64, status: u16) -> Observation {
    Observation::RequestChallenged {
        time,
        request: request.into(),
        span_id: span_id(id),
        response: Response { status, ..Response::default() },
    }
}

/// A failure of a request with the address and the parent that the browser's last event has.
fn stopped(time: f64, request: &str, url: &str, error: &str, kind: FailureKind, parent: Option<u64>) -> Observation {
    Observation::RequestFailed {
        time,
        request: request.into(),
        error: error.into(),
        kind,
        span_id: span_id(0xff),
        parent: parent.map(span_id),
        method: "GET".into(),
        url: url.into(),
        resource: "xmlhttprequest".into(),
    }
}

fn request_of(span: &Span) -> &Request {
    let Operation::Request(request) = &span.operation else { panic!("{span:?}") };
    request
}

#[test]
fn an_answered_challenge_is_an_exchange_of_its_own_and_no_failure() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        challenged(2004.0, "1", 0xc1, 407),
        redirected(2010.0, "1"),
        navigates(2011.0, "1", 0x11, 0xa),
        challenged(2014.0, "1", 0xc2, 401),
        completed(2020.0, "1", 200),
    ]);
    assert_eq!((recording.session.counts().requests, recording.session.counts().failures), (4, 0));
    assert_eq!(
        summary(&recording.spans),
        [
            "c1<a 2000-2004 Some(407) resent 0 None",
            "10<a 2004-2010 Some(302) resent 1 None",
            "c2<a 2011-2014 Some(401) resent 2 None",
            "11<a 2014-2020 Some(200) resent 3 None",
        ]
    );
    let marks: Vec<_> = recording.spans.iter().map(|span| request_of(span).challenged).collect();
    assert_eq!(marks, [true, false, true, false]);
    let carried = linked(TRACE, &span_id(0x10).to_string());
    assert_eq!((&recording.spans[0].links[..], recording.spans[1].links.len()), (&[carried][..], 0));
    // All requests of the navigation are over.
    let later = vec![committed(2021.0, 0xa), Observation::TabClosed { time: 2030.0, tab_id: 7 }];
    let recording = recording.observe(later).observe(vec![committed(5000.0, 0xb)]);
    assert!(recording.spans.iter().any(|span| span.id == span_id(0xa)), "{:?}", summary(&recording.spans));
}

#[test]
fn a_challenge_that_was_not_answered_is_a_failure() {
    let recording = Recording::new().observe(vec![
        started(2000.0, "1", 0x10, None),
        challenged(2004.0, "1", 0xc1, 401),
        completed(2005.0, "1", 401),
        started(2010.0, "2", 0x11, None),
        challenged(2014.0, "2", 0xc2, 401),
        failed(2015.0, "2", "net::ERR_ABORTED"),
    ]);
    assert_eq!((recording.session.counts().requests, recording.session.counts().failures), (2, 1));
    assert_eq!(
        summary(&recording.spans),
        [
            "10<f067aa0ba902b7 2000-2005 Some(401) resent 0 Some(Status(401))",
            "11<f067aa0ba902b7 2010-2015 None resent 0 Some(Cancelled)",
        ]
    );
}

#[test]
fn a_redirect_that_the_page_does_not_want_has_no_further_span() {
    let recording = Recording::new().observe(vec![
        started(2000.0, "1", 0x10, None),
        challenged(2001.0, "1", 0xc1, 401),
        redirected(2005.0, "1"),
        stopped(2006.0, "1", "http://shop.test/1", "net::ERR_ABORTED", FailureKind::Cancelled, None),
    ]);
    let ids: Vec<_> = recording.spans.iter().map(|span| span.id).collect();
    assert_eq!(ids, [span_id(0xc1), span_id(0x10)]);
    assert!(recording.session.is_drained());
}

#[test]
fn what_never_left_is_marked_below_its_navigation_and_not_counted() {
    let (page, session) = (Some(0xa), ROOT.trim_start_matches('0'));
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        stopped(2020.0, "2", "http://shop.test/2", "net::ERR_FAILED", FailureKind::Failed, page),
        stopped(2021.0, "3", "http://shop.test/3", "net::ERR_ABORTED", FailureKind::Cancelled, page),
        started(2030.0, "4", 0x14, None),
        redirected(2035.0, "4"),
        // The next hop has another address.
        stopped(2036.0, "4", "http://shop.test/next", "net::ERR_BLOCKED_BY_CLIENT", FailureKind::Blocked, None),
        // The browser starts a request that may only be answered from the cache.
        started(2040.0, "5", 0x15, Some(0xa)),
        stopped(2041.0, "5", "http://shop.test/5", "net::ERR_CACHE_MISS", FailureKind::Blocked, None),
    ]);
    assert_eq!((recording.session.counts().requests, recording.session.counts().failures), (2, 0));
    assert_eq!(
        summary(&recording.spans)[1..],
        [
            "ff<a 2020-2020 None resent 0 Some(Blocked(\"net::ERR_FAILED\"))".to_owned(),
            "ff<a 2021-2021 None resent 0 Some(Cancelled)".to_owned(),
            format!("14<{session} 2030-2035 Some(302) resent 0 None"),
            format!("ff<{session} 2036-2036 None resent 1 Some(Blocked(\"net::ERR_BLOCKED_BY_CLIENT\"))"),
            "15<a 2040-2041 None resent 0 Some(Blocked(\"net::ERR_CACHE_MISS\"))".to_owned(),
        ]
    );
    let unsent: Vec<_> = recording.spans.iter().map(|span| request_of(span).unsent).collect();
    assert_eq!(unsent, [false, true, true, false, true, true]);
}

#[test]
fn a_preflight_without_permission_is_a_failure_of_its_request() {
    let preflight = |time: f64, request: &str, id: u64| {
        let mut observation = started(time, request, id, Some(0xa));
        if let Observation::RequestStarted { method, url, .. } = &mut observation {
            *method = "OPTIONS".into();
            *url = "http://shop.test/2".into();
        }
        observation
    };
    let forbidden = |time| stopped(time, "2", "http://shop.test/2", "net::ERR_FAILED", FailureKind::Failed, Some(0xa));
    let recording = Recording::new().observe(vec![
        preflight(2000.0, "1", 0x10),
        completed(2001.0, "1", 204),
        forbidden(2002.0),
        // The next one was permitted, and what a script stops later is no failure.
        preflight(2010.0, "3", 0x11),
        completed(2011.0, "3", 204),
        started(2012.0, "2", 0x12, Some(0xa)),
        completed(2013.0, "2", 200),
        forbidden(2020.0),
    ]);
    let failures =
        recording.spans.iter().filter(|span| request_of(span).error.as_ref().is_some_and(SpanError::is_failure));
    assert_eq!(failures.map(|span| span.start).collect::<Vec<_>>(), [ns(2002)]);
    assert_eq!((recording.session.counts().requests, recording.session.counts().failures), (3, 1));
    let unsent: Vec<_> = recording.spans.iter().map(|span| request_of(span).unsent).collect();
    assert_eq!(unsent, [false, true, false, false, true]);
}

#[test]
fn what_left_keeps_its_kind_of_failure() {
    let recording = Recording::new().observe(vec![
        started(2000.0, "1", 0x11, None),
        failed(2001.0, "1", "net::ERR_CONNECTION_RESET"),
        started(2010.0, "2", 0x12, None),
        stopped(2011.0, "2", "http://shop.test/2", "net::ERR_BLOCKED_BY_ORB", FailureKind::Blocked, None),
        started(2020.0, "3", 0x13, None),
        stopped(2021.0, "3", "http://shop.test/3", "net::ERR_FAILED", FailureKind::Cancelled, None),
    ]);
    assert_eq!((recording.session.counts().requests, recording.session.counts().failures), (3, 1));
    let errors: Vec<_> = recording.spans.iter().map(|span| request_of(span).error.clone().unwrap()).collect();
    assert_eq!(
        format!("{errors:?}"),
        "[Network(\"net::ERR_CONNECTION_RESET\"), Blocked(\"net::ERR_BLOCKED_BY_ORB\"), Cancelled]"
    );
    assert!(recording.spans.iter().all(|span| !request_of(span).unsent));
}
