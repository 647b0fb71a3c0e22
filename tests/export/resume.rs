//! Hosts that die or end in the middle of a session, and what the next one, or `navtrace flush`, makes of what they left.

use std::time::Duration;

use crate::bench::{Bench, Heard, WORKER, expected, wait_until};
use crate::collector::{Behaviour, Collector, attribute, hex};
use crate::observations::{navigates, page, page_ids, span_id, started};

#[test]
fn a_host_that_is_killed_is_followed_by_one_that_goes_on() {
    let bench = Bench::new();
    let heard = Heard::listen();
    let mut first = bench.host_heard_by(&heard);
    let session = first.greet();
    first.observe(&page(1, 3));
    bench.wait_for(4);
    // What a navigation of this batch needs comes with the next one.
    first.observe(&[navigates(20_000.0, "2-1", (2 << 16) + 1, 2 << 16)]);
    first.kill();

    let mut second = bench.host_heard_by(&heard);
    second.resume(&session);
    // The worker does not know that the last batch was safe, and sends it again.
    second.tell(WORKER, 2, &[navigates(20_000.0, "2-1", (2 << 16) + 1, 2 << 16)]);
    second.assert_received(WORKER, 2);
    second.tell(WORKER, 3, &page(2, 3)[1..]);
    second.assert_received(WORKER, 3);
    bench.wait_for(4 + 4);
    // The first one's browser is the browser: its journal says so.
    first.kill_browser();
    second.end();
    bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 3)]));
    assert!(bench.collector.spans().iter().all(|span| attribute(span, "navtrace.unfinished").is_empty()));
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
    assert_eq!(second.said(), "");
    // Both hosts together: the summary of `navtrace run` has one line for them.
    let trace = heard.trace();
    assert_eq!((trace.counts.navigations, trace.counts.requests), (2, 6));
    assert_eq!(trace.exported.unwrap().exported, 4 + 4 + 1);
}

#[test]
fn spans_that_a_killed_host_could_not_send_are_sent_by_the_next() {
    let mut bench = Bench::with(Collector::down());
    let mut first = bench.host_of_browser();
    let session = first.greet();
    first.observe(&page(1, 3));
    first.observe(&page(2, 3));
    first.kill();
    assert_eq!((bench.journals().len(), bench.spooled().len()), (1, 0));
    bench.collector.up();
    let mut second = bench.host_of_browser();
    second.resume(&session);
    bench.wait_for(4 + 4);
    second.tell(WORKER, 3, &page(3, 1));
    second.assert_received(WORKER, 3);
    second.end();
    bench.assert_tree(&session, &expected([page_ids(1, 3), page_ids(2, 3), page_ids(3, 1)]));
}

#[test]
fn a_host_that_is_killed_while_its_spans_are_on_their_way_loses_none() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Silent);
    let mut first = bench.host_of_browser();
    let session = first.greet();
    first.observe(&page(1, 3));
    bench.wait_for_requests(1);
    first.kill();
    bench.collector.behave(Behaviour::Accepts);
    let mut second = bench.host_of_browser();
    second.resume(&session);
    second.end();
    bench.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn a_host_that_ends_while_the_browser_goes_on_leaves_the_session_to_the_next() {
    let mut bench = Bench::with(Collector::down());
    let mut first = bench.host();
    let session = first.greet();
    first.observe(&page(1, 3));
    assert!(first.leave().success());
    assert_eq!((bench.journals().len(), bench.spooled().len()), (1, 0));
    // A flush leaves it alone as well: its browser lives.
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    assert_eq!(bench.journals().len(), 1);

    bench.collector.up();
    // And so does the host of another browser.
    let mut stranger = bench.host_of_browser();
    stranger.greet();
    stranger.end();
    assert_eq!((bench.journals().len(), bench.collector.spans().len()), (1, 0));

    let mut second = bench.host();
    second.resume(&session);
    bench.wait_for(4);
    second.tell(WORKER, 2, &page(2, 3));
    second.assert_received(WORKER, 2);
    bench.wait_for(8);
    assert!(second.leave().success());
    // The root is not there before the browser has gone.
    assert_eq!(bench.collector.spans().len(), 8);
    assert_eq!(bench.journals().len(), 1);
}

#[test]
fn a_session_without_observations_leaves_nothing() {
    let bench = Bench::new();
    let mut host = bench.host();
    host.greet();
    wait_until("the journal is there", || bench.journals().len() == 1);
    assert!(host.leave().success());
    assert_eq!((bench.journals().len(), bench.collector.arrived().len()), (0, 0));
    let mut host = bench.host_of_browser();
    host.greet();
    host.end();
    assert_eq!((bench.journals().len(), bench.spooled().len(), bench.collector.arrived().len()), (0, 0, 0));
}

#[test]
fn a_browser_and_a_host_that_are_killed_together_leave_a_session_that_flush_ends() {
    let mut bench = Bench::with(Collector::down());
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&page(1, 3));
    host.observe(&[navigates(20_000.0, "2", 0x20_0001, 0x20_0000), started(20_001.0, "3", 0x20_0002, Some(0x20_0000))]);
    host.kill();
    bench.collector.up();
    // As long as the browser lives, another host may come.
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
    host.kill_browser();
    assert_eq!(bench.flush(), (0, format!("navtrace: 8 spans sent to {}\n", bench.target())));
    let open = [0x20_0000, 0x20_0001, 0x20_0002].map(|id| span_id(id).to_string());
    bench.assert_tree(&session, &expected([page_ids(1, 3), open.to_vec()]));
    let unfinished: Vec<_> = bench
        .collector
        .spans()
        .into_iter()
        .filter(|span| !attribute(span, "navtrace.unfinished").is_empty())
        .map(|span| hex(&span.span_id))
        .collect();
    assert_eq!(unfinished.len(), 3, "{unfinished:?}");
    assert!(open.iter().all(|id| unfinished.contains(id)), "{unfinished:?}");
    assert_eq!((bench.journals().len(), bench.spooled().len()), (0, 0));
    assert_eq!(bench.flush(), (0, "navtrace: there is nothing to send\n".to_owned()));
}

#[test]
fn the_next_browser_sends_what_a_killed_one_left() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    bench.collector.behave(Behaviour::Silent);
    let session = host.greet();
    host.observe(&page(1, 3));
    host.kill_both();
    bench.collector.behave(Behaviour::Accepts);
    let mut next = bench.host_of_browser();
    next.greet();
    bench.wait_for(5);
    bench.assert_tree(&session, &page_ids(1, 3));
    next.end();
    assert_eq!((bench.journals().len(), bench.spooled().len(), bench.collector.spans().len()), (0, 0, 5));
}

#[test]
fn a_host_that_comes_before_the_last_one_has_gone_waits_for_it() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Slow(Duration::from_millis(700)));
    let mut first = bench.host();
    let session = first.greet();
    first.observe(&page(1, 3));
    bench.wait_for_requests(1);
    // Its request is still on its way when its channel ends, and when the next host has said hello.
    first.close_channel();
    let mut second = bench.host();
    second.resume(&session);
    second.tell(WORKER, 2, &page(2, 3));
    // It answers everything but what it has nowhere to put yet.
    assert!(second.replenish() < Duration::from_secs(1));
    second.assert_received(WORKER, 2);
    bench.wait_for(8);
    assert!(first.leave().success() && second.leave().success());
    let spans = bench.collector.spans();
    let found: std::collections::BTreeSet<_> = crate::bench::ids(&spans).into_iter().collect();
    assert_eq!((spans.len(), found.len()), (8, 8), "{found:?}");
    assert_eq!(first.said() + &second.said(), "");
}

#[test]
fn a_session_whose_journal_another_host_does_not_let_go_goes_on_without_one() {
    // Nobody knows what such a host is about; this one must not wait for it for good.
    let bench = Bench::new();
    let mut first = bench.host();
    let session = first.greet();
    first.observe(&page(1, 3));
    bench.wait_for(4);
    let mut second = bench.host_of_browser();
    second.resume(&session);
    second.tell(WORKER, 2, &page(2, 3));
    second.assert_received(WORKER, 2);
    second.hear("the session's journal can't be used");
    bench.wait_for(8);
    second.end();
    assert!(second.said().contains("Resource temporarily unavailable"), "{}", second.said());
}
