//! Tests killed browsers: requests that ended shortly before are exported or kept, and open ones are marked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::browser::{Browser, wait_until};
use crate::browser_test::{BrowserTest, alone, traceparent};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::Collector;
use crate::support::site::Recorded;

/// Number of browsers that are killed, and of those that are killed with their process group.
const RUNS: usize = 40;
const GROUP_RUNS: usize = 10;

/// Times of the kills, in milliseconds after the first request.
const KILL_TIMES: std::ops::Range<u64> = 300..3000;

/// An event must not be lost if this time of [`KillTime::undisturbed`] was between it and the kill.
const SAFE: Duration = Duration::from_millis(100);

/// Time between two readings of [`waited`].
const READING: Duration = Duration::from_millis(10);

/// Limit of the host's exit.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Kill {
    /// Whether the process group is killed, as some clients do.
    group: bool,
    /// Whether there is a collector. Without one, all spans must be in the spool.
    collector: bool,
    after: Duration,
}

#[derive(Debug)]
struct Outcome {
    kill: Kill,
    /// Requests that arrived before the kill.
    requests: usize,
    /// Requests that must be finished, and that must be open.
    ended: usize,
    open: usize,
    spans: usize,
    /// Longest time before the kill at which a request ended that is not finished.
    lost: Option<Duration>,
    /// Time until the host exited.
    ending: Duration,
    faults: Vec<String>,
}

impl Kill {
    /// Returns all kills. Both kinds come with and without a collector.
    fn all() -> Vec<Self> {
        let mut random = StdRng::seed_from_u64(7);
        let every = RUNS / GROUP_RUNS;
        let kill = |number: usize| Self {
            group: number % every == every - 1,
            collector: (number + number / every).is_multiple_of(2),
            after: Duration::from_millis(random.random_range(KILL_TIMES)),
        };
        (0..RUNS).map(kill).collect()
    }

    /// Lets a browser load pages, kills it, and compares requests and spans.
    fn run(self) -> Outcome {
        let test = BrowserTest::new();
        let collector = if self.collector { Collector::start() } else { Collector::down() };
        let mut command = test.environment.navtrace(["launch"]);
        command.envs(Environment::exporting(&collector.endpoint())).process_group(0);
        let mut browser = Browser::start(command, &test);
        browser.open("/endless", "pages.0");
        wait_until("the first request", || !test.site.requests().is_empty());
        let id = Pid::from_raw(i32::try_from(browser.id()).unwrap()).unwrap();
        let start = Instant::now();
        let mut readings = Vec::new();
        while start.elapsed() < self.after {
            readings.push((Instant::now(), waited()));
            std::thread::sleep(READING);
        }

        let (killed, killed_at) = (Instant::now(), SystemTime::now());
        readings.push((killed, waited()));
        if self.group { kill_process_group(id, Signal::KILL) } else { kill_process(id, Signal::KILL) }.unwrap();
        browser.wait();
        while !test.environment.processes().is_empty() {
            assert!(killed.elapsed() < EXIT_LIMIT, "{self:?}: {:?}", test.environment.processes());
            std::thread::sleep(Duration::from_millis(20));
        }
        let ending = killed.elapsed();
        let kept = spooled(&test);
        assert_no_journal(&test);
        let mut spans = collector.spans();
        assert!(kept.is_empty() || spans.is_empty(), "{self:?}: {} exported, {} kept", spans.len(), kept.len());
        assert_eq!(kept.is_empty(), self.collector, "{self:?}: {} exported, {} kept", spans.len(), kept.len());
        spans.extend(kept);
        KillTime { killed, killed_at, readings }.compare(self, ending, &test.site.requests(), &spans)
    }
}

/// Returns for how long, since the machine's start, some process of it has waited for a processor; zero where the kernel does not say.
fn waited() -> Duration {
    let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = pressure.lines().next().and_then(|some| some.rsplit_once("total="));
    Duration::from_micros(total.map_or(0, |(_, micros)| micros.trim().parse().unwrap()))
}

/// The time of a kill on both clocks.
struct KillTime {
    killed: Instant,
    killed_at: SystemTime,
    /// What [`waited`] returned, from the first request to the kill.
    readings: Vec<(Instant, Duration)>,
}

impl KillTime {
    /// Returns how much of the time before the kill was left to the browser and the host, if they had waited for a processor whenever some process
    /// did. A promise in milliseconds can only be about that.
    fn undisturbed(&self, age: Duration) -> Duration {
        let end = self.readings.last().unwrap().1;
        let before = self.readings.iter().rev().find(|(at, _)| self.killed - *at >= age);
        age.saturating_sub(end.saturating_sub(before.unwrap_or(&self.readings[0]).1))
    }

    fn compare(&self, kill: Kill, ending: Duration, requests: &[Recorded], spans: &[Span]) -> Outcome {
        // A request that arrives after the kill does not count.
        let before: Vec<_> = requests.iter().filter(|request| request.at <= self.killed).collect();
        let trace_id = traceparent(before[0]).trace_id;
        let trace = Trace::of(&trace_id, spans);
        assert_eq!(trace.spans().count(), spans.len(), "all spans are of the one trace");
        let ended = self.ended(requests);
        let last_page = before.iter().rev().find(|request| request.path == "/endless").unwrap().nav.clone();
        let mut faults = Vec::new();
        let (mut ended_count, mut open_count, mut lost) = (0, 0, None);
        for request in &before {
            let span = trace.span(&traceparent(request).span_id);
            let name = name(request);
            let ended = ended.get(&name).copied();
            let finished = span.is_some_and(|span| !is_unfinished(span));
            if let Some(age) = ended
                && !finished
            {
                lost = lost.max(Some(age));
            }
            let age = self.killed - request.at;
            if let Some(ended) = ended
                && ended >= SAFE
            {
                ended_count += 1;
                if !finished && self.undisturbed(ended) >= SAFE {
                    faults.push(format!("{name:?} ended {ended:?} before the kill: {span:?}"));
                }
            } else if span.is_none() && self.undisturbed(age) >= SAFE {
                faults.push(format!("{name:?} arrived {age:?} before the kill and has no span"));
            }
            // The site answers after the time in the query, and leaving a page ends its requests.
            let answers = Duration::from_millis(number(request, "ms"));
            if age >= SAFE && request.at + answers > self.killed && request.nav == last_page {
                open_count += 1;
                if finished {
                    faults.push(format!("{name:?} was open: {span:?}"));
                }
            }
        }
        let (requests, spans) = (before.len(), spans.len());
        Outcome { kill, requests, ended: ended_count, open: open_count, spans, lost, ending, faults }
    }

    /// Returns how long before the kill requests had ended. The page itself measures when the last byte arrived, on the machine's clock, and
    /// puts it into the query of its next requests.
    fn ended(&self, requests: &[Recorded]) -> BTreeMap<(String, String), Duration> {
        let killed_at = self.killed_at.duration_since(UNIX_EPOCH).unwrap();
        let mut ended = BTreeMap::new();
        for request in requests {
            let text = request.query.iter().find(|(name, _)| name == "ended").map_or("", |(_, text)| text.as_str());
            for (number, at) in text.split(',').filter_map(|word| word.split_once('@')) {
                let at = Duration::from_secs_f64(at.parse::<f64>().unwrap() / 1000.0);
                let page = request.nav.clone().unwrap();
                ended.insert((page, number.to_owned()), killed_at.saturating_sub(at));
            }
        }
        ended
    }
}

/// Returns the page of a request and its number there, which is empty for the document.
fn name(request: &Recorded) -> (String, String) {
    let number = request.query.iter().find(|(name, _)| name == "i").map(|(_, number)| number.clone());
    (request.nav.clone().unwrap(), number.unwrap_or_default())
}

fn number(request: &Recorded, name: &str) -> u64 {
    let found = request.query.iter().find(|(other, _)| other == name);
    found.map_or(0, |(_, number)| number.parse().unwrap())
}

#[test]
fn ended_requests_survive_a_killed_browser() {
    let _guard = alone();
    let start = Instant::now();
    // One at a time, since a browser that waits for a processor reports late.
    let outcomes: Vec<_> = Kill::all().into_iter().map(Kill::run).collect();
    assert_eq!(outcomes.len(), RUNS);

    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    println!(
        "{RUNS} browsers were killed in {:.0} s; the site got {} requests, of which {} had ended and {} were open; \
         {} spans",
        start.elapsed().as_secs_f64(),
        sum(|outcome| outcome.requests),
        sum(|outcome| outcome.ended),
        sum(|outcome| outcome.open),
        sum(|outcome| outcome.spans)
    );
    let mut lost: Vec<_> = outcomes.iter().map(|outcome| outcome.lost.unwrap_or_default()).collect();
    lost.sort_unstable();
    println!("the end of a request was seen if it came so long before the kill: {lost:?}");
    let mut endings: Vec<_> = outcomes.iter().map(|outcome| outcome.ending).collect();
    endings.sort_unstable();
    println!("the host ended so long after the kill: {endings:?}");
    let groups = outcomes.iter().filter(|outcome| outcome.kill.group).count();
    assert_eq!(groups, GROUP_RUNS);
    let (ended, open) = (sum(|outcome| outcome.ended), sum(|outcome| outcome.open));
    assert!(ended >= 20 * RUNS && open >= RUNS / 4, "{ended} that had ended and {open} that were open tell too little");
    let faults: Vec<_> = outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
