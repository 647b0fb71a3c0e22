//! Requests that are under way when their browser context closes.

use super::*;

fn left(time: f64, request: &str) -> Observation {
    Observation::RequestLeft { time, request: request.into() }
}

#[test]
fn a_left_request_without_an_end_was_cancelled() {
    let recording = Recording::new().observe(vec![
        navigates(2000.0, "1", 0x10, 0xa),
        completed(2010.0, "1", 200),
        committed(2012.0, 0xa),
        started(2020.0, "2", 0x11, Some(0xa)),
        left(2100.0, "2"),
        left(2100.0, "unknown"),
        Observation::TabClosed { time: 2101.0, tab_id: 7 },
        started(32_099.0, "3", 0x12, None),
    ]);
    assert_eq!(recording.spans.len(), 1, "its own end may follow");
    let recording = recording.observe(vec![completed(32_102.0, "3", 200)]);
    let counts = recording.session.counts();
    assert_eq!((counts.requests, counts.failures), (3, 0));
    assert_eq!(
        summary(&recording.spans[1..]),
        [
            "12<f067aa0ba902b7 32099-32102 Some(200) resent 0 None",
            "11<a 2020-2100 None resent 0 Some(Cancelled)",
            "a<f067aa0ba902b7 1998-2100 navigation committed None",
        ]
    );
}

#[test]
fn a_browser_that_ends_waits_for_no_left_request() {
    let spans = Recording::new()
        .observe(vec![
            started(2000.0, "1", 0x10, None),
            started(2001.0, "2", 0x11, None),
            redirected(2002.0, "2"),
            left(2100.0, "1"),
            left(2100.0, "2"),
            started(2101.0, "2", 0x12, None),
        ])
        .close(2500);
    assert_eq!(
        summary(&spans),
        [
            "11<f067aa0ba902b7 2001-2002 Some(302) resent 0 None",
            "10<f067aa0ba902b7 2000-2100 None resent 0 Some(Cancelled)",
            "12<f067aa0ba902b7 2101-2101 None resent 1 Some(Cancelled)",
            "f067aa0ba902b7<- 1000-2500 session",
        ]
    );
}

#[test]
fn a_left_request_that_goes_on_has_its_own_end() {
    let spans = Recording::new()
        .observe(vec![
            started(2000.0, "1", 0x10, None),
            left(2100.0, "1"),
            completed(2150.0, "1", 204),
            started(39_000.0, "2", 0x11, None),
            completed(39_001.0, "2", 200),
        ])
        .spans;
    assert_eq!(summary(&spans)[0], "10<f067aa0ba902b7 2000-2150 Some(204) resent 0 None");
}
