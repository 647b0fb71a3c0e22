//! Measures what tracing costs a k6 test, compared with no tracing and with k6's own `page.route`.
//!
//! `cargo bench --bench overhead` compares ways to add headers, in 15 rounds. `cargo bench --bench overhead -- export` compares detailed mode
//! with and without the export of spans, in 150. `ROUNDS` sets another number. Each round runs every variant once, in an order that changes
//! from round to round, so that a machine that slows down slows all of them. Only comparisons within one run count. Exits with 1 when a goal
//! is not reached.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

// A bench without the harness is compiled as a test, but without its `#[test]` functions. So nothing uses the imports of these modules' unit
// tests.
#[allow(unused_imports)]
#[path = "../tests/support/mod.rs"]
mod support;

#[path = "../tests/support/navtrace.rs"]
mod navtrace;

#[allow(dead_code)]
#[path = "../tests/flow/browser_test.rs"]
mod browser_test;

#[path = "common/mod.rs"]
mod common;
#[path = "overhead/measure.rs"]
mod measure;
#[path = "overhead/variant.rs"]
mod variant;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use browser_test::BrowserTest;
use common::goals::{self, Goal};
use common::samples::Samples;
use common::{arguments, control, rounds};
use measure::{All, MEASURES};
use support::collector::Collector;
use variant::Variant;

const NAVIGATIONS: usize = 10;

/// Resources of the page.
const RESOURCES: usize = 32;

struct Comparison {
    variants: &'static [Variant],
    rounds: usize,
    /// Pause before the first page of each browser, in milliseconds.
    pause: &'static str,
    report: fn(&All) -> Vec<Goal>,
}

const MODES: Comparison = Comparison {
    variants: &[Variant::Plain, Variant::Route, Variant::Control, Variant::Lightweight, Variant::Detailed],
    rounds: 15,
    pause: "0",
    report: measure::report_modes,
};

const EXPORT: Comparison = Comparison {
    variants: &[Variant::Detailed, Variant::Exporting],
    rounds: 150,
    // The first requests of a browser that still starts vary by a factor of four, and dominate the mean.
    pause: "1000",
    report: measure::report_export,
};

fn run(variant: Variant, pause: &str, test: &BrowserTest, control: &Path) -> [f64; MEASURES.len()] {
    let collector = Collector::start();
    let samples = test.environment.home().join("samples.json");
    let mut command = variant.command(pause, test, control, &collector);
    command.env("K6_OUT", format!("json={}", samples.display()));
    let run = test.run(command);
    variant.verify(&run, &collector);
    // The next run must not share the machine with a browser that is still exiting.
    test.assert_nothing_left();
    measure::measured(&Samples::take(&samples))
}

fn compare() -> Result<bool, String> {
    let export = arguments::words().iter().any(|word| word == "export");
    let Comparison { variants, rounds, pause, report } = if export { EXPORT } else { MODES };
    let count = arguments::number("ROUNDS", rounds)?;
    let start = Instant::now();
    let test = BrowserTest::new();
    let control = control::extension();
    let one = |variant: &Variant| run(*variant, pause, &test, control.path());
    let all = rounds::interleaved(variants, count, |variant| variant.name().to_owned(), one);

    println!(
        "medians of {count} rounds, one iteration each of {NAVIGATIONS} navigations over a page with {RESOURCES} cached resources, \
         with paired comparisons and their 90 % intervals ({:.0} s)",
        start.elapsed().as_secs_f64()
    );
    Ok(goals::report(&report(&all)))
}

fn main() -> ExitCode {
    goals::exit_code(compare())
}
