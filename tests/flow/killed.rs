//! A browser that is killed: whatever had ended shortly before is exported or kept, and what was open is marked.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::bench::{Bench, traceparent, turn};
use crate::browser::{Browser, wait_until};
use crate::navtrace::Environment;
use crate::spans::{Trace, assert_no_journal, is_unfinished, spooled};
use crate::support::collector::Collector;
use crate::support::site::Recorded;

/// How many browsers are killed, and how many of them with all of their process group.
const RUNS: usize = 40;
const GROUPS: usize = 10;

/// When they are killed, in milliseconds after the first request.
const MOMENTS: std::ops::Range<u64> = 300..3000;

/// What was done this long before the kill is safe.
const SAFE: Duration = Duration::from_millis(100);

/// How long the host may take to its end.
const ENDING: Duration = Duration::from_secs(10);

/// How a browser is killed.
#[derive(Debug, Clone, Copy)]
struct Kill {
    /// With all of its process group, as some clients do.
    group: bool,
    /// Whether there is a collector; else everything has to be in the spool.
    collector: bool,
    after: Duration,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    kill: Kill,
    /// The requests that the site got.
    requests: usize,
    /// Those that were to be there as finished, and as open.
    ended: usize,
    open: usize,
    spans: usize,
    /// How long before the kill the first request had ended that is not there as such.
    lost: Option<Duration>,
    /// How long the host took to its end.
    ending: Duration,
    faults: Vec<String>,
}

impl Kill {
    /// All kills, in an order in which both kinds meet both kinds of endpoint.
    fn all() -> Vec<Self> {
        let mut random = StdRng::seed_from_u64(7);
        let every = RUNS / GROUPS;
        let kill = |number: usize| Self {
            group: number % every == every - 1,
            collector: (number + number / every).is_multiple_of(2),
            after: Duration::from_millis(random.random_range(MOMENTS)),
        };
        (0..RUNS).map(kill).collect()
    }

    /// Lets a browser load pages, kills it, and looks at what is left.
    fn run(self) -> Outcome {
        let bench = Bench::new();
        let collector = if self.collector { Collector::start() } else { Collector::down() };
        let mut command = bench.environment.navtrace(["launch"]);
        command.envs(Environment::exporting(&collector.endpoint())).process_group(0);
        let mut browser = Browser::start(command, &bench);
        browser.open("/endless", "pages.0");
        wait_until("the first request", || !bench.site.requests().is_empty());
        std::thread::sleep(self.after);

        let id = Pid::from_raw(i32::try_from(browser.id()).unwrap()).unwrap();
        let (killed, killed_at) = (Instant::now(), SystemTime::now());
        if self.group { kill_process_group(id, Signal::KILL) } else { kill_process(id, Signal::KILL) }.unwrap();
        browser.wait();
        while !bench.environment.processes().is_empty() {
            assert!(killed.elapsed() < ENDING, "{self:?}: {:?}", bench.environment.processes());
            std::thread::sleep(Duration::from_millis(20));
        }
        let ending = killed.elapsed();
        let kept = spooled(&bench);
        assert_no_journal(&bench);
        let mut spans = collector.spans();
        assert!(kept.is_empty() || spans.is_empty(), "{self:?}: {} exported, {} kept", spans.len(), kept.len());
        assert_eq!(kept.is_empty(), self.collector, "{self:?}: {} exported, {} kept", spans.len(), kept.len());
        spans.extend(kept);
        Moment { killed, killed_at }.judge(self, ending, &bench.site.requests(), &spans)
    }
}

/// When a browser was killed, by both clocks.
struct Moment {
    killed: Instant,
    killed_at: SystemTime,
}

impl Moment {
    fn judge(&self, kill: Kill, ending: Duration, requests: &[Recorded], spans: &[Span]) -> Outcome {
        // What arrives after the kill left before it, and does not count.
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
            let left = self.killed - request.at;
            if ended.is_some_and(|age| age >= SAFE) {
                ended_count += 1;
                if !finished {
                    faults.push(format!("{name:?} ended {ended:?} before the kill: {span:?}"));
                }
            } else if left >= SAFE && span.is_none() {
                faults.push(format!("{name:?} arrived {left:?} before the kill and has no span"));
            }
            // The site answers no sooner than it is asked to, and a page that is left ends its requests.
            let answers = Duration::from_millis(number(request, "ms"));
            if left >= SAFE && request.at + answers > self.killed && request.nav == last_page {
                open_count += 1;
                if finished {
                    faults.push(format!("{name:?} was open: {span:?}"));
                }
            }
        }
        let (requests, spans) = (before.len(), spans.len());
        Outcome { kill, requests, ended: ended_count, open: open_count, spans, lost, ending, faults }
    }

    /// How long before the kill requests had ended, by the page's own word, which is the exact one: it has the time at
    /// which the last byte was there, on the clock of the machine. The page says it in the query of its next requests.
    fn ended(&self, requests: &[Recorded]) -> BTreeMap<(String, String), Duration> {
        let killed_at = self.killed_at.duration_since(UNIX_EPOCH).unwrap();
        let mut ended = BTreeMap::new();
        for request in requests {
            let words = request.query.iter().find(|(name, _)| name == "ended").map_or("", |(_, words)| words.as_str());
            for (number, at) in words.split(',').filter_map(|word| word.split_once('@')) {
                let at = Duration::from_secs_f64(at.parse::<f64>().unwrap() / 1000.0);
                let page = request.nav.clone().unwrap();
                ended.insert((page, number.to_owned()), killed_at.saturating_sub(at));
            }
        }
        ended
    }
}

/// What a request is called: its page, and its number there, which the document has none of.
fn name(request: &Recorded) -> (String, String) {
    let number = request.query.iter().find(|(name, _)| name == "i").map(|(_, number)| number.clone());
    (request.nav.clone().unwrap(), number.unwrap_or_default())
}

fn number(request: &Recorded, name: &str) -> u64 {
    let found = request.query.iter().find(|(other, _)| other == name);
    found.map_or(0, |(_, number)| number.parse().unwrap())
}

#[test]
fn what_ended_before_a_browser_was_killed_is_not_lost() {
    let _turn = turn();
    let start = Instant::now();
    // One at a time: a browser that has to wait for a processor says what it has seen later.
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
    assert_eq!(groups, GROUPS);
    let (ended, open) = (sum(|outcome| outcome.ended), sum(|outcome| outcome.open));
    assert!(ended >= 20 * RUNS && open >= RUNS / 4, "{ended} that had ended and {open} that were open tell too little");
    let faults: Vec<_> = outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
