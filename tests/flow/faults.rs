//! Tests a host that dies, and a browser without any: requests still carry headers.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser::{Browser, hosts, without_host};
use crate::browser_test::{BrowserTest, assert_own_spans, beside_others, traceparent};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::Collector;

/// Number of hosts that are killed, one after the other.
const KILLED: usize = 3;

/// Limit of the time in which hosts are killed.
const LIMIT: Duration = Duration::from_secs(60);

/// Kills a host of the test's browser. Returns false if it has exited already.
fn kill(id: u32) -> bool {
    Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

/// Merges what a host had exported when it was killed, before it could note that, with what the next one exported again.
fn once(spans: Vec<Span>) -> Vec<Span> {
    let mut by_id = BTreeMap::new();
    for span in spans {
        if let Some(before) = by_id.insert(span.span_id.clone(), span.clone()) {
            assert_eq!(before, span, "a span that is exported again is the same");
        }
    }
    by_id.into_values().collect()
}

#[test]
fn a_killed_host_is_replaced_and_the_trace_continues() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let collector = Collector::start();
    let mut command = test.traced_command("pages.js", &[("UNTIL_STOPPED", "1")]);
    command.envs(Environment::exporting(&collector.endpoint()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let (mut killed, mut current, mut seen, mut stopped) = (Vec::new(), None, 0, false);
    while child.try_wait().unwrap().is_none() {
        // Each host exports something before it is killed, and the last one before the end. What arrives before a host is there is still from the
        // killed one.
        let exports = collector.arrived().len();
        let host = hosts(&test).into_iter().find(|host| !killed.contains(host));
        if host != current {
            (current, seen) = (host, exports);
        }
        let due = current.is_some() && exports > seen && !stopped;
        if start.elapsed() > LIMIT && !stopped || due && killed.len() == KILLED {
            test.stop();
            stopped = true;
        } else if due && let Some(host) = current.filter(|host| kill(*host)) {
            killed.push(host);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = test.finished(&child.wait_with_output().unwrap());
    println!("{} hosts were killed while {} requests were made", killed.len(), run.requests.len());
    assert_eq!(killed.len(), KILLED, "a killed host is replaced while the browser lives");
    assert_eq!(run.trace_ids().len(), 1);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    test.assert_nothing_left();

    // The next host knows everything that a killed one knew.
    let spans = once(collector.spans());
    let trace = Trace::of(run.trace_ids().first().unwrap(), &spans);
    assert_eq!(trace.spans().count(), spans.len(), "there is no other trace");
    assert_eq!(trace.without(&run.requests), [""; 0], "requests without a span");
    let unfinished: Vec<_> = trace.requests().filter(|span| is_unfinished(span)).collect();
    assert!(unfinished.is_empty(), "what hosts died during was not lost: {unfinished:#?}");
    assert_no_journal(&test);
    assert_eq!(spooled(&test), []);
}

#[test]
fn the_extension_works_without_a_host() {
    let _guard = beside_others();
    for granted in [true, false] {
        let test = BrowserTest::new();
        let browser = Browser::start(without_host(&test, granted), &test);
        browser.until_armed();
        // Without the grant the mode is lightweight, where the first requests of a page may overtake the change of the rules.
        let page = if granted { "/page" } else { "/settled" };
        for nav in ["first", "second"] {
            browser.load_page(page, nav);
        }
        let mut requests = test.site.requests();
        requests.retain(|request| request.label() != "settling");
        let headers: Vec<_> = requests.iter().map(traceparent).collect();
        assert!(headers.len() >= 8);
        assert!(headers.iter().all(|header| header.trace_id == headers[0].trace_id && header.sampled()));
        let spans: BTreeSet<_> = headers.iter().map(|header| &header.span_id).collect();
        // The extension finds out whether it is granted.
        assert_eq!(spans.len(), if granted { headers.len() } else { 2 }, "a span id per request, or per navigation");
    }
}
