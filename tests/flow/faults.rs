//! A host that dies, and a browser that never had one: headers go on.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, assert_own_spans, traceparent, turn};
use crate::browser::{Browser, hosts, without_host};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::Collector;

/// How many hosts are killed, one after the other.
const KILLED: usize = 3;

/// When hosts are killed, by the time since the collector last got something, of which the next one must know. What is on
/// its way just then would be sent again, as OTLP has it: nobody knows whether it arrived. Spans wait for 200 ms before
/// they are sent.
const QUIET: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(150);

/// Kills a host of this test's own browser; one that has ended meanwhile is not there to be killed.
fn kill(id: u32) -> bool {
    Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_host_that_is_killed_is_started_again_and_continues_the_trace() {
    let _turn = turn();
    let bench = Bench::new();
    let collector = Collector::start();
    let mut command = bench.traced_command("pages.js", &[("ITERATIONS", "1"), ("SECONDS", "8")]);
    command.envs(Environment::exporting(&collector.endpoint()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut killed = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let quiet = collector.arrived().last().is_some_and(|last| QUIET.contains(&last.at.elapsed()));
        for host in quiet.then(|| hosts(&bench)).into_iter().flatten() {
            if killed.len() < KILLED && !killed.contains(&host) && kill(host) {
                killed.push(host);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = bench.finished(&child.wait_with_output().unwrap());
    println!("{} hosts were killed while {} requests were made", killed.len(), run.requests.len());
    assert_eq!(killed.len(), KILLED, "a killed host is replaced while the browser lives");
    assert_eq!(run.trace_ids().len(), 1);
    assert_own_spans(&run.requests);
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    bench.assert_nothing_left();

    // What a host knew when it was killed, the next one knows.
    let spans = collector.spans();
    let trace = Trace::of(run.trace_ids().first().unwrap(), &spans);
    assert_eq!(trace.spans().count(), spans.len(), "there is no other trace");
    assert_eq!(trace.without(&run.requests), [""; 0], "requests without a span");
    let unfinished: Vec<_> = trace.requests().filter(|span| is_unfinished(span)).collect();
    assert!(unfinished.is_empty(), "what hosts died during was not lost: {unfinished:#?}");
    assert_no_journal(&bench);
    assert_eq!(spooled(&bench), []);
}

#[test]
fn without_a_host_the_extension_issues_contexts_of_its_own() {
    let _turn = turn();
    for granted in [true, false] {
        let bench = Bench::new();
        let browser = Browser::start(without_host(&bench, granted), &bench);
        browser.until_armed();
        for nav in ["first", "second"] {
            browser.load(nav);
        }
        let requests = bench.site.requests();
        let headers: Vec<_> = requests.iter().map(traceparent).collect();
        assert!(headers.len() >= 8);
        assert!(headers.iter().all(|header| header.trace_id == headers[0].trace_id && header.sampled()));
        let spans: BTreeSet<_> = headers.iter().map(|header| &header.span_id).collect();
        // The grant is found out, not assumed.
        assert_eq!(spans.len(), if granted { headers.len() } else { 2 }, "a span id per request, or per navigation");
    }
}
