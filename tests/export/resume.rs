//! Tests hosts that die or exit during a session, and how the next host or `navtrace flush` continues.

use std::fs;
use std::time::Duration;

use navtrace::testing::Observation;

use crate::collector::{Behaviour, Collector, attribute, hex};
use crate::host::WORKER;
use crate::observations::{all_ids, committed, navigates, page, page_ids, span_id, started};
use crate::reports::Reports;
use crate::setup::{ExportTest, is_locked, wait_until};

#[test]
fn the_next_host_continues_the_session_of_a_killed_one() {
    let test = ExportTest::new();
    let reports = Reports::listen();
    let mut first = test.host_with_reports(&reports);
    let session = first.start_session();
    first.observe(&page(1, 3));
    // A host that is killed before it has read the answer leaves spans that the next one sends again.
    first.wait_for_exporter("4 spans are exported", |state| state["exported"] == 4);
    // The navigation of this batch ends in the next one.
    first.observe(&[navigates(20_000.0, "2-1", (2 << 16) + 1, 2 << 16)]);
    first.kill();

    let mut second = test.host_with_reports(&reports);
    second.resume(&session);
    // The worker got no acknowledgment of the last batch, so it sends that again.
    second.send_batch(WORKER, 2, &[navigates(20_000.0, "2-1", (2 << 16) + 1, 2 << 16)]);
    second.assert_received(WORKER, 2);
    second.send_batch(WORKER, 3, &page(2, 3)[1..]);
    second.assert_received(WORKER, 3);
    test.wait_for_spans(4 + 4);
    // The journal names the browser of the first host.
    first.kill_browser();
    second.end();
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 3)]));
    assert!(test.collector.spans().iter().all(|span| attribute(span, "navtrace.unfinished").is_empty()));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
    assert_eq!(second.stderr(), "");
    // Both hosts report on one trace, so the summary of `navtrace run` has one line.
    let trace = reports.trace();
    assert_eq!((trace.counts.navigations, trace.counts.requests), (2, 6));
    assert_eq!(trace.exported.unwrap().exported, 4 + 4 + 1);
}

#[test]
fn the_next_host_sends_what_a_killed_one_could_not() {
    // Also the link to the context in the environment.
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut test = ExportTest::with(Collector::down()).set("TRACEPARENT", parent).set("NAVTRACE_PARENT", "link");
    let mut first = test.host_with_browser();
    let session = first.start_session();
    first.observe(&page(1, 3));
    first.observe(&page(2, 3));
    first.kill();
    assert_eq!((test.journals().len(), test.spooled().len()), (1, 0));
    test.collector.up();
    let mut second = test.host_with_browser();
    second.resume(&session);
    test.wait_for_spans(4 + 4);
    second.send_batch(WORKER, 3, &page(3, 1));
    second.assert_received(WORKER, 3);
    second.end();
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 3), page_ids(3, 1)]));
    for span in test.collector.spans() {
        let links: Vec<_> = span.links.iter().map(|link| hex(&link.trace_id)).collect();
        let expected = if span.parent_span_id.is_empty() { &["4bf92f3577b34da6a3ce929d0e0e4736"][..] } else { &[] };
        assert_eq!(links, expected, "{}", span.name);
    }
}

#[test]
fn a_host_killed_during_an_export_loses_no_span() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Silent);
    let mut first = test.host_with_browser();
    let session = first.start_session();
    first.observe(&page(1, 3));
    test.wait_for_requests(1);
    first.kill();
    test.collector.behave(Behaviour::Accepts);
    let mut second = test.host_with_browser();
    second.resume(&session);
    second.end();
    test.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn a_host_that_exits_first_leaves_its_session_to_the_next() {
    let mut test = ExportTest::with(Collector::down());
    let mut first = test.host();
    let session = first.start_session();
    first.observe(&page(1, 3));
    assert!(first.close_and_wait().success());
    assert_eq!((test.journals().len(), test.spooled().len()), (1, 0));
    // A flush does not touch the journal of a browser that runs.
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!(test.journals().len(), 1);

    test.collector.up();
    // Neither does the host of another browser.
    let mut stranger = test.host_with_browser();
    stranger.start_session();
    stranger.end();
    assert_eq!((test.journals().len(), test.collector.spans().len()), (1, 0));

    let mut second = test.host();
    second.resume(&session);
    test.wait_for_spans(4);
    second.send_batch(WORKER, 2, &page(2, 3));
    second.assert_received(WORKER, 2);
    test.wait_for_spans(8);
    assert!(second.close_and_wait().success());
    // The root span ends with the browser.
    assert_eq!(test.collector.spans().len(), 8);
    assert_eq!(test.journals().len(), 1);
}

#[test]
fn an_empty_session_leaves_nothing() {
    let test = ExportTest::new();
    let mut host = test.host();
    host.start_session();
    wait_until("the journal is there", || test.journals().len() == 1);
    assert!(host.close_and_wait().success());
    assert_eq!((test.journals().len(), test.collector.arrived().len()), (0, 0));
    let mut host = test.host_with_browser();
    host.start_session();
    host.end();
    assert_eq!((test.journals().len(), test.spooled().len(), test.collector.arrived().len()), (0, 0, 0));
}

#[test]
fn flush_ends_a_session_whose_browser_was_killed() {
    let mut test = ExportTest::with(Collector::down());
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.observe(&[navigates(20_000.0, "2", 0x20_0001, 0x20_0000), started(20_001.0, "3", 0x20_0002, Some(0x20_0000))]);
    host.kill();
    test.collector.up();
    // While the browser runs, another host may come.
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    host.kill_browser();
    assert_eq!(test.flush(), (0, format!("navtrace: 8 spans sent to {}\n", test.target())));
    let open = [0x20_0000, 0x20_0001, 0x20_0002].map(|id| span_id(id).to_string());
    test.assert_tree(&session, &all_ids([page_ids(1, 3), open.to_vec()]));
    let unfinished: Vec<_> = test
        .collector
        .spans()
        .into_iter()
        .filter(|span| !attribute(span, "navtrace.unfinished").is_empty())
        .map(|span| hex(&span.span_id))
        .collect();
    assert_eq!(unfinished.len(), 3, "{unfinished:?}");
    assert!(open.iter().all(|id| unfinished.contains(id)), "{unfinished:?}");
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
    assert_eq!(test.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn the_next_browser_sends_the_spans_of_a_killed_one() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    test.collector.behave(Behaviour::Silent);
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.kill_both();
    test.collector.behave(Behaviour::Accepts);
    let mut next = test.host_with_browser();
    next.start_session();
    test.wait_for_spans(5);
    test.assert_tree(&session, &page_ids(1, 3));
    next.end();
    assert_eq!((test.journals().len(), test.spooled().len(), test.collector.spans().len()), (0, 0, 5));
}

#[test]
fn a_host_waits_for_the_one_before_to_exit() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Slow(Duration::from_millis(700)));
    let mut first = test.host();
    let session = first.start_session();
    first.observe(&page(1, 3));
    test.wait_for_requests(1);
    // Its request is unanswered when its channel is closed and the next host starts.
    first.close_channel();
    let mut second = test.host();
    second.resume(&session);
    second.send_batch(WORKER, 2, &page(2, 3));
    // The next host answers at once, but acknowledges batches only when it has the journal.
    assert!(second.replenish() < Duration::from_secs(1));
    second.assert_received(WORKER, 2);
    test.wait_for_spans(8);
    assert!(first.close_and_wait().success() && second.close_and_wait().success());
    let spans = test.collector.spans();
    let found: std::collections::BTreeSet<_> = crate::tree::ids(&spans).into_iter().collect();
    assert_eq!((spans.len(), found.len()), (8, 8), "{found:?}");
    assert_eq!(first.stderr() + &second.stderr(), "");
}

#[test]
fn a_session_continues_without_a_locked_journal() {
    // A host that does not exit keeps its journal locked. The next host waits only for a while.
    let test = ExportTest::new();
    let mut first = test.host();
    let session = first.start_session();
    first.observe(&page(1, 3));
    test.wait_for_spans(4);
    let mut second = test.host_with_browser();
    second.resume(&session);
    second.send_batch(WORKER, 2, &page(2, 3));
    second.assert_received(WORKER, 2);
    second.wait_for_stderr("the session's journal can't be used");
    test.wait_for_spans(8);
    second.end();
    assert!(second.stderr().contains("Resource temporarily unavailable"), "{}", second.stderr());
}

#[test]
fn a_session_that_the_next_host_waits_for_ends_once() {
    let test = ExportTest::new();
    let (mut first, mut second) = (test.host_with_browser(), test.host_with_browser());
    let session = first.start_session();
    first.observe(&page(1, 3));
    first.close_channel();
    second.resume(&session);
    let is_awaited =
        || test.journals().iter().any(|path| path.extension() == Some("awaited".as_ref()) && is_locked(path));
    wait_until("the second host waits for the journal", is_awaited);
    // The session's browser ends while the first host still waits for that.
    first.kill_browser();
    second.send_batch("other", 1, &page(2, 1));
    second.assert_received("other", 1);
    second.end();
    first.wait_for_exit();
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 1)]));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}

#[test]
fn a_session_that_has_ended_does_not_end_again() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Silent);
    let (mut first, mut second) = (test.host_with_browser(), test.host_with_browser());
    let session = first.start_session();
    first.observe(&page(1, 3));
    test.wait_for_requests(1);
    first.kill_browser();
    let has_ended =
        || test.journals().iter().any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("\"closed\":{")));
    wait_until("the session ends", has_ended);
    second.resume(&session);
    first.wait_for_exit();
    test.collector.behave(Behaviour::Accepts);
    let mut open = committed(9000.0, 1 << 16);
    if let Observation::NavigationCommitted { transition, .. } = &mut open {
        *transition = "already-open".to_owned();
    }
    second.send_batch("other", 1, &[vec![open], page(2, 1)].concat());
    second.assert_received("other", 1);
    second.end();
    test.flush();
    test.assert_tree(&session, &all_ids([page_ids(1, 3), page_ids(2, 1)]));
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}
