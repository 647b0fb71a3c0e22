//! Tests that the extension's worker stays alive, and that after a fault no request is stuck and detailed mode comes back.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser::{Browser, DevTools, hosts, without_host};
use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others, script_path, traceparent};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::{Collector, hex};
use crate::support::site::Recorded;

/// Number of faults in a test.
const FAULTS: usize = 3;

/// Time for which pages are loaded after each fault, longer than a recovery may take.
const FAULT_INTERVAL: Duration = Duration::from_secs(6);

/// Pages that a fault may touch: the one that loads meanwhile, and the one that follows or came before. Pages are loaded one after the other, so
/// their number is a measure of time that a busy machine does not change.
const TOUCHED: usize = 2;

/// Minimum of requests with the session's trace between a recovery and the next fault.
const MIN_REGULAR: usize = 5;

/// Longer than the 30 s after which Chromium stops an idle worker.
const IDLE: Duration = Duration::from_secs(40);

/// The requests and hosts of a browser whose worker had faults.
struct WorkerRun {
    requests: Vec<Recorded>,
    /// From just before each fault until it was over.
    faults: Vec<Range<Instant>>,
    /// All hosts of the browser. Each worker has its own.
    hosts: BTreeSet<u32>,
}

impl WorkerRun {
    /// Asserts that requests carry the session's trace again soon after each fault. Requests during the fault may have no header, and those that
    /// start the next worker may have another trace.
    fn assert_recovered(&self) {
        assert_eq!(self.faults.len(), FAULTS, "faults");
        assert!(self.hosts.len() > FAULTS, "no worker went, or came back, with some fault: {:?}", self.hosts);

        let first = self.requests.first().expect("a request");
        let session = traceparent(first).trace_id;
        let (bare, complete): (Vec<_>, Vec<_>) =
            self.requests.iter().cloned().partition(|request| request.traceparent.is_empty());
        let (regular, foreign): (Vec<_>, Vec<_>) =
            complete.into_iter().partition(|request| traceparent(request).trace_id == session);
        let irregular = || bare.iter().chain(&foreign);
        let faults = || self.faults.iter().map(|fault| fault.start);
        let ends = faults().skip(1).map(Some).chain([None]);
        let mut recoveries = Vec::new();
        for (fault, end) in faults().zip(ends) {
            let within = |at: Instant| at >= fault && end.is_none_or(|end| at < end);
            let touched: Vec<_> = irregular().filter(|request| within(request.at)).collect();
            let pages: BTreeSet<_> = touched.iter().map(|request| &request.nav).collect();
            let back = touched.iter().map(|request| request.at).max().unwrap_or(fault);
            let afterwards = regular.iter().map(|request| request.at).filter(|at| within(*at) && *at > back).count();
            recoveries.push((pages.len(), back - fault, afterwards));
        }
        println!(
            "after each fault, how many pages had other requests, for how long, and how many regular ones followed: \
             {recoveries:?}; of {} requests {} had no header and {} another trace",
            self.requests.len(),
            bare.len(),
            foreign.len()
        );

        assert!(
            irregular().all(|request| request.at >= self.faults[0].start),
            "some requests were irregular before the first fault"
        );
        let is_recovered = |(pages, _, afterwards): &_| *pages <= TOUCHED && *afterwards >= MIN_REGULAR;
        assert!(recoveries.iter().all(is_recovered), "{recoveries:?}");
        assert_own_spans(&regular);
    }

    /// Returns how many pages had begun to load at a time.
    fn page_at(&self, at: Instant) -> usize {
        let pages: BTreeSet<_> =
            self.requests.iter().filter(|request| request.at <= at).map(|request| &request.nav).collect();
        pages.len()
    }

    /// Asserts that the session is one trace in which every request has its span, whichever worker observed it.
    fn assert_exported(&self, test: &BrowserTest, collector: &Collector) {
        assert_no_journal(test);
        assert_eq!(spooled(test), []);
        let session = traceparent(&self.requests[0]).trace_id;
        let (ours, others): (Vec<_>, Vec<_>) = self
            .requests
            .iter()
            .filter(|request| !request.traceparent.is_empty())
            .cloned()
            .partition(|request| traceparent(request).trace_id == session);
        let spans = collector.spans();
        let trace = Trace::of(&session, &spans);
        let missing: Vec<_> =
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
        // A worker sends observations in batches and loses the last one.
        let hit: Vec<_> =
            self.faults.iter().map(|fault| self.page_at(fault.start) - 1..=self.page_at(fault.end) + 1).collect();
        let without: Vec<_> = missing.iter().map(|request| self.page_at(request.at)).collect();
        println!("pages near a fault: {hit:?}; of the requests without a span: {without:?}");
        let is_near = |page: &usize| hit.iter().any(|pages| pages.contains(page));
        assert!(without.iter().all(is_near), "requests without a span, far from any fault: {missing:#?}");
        for request in &others {
            let own = traceparent(request);
            let is_its = |span: &&Span| hex(&span.span_id) == own.span_id;
            let [span] = spans.iter().filter(is_its).collect::<Vec<_>>()[..] else { panic!("{request:?} has no span") };
            assert_eq!((hex(&span.trace_id), span.parent_span_id.len()), (own.trace_id, 0), "{span:?}");
            assert_eq!(hex(&span.links[0].trace_id), session, "{span:?}");
        }
    }
}

/// Runs a client to its end, collects the hosts of its browser, and calls `meanwhile` repeatedly.
fn watched(test: &BrowserTest, mut command: Command, mut meanwhile: impl FnMut()) -> (Run, BTreeSet<u32>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = BTreeSet::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(hosts(test));
        meanwhile();
        std::thread::sleep(Duration::from_millis(50));
    }
    (test.finished(&child.wait_with_output().unwrap()), seen)
}

fn with_playwright(test: &BrowserTest, collector: &Collector, fault: &str) -> WorkerRun {
    let mut command = test.environment.navtrace(["run", "--", "node"]);
    command
        .envs(Environment::exporting(&collector.endpoint()))
        .arg(script_path("worker.mjs"))
        .env("SITE", test.site.main())
        .env("FAULT", fault)
        .env("FAULTS", FAULTS.to_string())
        .env("FAULT_INTERVAL", FAULT_INTERVAL.as_millis().to_string())
        .stdin(Stdio::null());
    let (run, hosts) = watched(test, command, || ());
    let (marks, requests): (Vec<_>, Vec<_>) =
        run.requests.into_iter().partition(|request| request.label().starts_with("fault"));
    let times = |label| marks.iter().filter(move |mark| mark.label() == label).map(|mark| mark.at);
    let faults = times("fault").zip(times("fault-over")).map(|(start, end)| start..end).collect();
    WorkerRun { requests, faults, hosts }
}

#[test]
fn a_worker_that_is_killed_comes_back_under_playwright() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let seen = with_playwright(&test, &collector, "kill");
    seen.assert_recovered();
    test.assert_nothing_left();
    seen.assert_exported(&test, &collector);
}

#[test]
fn an_extension_that_is_reloaded_goes_on_with_the_trace() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    let seen = with_playwright(&test, &collector, "reload");
    seen.assert_recovered();
    test.assert_nothing_left();
    seen.assert_exported(&test, &collector);
}

/// k6 1.8.1 pauses every new worker forever while it is attached, but not a worker that it already knows.
#[test]
fn a_worker_that_is_killed_comes_back_under_k6() {
    let _guard = beside_others();
    let (test, collector) = (BrowserTest::new(), Collector::start());
    // The first fault comes with the first page, and six seconds follow the last one.
    let mut command = test.traced_command("pages.js", &[("ITERATIONS", "1"), ("SECONDS", "19")]);
    command.envs(Environment::exporting(&collector.endpoint()));
    let mut faults: Vec<Range<Instant>> = Vec::new();
    let (run, hosts) = watched(&test, command, || {
        let due = match faults.last() {
            None => !test.site.requests().is_empty(),
            Some(fault) => faults.len() < FAULTS && fault.start.elapsed() >= FAULT_INTERVAL,
        };
        if due
            && let Some(devtools) = DevTools::of_client(&test)
            && let Ok(Some(worker)) = devtools.worker()
        {
            let before = Instant::now();
            if devtools.close(&worker).is_ok() {
                faults.push(before..Instant::now());
            }
        }
    });
    let seen = WorkerRun { requests: run.requests, faults, hosts };
    seen.assert_recovered();
    test.assert_nothing_left();
    seen.assert_exported(&test, &collector);
}

#[test]
fn the_worker_stays_alive_with_and_without_a_host() {
    let _guard = beside_others();
    let [alone, hosted] = [BrowserTest::new(), BrowserTest::new()];
    let with_host = hosted.environment.navtrace(["launch"]);
    let browsers = [Browser::start(without_host(&alone, true), &alone), Browser::start(with_host, &hosted)];
    let workers = browsers.each_ref().map(|browser| browser.until_worker());
    let host = hosts(&hosted);
    assert_eq!(host.len(), 1, "{host:?}");

    // Nothing here restarts a worker that has ended. So polling is enough, and a poll may fail.
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
    for (browser, test) in browsers.iter().zip([&alone, &hosted]) {
        browser.load("idle");
        assert_own_spans(&test.site.requests());
    }
}
