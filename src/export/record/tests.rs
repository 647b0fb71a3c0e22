use std::time::Duration;

use super::*;
use crate::observe::observation::{Observation, Response};

fn begun() -> Begun {
    let context = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;
    Begun {
        context: serde_json::from_str(context).unwrap(),
        parent: None,
        time: 1_000_000_000,
        resource: Resource::default(),
        browser: Process { pid: 1, started: 1 },
    }
}

/// A batch of two requests, one of which ends.
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

fn opened(path: &std::path::Path) -> Record {
    let journal = Journal::open(path, Duration::ZERO).unwrap();
    Record::with_journal(begun(), journal).unwrap()
}

fn ids(record: &Record) -> Vec<String> {
    record.waiting().iter().map(|span| span.id.to_string().trim_start_matches('0').to_owned()).collect()
}

#[test]
fn a_host_goes_on_where_another_died() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut record = opened(&path);
    for number in 1..=3 {
        record.observe(batch(number)).unwrap();
    }
    record.settle(1, 1, Fate::Spooled).unwrap();
    record.settle(0, 1, Fate::Exported).unwrap();
    let before = record.sum.clone();
    // As when it is killed: nothing is said.
    drop(record);

    let mut record = opened(&path);
    assert_eq!(record.sum, before);
    assert_eq!(ids(&record), ["6"]);
    // The extension sends again what was not acknowledged.
    record.observe(batch(3)).unwrap();
    assert_eq!(record.tally().requests, 3);
    record.close(9_000_000_000).unwrap();
    assert_eq!(record.waiting().len(), 1 + 3 + 2);
    drop(record);

    let mut record = opened(&path);
    record.close(99_000_000_000).unwrap();
    assert_eq!(record.waiting().back().unwrap().end, 9_000_000_000);
    record.settle(0, 6, Fate::Exported).unwrap();
    assert_eq!(record.exported(), Exported { exported: 7, spooled: 1, ..Exported::default() });
    record.finish();
    assert!(!path.exists());
}

#[test]
fn a_journal_stays_short_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut record = opened(&path);
    for number in 1..=4000 {
        record.observe(batch(number)).unwrap();
        record.settle(0, 1, Fate::Exported).unwrap();
        assert!(path.metadata().unwrap().len() < 12 << 20);
    }
    let before = record.sum.clone();
    drop(record);
    assert_eq!(opened(&path).sum, before);
}

#[test]
fn without_a_use_for_spans_none_wait() {
    let mut record = Record::new(begun(), false);
    record.observe(batch(1)).unwrap();
    record.close(5_000_000_000).unwrap();
    assert_eq!((record.waiting().len(), record.tally().requests), (0, 1));
}

#[test]
fn a_record_that_gets_its_journal_late_has_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut record = Record::new(begun(), true);
    record.observe(batch(1)).unwrap();
    record.protect(Journal::open(&path, Duration::ZERO).unwrap()).unwrap();
    assert!(record.is_safe());
    record.observe(batch(2)).unwrap();
    let (tally, waiting) = (record.tally().clone(), record.waiting().clone());
    drop(record);
    let again = Record::of_journal(Journal::open(&path, Duration::from_secs(5)).unwrap()).unwrap().unwrap();
    assert_eq!((again.tally(), again.waiting()), (&tally, &waiting));
}
