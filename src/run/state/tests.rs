use std::time::Duration;

use super::*;

fn session(id: &str) -> Report {
    by_span(id, "00f067aa0ba902b7")
}

fn by_span(id: &str, span_id: &str) -> Report {
    Report::Session {
        trace_id: id.parse().unwrap(),
        span_id: span_id.parse().unwrap(),
        sampled: true,
        off_the_record: true,
    }
}

const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TWO: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn a_restarted_host_continues_its_session() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let counts = |navigations| Report::Counts(SessionCounts { navigations, ..SessionCounts::default() });
    let mut state = RunState::default();
    state.connected(0);
    state.apply(0, session(ONE), at(0));
    state.apply(0, counts(1), at(1));
    state.disconnected(0, at(2));
    assert_eq!(state.sessions[0].ended, Some(at(2)));
    state.connected(1);
    state.connected(2);
    state.apply(1, session(TWO), at(3));
    state.apply(2, session(ONE), at(4));
    assert_eq!(state.sessions[0].ended, None);
    state.apply(2, counts(2), at(5));
    // The host still has spans to send.
    state.apply(2, Report::ChannelEnded, at(6));
    state.disconnected(2, at(9));
    state.disconnected(1, at(7));
    let summary: Vec<_> = state
        .sessions
        .iter()
        .map(|session| (session.trace_id.to_string(), session.counts.navigations, session.started, session.ended))
        .collect();
    assert_eq!(summary, [(ONE.to_owned(), 2, at(0), Some(at(6))), (TWO.to_owned(), 0, at(3), Some(at(7)))]);
}

#[test]
fn a_session_whose_counts_come_late_is_kept() {
    let now = Instant::now();
    let mut state = RunState::default();
    state.connected(0);
    state.connected(1);
    state.apply(0, session(ONE), now);
    state.apply(1, by_span(ONE, "b7ad6b7169203331"), now);
    state.apply(0, session(TWO), now);
    let counts = |requests| SessionCounts { requests, ..SessionCounts::default() };
    let (trace_id, span_id) = (ONE.parse().unwrap(), "00f067aa0ba902b7".parse().unwrap());
    let past = Report::Past { trace_id, span_id, counts: counts(3), exported: ExportCounts::default() };
    state.apply(0, past, now);
    state.apply(0, Report::Counts(counts(2)), now);
    state.apply(1, Report::Counts(counts(1)), now);
    let found: Vec<_> =
        state.sessions.iter().map(|session| (session.trace_id.to_string(), session.counts.requests)).collect();
    assert_eq!(found, [(ONE.to_owned(), 1), (ONE.to_owned(), 3), (TWO.to_owned(), 2)]);
    assert_eq!(state.sessions[1].ended, Some(now));
}

#[test]
fn sessions_of_one_trace_are_kept_apart() {
    let now = Instant::now();
    let mut state = RunState::default();
    for (connection, span_id) in ["00f067aa0ba902b7", "b7ad6b7169203331"].into_iter().enumerate() {
        state.connected(connection);
        state.apply(connection, by_span(ONE, span_id), now);
        state.apply(
            connection,
            Report::Counts(SessionCounts { requests: connection + 1, ..SessionCounts::default() }),
            now,
        );
    }
    assert_eq!(state.sessions.iter().map(|session| session.counts.requests).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_unused_session_of_a_late_host_is_forgotten() {
    let now = Instant::now();
    let mut state = RunState::default();
    for connection in 0..2 {
        state.connected(connection);
    }
    state.apply(0, session(ONE), now);
    state.apply(1, session(TWO), now);
    state.apply(0, session("00000000000000000000000000000abc"), now);
    state.apply(1, Report::Counts(SessionCounts { navigations: 1, ..SessionCounts::default() }), now);
    let ids: Vec<_> =
        state.sessions.iter().map(|session| (session.trace_id.to_string(), session.counts.navigations)).collect();
    assert_eq!(ids, [(TWO.to_owned(), 1), ("00000000000000000000000000000abc".to_owned(), 0)]);
}

#[test]
fn a_problem_is_returned_once_and_counted() {
    let mut state = RunState::default();
    let problem = Report::Problem { message: "no".into() };
    state.connected(0);
    assert_eq!(state.apply(0, problem.clone(), Instant::now()), Some("no".into()));
    assert_eq!(state.apply(0, problem, Instant::now()), None);
    assert_eq!(state.problems["no"], 2);
    for number in 0..100 {
        state.apply(0, Report::Problem { message: number.to_string() }, Instant::now());
    }
    assert_eq!((state.problems.len(), state.further_problems), (MAX_PROBLEMS, 91));
}
