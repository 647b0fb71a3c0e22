//! The extension's worker stays alive, and when it goes all the same, no request is stuck and detailed mode comes back.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::browser::{Browser, DevTools, wait_until, without_host};
use crate::k6::{Bench, Run, assert_own_spans, script_path, traceparent, turn};
use crate::support::site::Recorded;

/// Within this time detailed mode must be back.
const BACK: Duration = Duration::from_secs(1);

/// Chromium stops a worker that has been idle for 30 s.
const IDLE: Duration = Duration::from_secs(40);

/// What arrived from the pages, and when a script said that it did something to the worker.
struct Told {
    requests: Vec<Recorded>,
    faults: Vec<Instant>,
}

impl Told {
    fn by(run: Run) -> Self {
        let (faults, requests) = run.requests.into_iter().partition::<Vec<_>, _>(|request| request.label() == "fault");
        Self { requests, faults: faults.into_iter().map(|fault| fault.at).collect() }
    }

    /// Nothing that arrives in the second after a fault is asked for more than that it arrives: what the worker was being asked about when it
    /// went leaves as it is, and the request that wakes the next worker may carry a trace of its own.
    fn assert_recovered(&self, least_faults: usize) {
        assert!(self.faults.len() >= least_faults, "{} faults", self.faults.len());
        let soon = |request: &&Recorded| self.faults.iter().any(|fault| (*fault..*fault + BACK).contains(&request.at));
        let (meanwhile, after): (Vec<_>, Vec<_>) = self.requests.iter().partition(soon);
        let bare = meanwhile.iter().filter(|request| request.traceparent.is_empty()).count();
        println!(
            "{} faults; of {} requests in the second after one, {bare} had no header; {} requests at other times",
            self.faults.len(),
            meanwhile.len(),
            after.len()
        );
        for fault in &self.faults {
            let later = after.iter().filter(|request| request.at > *fault).count();
            assert!(later >= 5, "only {later} requests came later than {BACK:?} after a fault");
        }
        let after: Vec<Recorded> = after.into_iter().cloned().collect();
        assert_own_spans(&after);
        let traces: BTreeSet<_> = after.iter().map(|request| traceparent(request).trace_id).collect();
        assert_eq!(traces.len(), 1, "one trace, faults or not");
    }
}

fn with_playwright(bench: &Bench, fault: &str) -> Told {
    let mut command = bench.environment.navtrace(["run", "--", "node"]);
    command.arg(script_path("worker.mjs")).env("SITE", bench.site.main()).env("FAULT", fault).stdin(Stdio::null());
    Told::by(bench.run(command))
}

#[test]
fn a_worker_that_is_killed_comes_back_under_playwright() {
    let _turn = turn();
    let bench = Bench::new();
    with_playwright(&bench, "kill").assert_recovered(3);
    bench.assert_nothing_left();
}

#[test]
fn an_extension_that_is_reloaded_goes_on_with_the_trace() {
    let _turn = turn();
    let bench = Bench::new();
    with_playwright(&bench, "reload").assert_recovered(2);
    bench.assert_nothing_left();
}

/// k6 1.8.1 pauses every worker that starts while it is attached, and does not let go of it. One that is started again it holds already,
/// from before: that one runs.
#[test]
fn a_worker_that_is_killed_comes_back_under_k6() {
    let _turn = turn();
    let bench = Bench::new();
    let mut command = bench.traced_command("pages.js", &[("ITERATIONS", "1"), ("PAGES", "24")]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut faults: Vec<Instant> = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let settled = faults.last().is_none_or(|fault| fault.elapsed() > 2 * BACK);
        if settled
            && faults.len() < 3
            && !bench.site.requests().is_empty()
            && let Some(devtools) = DevTools::of_client(&bench)
            && devtools.close_worker()
        {
            faults.push(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = bench.finished(&child.wait_with_output().unwrap());
    Told { requests: run.requests, faults }.assert_recovered(2);
    bench.assert_nothing_left();
}

#[test]
fn the_worker_stays_alive_with_and_without_a_host() {
    let _turn = turn();
    let [alone, hosted] = [Bench::new(), Bench::new()];
    let with_host = hosted.environment.navtrace(["launch"]);
    let browsers = [Browser::start(without_host(&alone, true), &alone), Browser::start(with_host, &hosted)];
    for browser in &browsers {
        wait_until("the worker runs", || browser.has_worker());
    }
    let start = Instant::now();
    while start.elapsed() < IDLE {
        std::thread::sleep(Duration::from_millis(250));
        for browser in &browsers {
            assert!(browser.has_worker(), "a worker went after {:?}", start.elapsed());
        }
    }
    for (browser, bench) in browsers.iter().zip([&alone, &hosted]) {
        browser.load("idle");
        assert_own_spans(&bench.site.requests());
    }
}
