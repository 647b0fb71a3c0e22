//! What tracing costs a k6 test, against no tracing and against k6's own `page.route`.
//!
//! `cargo bench --bench overhead` compares ways to add headers, in 15 rounds; `cargo bench --bench overhead -- export`
//! detailed mode with and without the export of spans, in 150. `ROUNDS` sets another number. Each round runs every
//! variant once, in an order that changes from round to round, so that a machine that slows down slows all of them
//! down; what counts is a comparison inside one run. Ends with 1 when something costs more than it may.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

// A bench without the harness is built as a test is, but its `#[test]` functions are left out: then nothing uses what
// the unit tests of this module import.
#[allow(unused_imports)]
#[path = "../tests/support/mod.rs"]
mod support;

#[path = "../tests/support/navtrace.rs"]
mod navtrace;

#[allow(dead_code)]
#[path = "../tests/flow/bench.rs"]
mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use bench::{Bench, Run, assert_own_spans, traceparent};
use navtrace::Environment;
use support::collector::Collector;

const NAVIGATIONS: usize = 10;
/// How many resources the page has.
const RESOURCES: usize = 32;

const RESAMPLES: usize = 4000;

/// A way to run the same script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    /// k6 alone.
    Plain,
    /// k6 alone, whose script adds a header to every request.
    Route,
    /// The extension loaded and the start gated, but nothing added to any request. Its pages find a browser that has
    /// had more time to start.
    Control,
    /// navtrace with session rules.
    Lightweight,
    /// navtrace with a span id for every request.
    Detailed,
    /// The same, whose spans go to a collector.
    Exporting,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Route => "page.route",
            Self::Control => "control",
            Self::Lightweight => "lightweight",
            Self::Detailed => "detailed",
            Self::Exporting => "exporting",
        }
    }

    fn command(self, pause: &str, bench: &Bench, control: &Path, collector: &Collector) -> Command {
        let navigations = NAVIGATIONS.to_string();
        let variables = [("NAVIGATIONS", navigations.as_str()), ("PAUSE", pause)];
        let traced = |mode: &str| {
            let mut command = bench.traced_command("cached.js", &variables);
            command.env("NAVTRACE_MODE", mode);
            command
        };
        match self {
            Self::Plain => bench.plain_command("cached.js", &variables),
            Self::Route => bench.plain_command("cached.js", &[&variables[..], &[("ROUTE", "1")]].concat()),
            Self::Control => {
                let mut command = traced("auto");
                command.env("NAVTRACE_EXTENSION", control);
                command
            }
            Self::Lightweight => traced("lightweight"),
            Self::Detailed => traced("detailed"),
            Self::Exporting => {
                let mut command = traced("detailed");
                command.envs(Environment::exporting(&collector.endpoint()));
                command
            }
        }
    }

    /// A variant that did not do what its name says would be compared for nothing.
    fn verify(self, run: &Run, collector: &Collector) {
        let count = |kind: &str| run.requests.iter().filter(|request| request.label() == kind).count();
        let (documents, resources) = (count("document"), count("cached"));
        let counts = format!("{documents} documents and {resources} resources were asked for");
        assert_eq!(documents + resources, run.requests.len(), "{counts}, and something else");
        assert_eq!(documents, NAVIGATIONS, "{counts}");
        // k6 turns the cache off for whoever has a route.
        let asked_for = if self == Self::Route { NAVIGATIONS * RESOURCES } else { RESOURCES };
        assert_eq!(resources, asked_for, "{counts}");

        match self {
            Self::Plain | Self::Control => {
                assert!(run.requests.iter().all(|request| request.traceparent.is_empty()), "nothing adds a header");
            }
            Self::Route | Self::Detailed | Self::Exporting => assert_own_spans(&run.requests),
            Self::Lightweight => {
                let spans: BTreeSet<_> = run.requests.iter().map(|request| traceparent(request).span_id).collect();
                assert!(spans.len() <= NAVIGATIONS + 1, "{} span ids are more than one per navigation", spans.len());
            }
        }
        let by_navtrace = !matches!(self, Self::Plain | Self::Route);
        assert_eq!(run.summary().len(), usize::from(by_navtrace), "{}", run.log);
        assert!(!run.log.contains("never armed"), "{}", run.log);
        let exported = collector.arrived().len();
        assert_eq!(exported > 0, self == Self::Exporting, "the collector got {exported} requests");
    }
}

/// What k6 measured in one iteration, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Measured {
    iteration: f64,
    request_mean: f64,
    request_median: f64,
}

impl Measured {
    /// Reads the samples that k6 writes as lines of JSON.
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let values = |metric: &str| -> Vec<f64> {
            let points = lines.iter().filter(|line| line["type"] == "Point" && line["metric"] == metric);
            points.map(|point| point["data"]["value"].as_f64().unwrap()).collect()
        };
        let [iteration] = values("iteration_duration")[..] else { panic!("k6 ran more or less than one iteration") };
        let requests = values("browser_http_req_duration");
        assert!(requests.len() >= NAVIGATIONS, "k6 measured {} requests", requests.len());
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let request_mean = requests.iter().sum::<f64>() / requests.len() as f64;
        Self { iteration, request_mean, request_median: median(requests) }
    }
}

/// What each variant came out at.
type Round = BTreeMap<Variant, Measured>;

/// A figure that is compared.
struct Measure {
    name: &'static str,
    of: fn(&Measured) -> f64,
    /// How much detailed mode may cost, as a share of what `page.route` costs.
    most: Option<f64>,
    /// How much the export may add to detailed mode, in percent.
    most_export: Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure { name: "iteration_duration", of: |measured| measured.iteration, most: Some(0.08), most_export: None },
    Measure {
        name: "browser_http_req_duration, mean",
        of: |measured| measured.request_mean,
        most: Some(0.06),
        most_export: Some(3.0),
    },
    Measure {
        name: "browser_http_req_duration, median",
        of: |measured| measured.request_median,
        most: None,
        most_export: None,
    },
];

impl Measure {
    fn median(&self, variant: Variant, rounds: &[Round]) -> f64 {
        median(rounds.iter().map(|round| (self.of)(&round[&variant])).collect())
    }

    /// The change against no tracing, 0.1 for a tenth more.
    fn change(&self, variant: Variant, rounds: &[Round]) -> f64 {
        self.median(variant, rounds) / self.median(Variant::Plain, rounds) - 1.0
    }

    /// The change of one variant against another that ran just before or after it, as the geometric mean over all
    /// rounds: a machine is faster or slower for minutes, which such a pair has in common.
    fn paired_change(&self, variant: Variant, base: Variant, rounds: &[Round]) -> f64 {
        let ratios = rounds.iter().map(|round| (self.of)(&round[&variant]) / (self.of)(&round[&base]));
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let mean = ratios.map(f64::ln).sum::<f64>() / rounds.len() as f64;
        mean.exp() - 1.0
    }

    /// What a mode costs over `base`, as a share of what `page.route` costs. There is none when `page.route` costs
    /// nothing.
    fn share(&self, mode: Variant, base: Variant, rounds: &[Round]) -> f64 {
        let of_route = self.median(Variant::Route, rounds) - self.median(Variant::Plain, rounds);
        let of_mode = self.median(mode, rounds) - self.median(base, rounds);
        if of_route > 0.0 { of_mode / of_route } else { f64::NAN }
    }

    /// Prints what the modes cost beside `page.route`, and tells whether that is within its limit.
    fn report_modes(&self, rounds: &[Round]) -> bool {
        println!("\n{}", self.name);
        for variant in rounds[0].keys().copied() {
            let milliseconds = self.median(variant, rounds);
            print!("  {:<12} {milliseconds:>9.3} ms", variant.name());
            if variant == Variant::Plain {
                println!();
            } else {
                let (low, high) = interval(rounds, 0.95, |rounds| self.change(variant, rounds));
                let change = 100.0 * self.change(variant, rounds);
                println!("  {change:>+7.1} %  [{:+.1}, {:+.1}]", 100.0 * low, 100.0 * high);
            }
        }
        for mode in [Variant::Lightweight, Variant::Detailed] {
            for base in [Variant::Plain, Variant::Control] {
                let share = self.share(mode, base, rounds);
                let (low, high) = interval(rounds, 0.95, |rounds| self.share(mode, base, rounds));
                let what = format!("{} over {}", mode.name(), base.name());
                println!("  {what:<25} {share:>+6.3} of page.route's overhead  [{low:+.3}, {high:+.3}]");
            }
        }
        let Some(most) = self.most else { return true };
        // No number is not within any limit.
        let share = self.share(Variant::Detailed, Variant::Plain, rounds);
        let within = share <= most;
        println!("  detailed over plain may be {most} at most: {}", if within { "it is" } else { "IT IS NOT" });
        within
    }

    /// Prints what the export adds, and tells whether the upper end of its interval is within its limit.
    fn report_export(&self, rounds: &[Round]) -> bool {
        let (off, on) = (self.median(Variant::Detailed, rounds), self.median(Variant::Exporting, rounds));
        let added = |rounds: &[Round]| 100.0 * self.paired_change(Variant::Exporting, Variant::Detailed, rounds);
        let (low, high) = interval(rounds, 0.9, added);
        println!("\n{}\n  detailed {off:.3} ms, exporting {on:.3} ms", self.name);
        println!("  in pairs {:+.1} %, 90 % interval [{low:+.1}, {high:+.1}]", added(rounds));
        let Some(most) = self.most_export else { return true };
        let within = high <= most;
        println!("  its upper end may be {most} at most: {}", if within { "it is" } else { "IT IS NOT" });
        within
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// The middle part of what a figure comes out as when the rounds are drawn again and again (bootstrap). The same rounds
/// give the same interval.
fn interval(rounds: &[Round], part: f64, figure: impl Fn(&[Round]) -> f64) -> (f64, f64) {
    let mut random = StdRng::seed_from_u64(1);
    let mut drawn =
        || -> Vec<Round> { rounds.iter().map(|_| rounds[random.random_range(..rounds.len())].clone()).collect() };
    let mut figures: Vec<f64> = (0..RESAMPLES).map(|_| figure(&drawn())).collect();
    figures.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "thousands"
    )]
    let cut = (RESAMPLES as f64 * (1.0 - part) / 2.0) as usize;
    (figures[cut], figures[RESAMPLES - 1 - cut])
}

/// Makes an extension that goes through the whole start and adds nothing.
fn write_control(folder: &Path) {
    const HELLO: &str = include_str!("../tests/fixtures/messages/hello.json");
    const ARMED: &str = include_str!("../tests/fixtures/messages/armed.json");
    fs::write(folder.join("manifest.json"), include_str!("../extension/manifest.json")).unwrap();
    let worker = format!(
        "const port = chrome.runtime.connectNative('dev.navtrace.host');\n\
         port.onMessage.addListener((message) => {{\n\
           if (message.type === 'session') port.postMessage({});\n\
         }});\n\
         port.postMessage({});\n",
        ARMED.trim_end(),
        HELLO.trim_end()
    );
    fs::write(folder.join("service-worker.js"), worker).unwrap();
}

/// What is compared in one run.
struct Comparison {
    variants: &'static [Variant],
    rounds: usize,
    /// How long each browser is left alone before its first page, in milliseconds.
    pause: &'static str,
    report: fn(&Measure, &[Round]) -> bool,
}

const MODES: Comparison = Comparison {
    variants: &[Variant::Plain, Variant::Route, Variant::Control, Variant::Lightweight, Variant::Detailed],
    rounds: 15,
    pause: "0",
    report: Measure::report_modes,
};

const EXPORT: Comparison = Comparison {
    variants: &[Variant::Detailed, Variant::Exporting],
    rounds: 150,
    // While a browser starts, its first requests take half as long or twice, and they make up most of the mean.
    pause: "1000",
    report: Measure::report_export,
};

fn measure(variant: Variant, pause: &str, bench: &Bench, control: &Path) -> Measured {
    let collector = Collector::start();
    let samples = bench.environment.home().join("samples.json");
    let mut command = variant.command(pause, bench, control, &collector);
    command.env("K6_OUT", format!("json={}", samples.display()));
    let run = bench.run(command);
    variant.verify(&run, &collector);
    // The next run must not pay for a browser that is still on its way out.
    bench.assert_nothing_left();
    let measured = Measured::read(&samples);
    fs::remove_file(samples).unwrap();
    measured
}

fn main() -> ExitCode {
    let Comparison { variants, rounds, pause, report } =
        if std::env::args().any(|argument| argument == "export") { EXPORT } else { MODES };
    let wanted = std::env::var("ROUNDS").unwrap_or_else(|_| rounds.to_string());
    let Some(count) = wanted.parse().ok().filter(|count: &usize| *count > 0) else {
        eprintln!("ROUNDS={wanted} can't be used: expected a number of rounds, 1 or more");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let bench = Bench::new();
    let control = tempfile::tempdir().unwrap();
    write_control(control.path());
    let one = |variant| measure(variant, pause, &bench, control.path());

    // What is read for the first time is not in memory yet, so this round does not count.
    for variant in variants {
        one(*variant);
    }
    let mut rounds = Vec::new();
    for number in 0..count {
        let mut order = variants.to_vec();
        order.rotate_left(number % variants.len());
        // Else each variant would always come after the same other one.
        if number / variants.len() % 2 == 1 {
            order.reverse();
        }
        rounds.push(order.into_iter().map(|variant| (variant, one(variant))).collect::<Round>());
    }

    println!(
        "medians of {count} rounds, one iteration each of {NAVIGATIONS} navigations over a page with {RESOURCES} cached resources, \
         with 95 % intervals ({:.0} s)",
        start.elapsed().as_secs_f64()
    );
    // Every figure is to be seen, not only those up to the first that is over its limit.
    let within = MEASURES.map(|measure| report(&measure, &rounds));
    ExitCode::from(u8::from(within.contains(&false)))
}
