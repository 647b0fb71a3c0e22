//! The extension's worker stays alive, and when it goes all the same, no request is stuck and detailed mode comes back.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::bench::{Bench, Run, assert_own_spans, script_path, traceparent, turn};
use crate::browser::{Browser, DevTools, hosts, without_host};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::{Collector, hex};
use crate::support::site::Recorded;

/// How many times something is done to the worker in a test.
const FAULTS: usize = 3;

/// How long pages are loaded after each time: longer than the worker may take to come back.
const AFTERWARDS: Duration = Duration::from_secs(6);

/// Within this time every request carries the session's trace again, on the slowest machine.
const MOST: Duration = Duration::from_secs(5);

/// And within this time it usually does.
const USUALLY: Duration = Duration::from_secs(1);

/// How many requests carry the session's trace between the end of a recovery and the next fault, at least.
const REGULAR: usize = 5;

/// What a worker has seen this short a time before it ends goes with it, since it tells of things in batches: such a
/// request may be without a span. Nobody knows exactly when it ended, only when it was asked to.
const UNTOLD: Duration = Duration::from_millis(100);

/// Chromium stops a worker that has been idle for 30 s.
const IDLE: Duration = Duration::from_secs(40);

/// What a test saw of a browser to whose worker something was done.
struct Seen {
    requests: Vec<Recorded>,
    /// When, each from before it was done.
    faults: Vec<Instant>,
    /// Every host that the browser had. Each ends with the worker that it serves.
    hosts: BTreeSet<u32>,
}

impl Seen {
    /// Requests must be regular again soon: what the worker was being asked about when it went leaves as it is, and
    /// what wakes the next one may carry a trace of its own, but whatever comes later carries the session's.
    fn assert_recovered(&self) {
        assert_eq!(self.faults.len(), FAULTS, "faults");
        assert!(self.hosts.len() > FAULTS, "no worker went, or came back, with some fault: {:?}", self.hosts);

        let first = self.requests.first().expect("a request");
        let session = traceparent(first).trace_id;
        let (bare, complete): (Vec<_>, Vec<_>) =
            self.requests.iter().cloned().partition(|request| request.traceparent.is_empty());
        let (regular, foreign): (Vec<_>, Vec<_>) =
            complete.into_iter().partition(|request| traceparent(request).trace_id == session);
        let irregular = || bare.iter().chain(&foreign).map(|request| request.at);
        let ends = self.faults.iter().copied().skip(1).map(Some).chain([None]);
        let mut recoveries = Vec::new();
        for (fault, end) in self.faults.iter().copied().zip(ends) {
            let within = |at: &Instant| *at >= fault && end.is_none_or(|end| *at < end);
            let back = irregular().filter(within).max().unwrap_or(fault);
            let afterwards = regular.iter().map(|request| request.at).filter(|at| within(at) && *at > back).count();
            recoveries.push((back - fault, afterwards));
        }
        println!(
            "after each fault, how long until requests were regular again, and how many then were: {recoveries:?}; of {} \
             requests {} had no header and {} another trace",
            self.requests.len(),
            bare.len(),
            foreign.len()
        );

        assert!(irregular().all(|at| at >= self.faults[0]), "some requests were irregular before the first fault");
        assert!(recoveries.iter().all(|(_, afterwards)| *afterwards >= REGULAR), "too few: {recoveries:?}");
        let mut times: Vec<_> = recoveries.iter().map(|(time, _)| *time).collect();
        times.sort_unstable();
        assert!(times[FAULTS - 1] <= MOST, "{times:?}");
        assert!(times[FAULTS / 2] <= USUALLY, "{times:?}");
        assert_own_spans(&regular);
    }

    /// The session goes on as one trace, in which every request has its span, whichever worker saw it.
    fn assert_exported(&self, bench: &Bench, collector: &Collector) {
        assert_no_journal(bench);
        assert_eq!(spooled(bench), []);
        let session = traceparent(&self.requests[0]).trace_id;
        let (ours, others): (Vec<_>, Vec<_>) = self
            .requests
            .iter()
            .filter(|request| !request.traceparent.is_empty())
            .cloned()
            .partition(|request| traceparent(request).trace_id == session);
        let spans = collector.spans();
        let trace = Trace::of(&session, &spans);
        let mut missing: Vec<_> =
            ours.iter().filter(|request| trace.span(&traceparent(request).span_id).is_none()).collect();
        let unfinished = trace.requests().filter(|span| is_unfinished(span)).count();
        println!(
            "{} spans, {unfinished} of them of requests whose end no worker saw; {} of {} requests of the session have \
             none, and {} are of other traces",
            trace.spans().count(),
            missing.len(),
            ours.len(),
            others.len()
        );
        let far = |request: &Recorded| {
            let distance = |fault: &Instant| {
                let late = request.at.saturating_duration_since(*fault);
                late.max(fault.saturating_duration_since(request.at))
            };
            self.faults.iter().map(distance).min().unwrap()
        };
        let distances: Vec<_> = missing.iter().map(|request| (request.label(), far(request))).collect();
        println!("how far from a fault they came: {distances:?}");
        missing.retain(|request| far(request) > UNTOLD);
        assert!(missing.is_empty(), "requests without a span, far from any fault: {missing:#?}");
        for request in &others {
            let own = traceparent(request);
            let is_its = |span: &&Span| hex(&span.span_id) == own.span_id;
            let [span] = spans.iter().filter(is_its).collect::<Vec<_>>()[..] else { panic!("{request:?} has no span") };
            assert_eq!((hex(&span.trace_id), span.parent_span_id.len()), (own.trace_id, 0), "{span:?}");
            assert_eq!(hex(&span.links[0].trace_id), session, "{span:?}");
        }
    }
}

/// Runs a client to its end and collects the hosts of its browser. What `meanwhile` does, it does often.
fn watched(bench: &Bench, mut command: Command, mut meanwhile: impl FnMut()) -> (Run, BTreeSet<u32>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = BTreeSet::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(hosts(bench));
        meanwhile();
        std::thread::sleep(Duration::from_millis(50));
    }
    (bench.finished(&child.wait_with_output().unwrap()), seen)
}

fn with_playwright(bench: &Bench, collector: &Collector, fault: &str) -> Seen {
    let mut command = bench.environment.navtrace(["run", "--", "node"]);
    command
        .envs(Environment::exporting(&collector.endpoint()))
        .arg(script_path("worker.mjs"))
        .env("SITE", bench.site.main())
        .env("FAULT", fault)
        .env("FAULTS", FAULTS.to_string())
        .env("AFTERWARDS", AFTERWARDS.as_millis().to_string())
        .stdin(Stdio::null());
    let (run, hosts) = watched(bench, command, || ());
    let (faults, requests) = run.requests.into_iter().partition::<Vec<_>, _>(|request| request.label() == "fault");
    Seen { requests, faults: faults.into_iter().map(|fault| fault.at).collect(), hosts }
}

#[test]
fn a_worker_that_is_killed_comes_back_under_playwright() {
    let _turn = turn();
    let (bench, collector) = (Bench::new(), Collector::start());
    let seen = with_playwright(&bench, &collector, "kill");
    seen.assert_recovered();
    bench.assert_nothing_left();
    seen.assert_exported(&bench, &collector);
}

#[test]
fn an_extension_that_is_reloaded_goes_on_with_the_trace() {
    let _turn = turn();
    let (bench, collector) = (Bench::new(), Collector::start());
    let seen = with_playwright(&bench, &collector, "reload");
    seen.assert_recovered();
    bench.assert_nothing_left();
    seen.assert_exported(&bench, &collector);
}

/// k6 1.8.1 pauses every worker that starts while it is attached, and does not let go of it. One that is started again
/// it holds already, from before: that one runs.
#[test]
fn a_worker_that_is_killed_comes_back_under_k6() {
    let _turn = turn();
    let (bench, collector) = (Bench::new(), Collector::start());
    // The first fault comes with the first page, and after the last one there are six seconds too.
    let mut command = bench.traced_command("pages.js", &[("ITERATIONS", "1"), ("SECONDS", "19")]);
    command.envs(Environment::exporting(&collector.endpoint()));
    let mut faults: Vec<Instant> = Vec::new();
    let (run, hosts) = watched(&bench, command, || {
        let due = match faults.last() {
            None => !bench.site.requests().is_empty(),
            Some(fault) => faults.len() < FAULTS && fault.elapsed() >= AFTERWARDS,
        };
        if due
            && let Some(devtools) = DevTools::of_client(&bench)
            && let Ok(Some(worker)) = devtools.worker()
        {
            let before = Instant::now();
            if devtools.close(&worker).is_ok() {
                faults.push(before);
            }
        }
    });
    let seen = Seen { requests: run.requests, faults, hosts };
    seen.assert_recovered();
    bench.assert_nothing_left();
    seen.assert_exported(&bench, &collector);
}

#[test]
fn the_worker_stays_alive_with_and_without_a_host() {
    let _turn = turn();
    let [alone, hosted] = [Bench::new(), Bench::new()];
    let with_host = hosted.environment.navtrace(["launch"]);
    let browsers = [Browser::start(without_host(&alone, true), &alone), Browser::start(with_host, &hosted)];
    let workers = browsers.each_ref().map(|browser| browser.until_worker());
    let host = hosts(&hosted);
    assert_eq!(host.len(), 1, "{host:?}");

    // Nothing here wakes a worker that has gone, so it is enough to look now and then, and not every look has to
    // succeed.
    let start = Instant::now();
    while start.elapsed() < IDLE {
        std::thread::sleep(Duration::from_millis(250));
        for (browser, worker) in browsers.iter().zip(&workers) {
            match browser.worker() {
                Ok(now) => assert_eq!(now.as_ref(), Some(worker), "after {:?}", start.elapsed()),
                Err(error) => println!("after {:?} the browser did not answer: {error}", start.elapsed()),
            }
        }
    }
    for (browser, worker) in browsers.iter().zip(&workers) {
        assert_eq!(browser.worker().unwrap().as_ref(), Some(worker), "at the end");
    }
    assert_eq!(hosts(&hosted), host, "a worker that had gone would have another host");
    for (browser, bench) in browsers.iter().zip([&alone, &hosted]) {
        browser.load("idle");
        assert_own_spans(&bench.site.requests());
    }
}
