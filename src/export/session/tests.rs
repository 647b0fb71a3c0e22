use std::time::Duration;

use super::*;
use crate::base::process::Process;
use crate::observe::observation::{Observation, Response};

fn start() -> SessionStart {
    let context = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;
    SessionStart {
        context: serde_json::from_str(context).unwrap(),
        parent: None,
        links: Vec::new(),
        time: 1_000_000_000,
        resource: opentelemetry_proto::tonic::resource::v1::Resource::default(),
        browser: Process { pid: 1, started: 1 },
        destination: None,
    }
}

/// Returns a batch with two requests, one of which ends.
fn batch(number: u64) -> Observed {
    let started = |id: u64| Observation::RequestStarted {
        time: 2000.0,
        request: id.to_string(),
        span_id: format!("{id:016x}").parse().unwrap(),
        parent: None,
        trace_id: None,
        caller: None,
        link: None,
        method: "GET".into(),
        url: format!("http://shop.test/{}", "x".repeat(1000)),
        resource: "script".into(),
        navigation: None,
        size: None,
    };
    let response = Response { status: 200, ..Response::default() };
    let ended = Observation::RequestCompleted { time: 2001.0, request: (2 * number).to_string(), response };
    let committed = Observation::NavigationCommitted {
        time: 2000.0,
        span_id: "000000000000abcd".parse().unwrap(),
        tab_id: 7,
        url: "http://shop.test/".into(),
        started: 2000.0,
        transition: "link".into(),
    };
    let observations = vec![committed, started(2 * number), started(2 * number + 1), ended];
    Observed { worker: "w".into(), number, dropped: 0, session: None, observations }
}

fn opened(path: &std::path::Path) -> QueuedSession {
    let journal = Journal::open(path, Duration::ZERO).unwrap();
    QueuedSession::with_journal(start(), journal).unwrap()
}

fn ids(session: &QueuedSession) -> Vec<String> {
    session.state.waiting.iter().map(|span| span.id.to_string().trim_start_matches('0').to_owned()).collect()
}

#[test]
fn a_host_continues_where_another_died() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut session = opened(&path);
    for number in 1..=3 {
        session.observe(batch(number)).unwrap();
    }
    session.remove(1, 1, ExportResult::Spooled).unwrap();
    session.remove(0, 1, ExportResult::Exported).unwrap();
    let before = session.state.clone();
    // As if the host were killed.
    drop(session);

    let mut session = opened(&path);
    assert_eq!(session.state, before);
    assert_eq!(ids(&session), ["6"]);
    // The extension repeats a batch that was not acknowledged.
    session.observe(batch(3)).unwrap();
    assert_eq!(session.observation_counts().requests, 3);
    session.close(9_000_000_000).unwrap();
    assert_eq!(session.waiting(), 1 + 3 + 2);
    drop(session);

    let mut session = opened(&path);
    session.close(99_000_000_000).unwrap();
    assert_eq!(session.state.waiting.back().unwrap().end, 9_000_000_000);
    session.remove(0, 6, ExportResult::Exported).unwrap();
    assert_eq!(session.export_counts(), ExportCounts { exported: 7, spooled: 1, ..ExportCounts::default() });
    session.finish();
    assert!(!path.exists());
}

#[test]
fn a_journal_stays_short_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut session = opened(&path);
    for number in 1..=4000 {
        session.observe(batch(number)).unwrap();
        session.remove(0, 1, ExportResult::Exported).unwrap();
        assert!(path.metadata().unwrap().len() < 12 << 20);
    }
    let before = session.state.clone();
    drop(session);
    assert_eq!(opened(&path).state, before);
}

#[test]
fn without_an_export_spans_are_counted_and_not_kept() {
    let mut session = QueuedSession::new(start(), false);
    session.observe(batch(1)).unwrap();
    session.close(5_000_000_000).unwrap();
    assert_eq!((session.waiting(), session.observation_counts().requests), (0, 1));
}

#[test]
fn a_journal_that_is_added_late_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut session = QueuedSession::new(start(), true);
    session.observe(batch(1)).unwrap();
    session.add_journal(Journal::open(&path, Duration::ZERO).unwrap()).unwrap();
    assert!(session.is_in_journal());
    session.observe(batch(2)).unwrap();
    let (observed, waiting) = (session.observation_counts().clone(), session.state.waiting.clone());
    drop(session);
    let again = QueuedSession::of_journal(Journal::open(&path, Duration::from_secs(5)).unwrap()).unwrap().unwrap();
    assert_eq!((again.observation_counts(), &again.state.waiting), (&observed, &waiting));
}
