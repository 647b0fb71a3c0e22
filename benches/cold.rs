//! Measures what tracing costs where every request goes to the network: pages of a single-page application, of which nothing can be cached.
//!
//! `cargo bench --bench cold` compares all variants. `cargo bench --bench cold -- plain route detailed` compares only these; the first is what
//! the others are compared with. `ROUNDS` sets the number of rounds, 12 by default.
//!
//! To compare builds, name them: `-- plain route detailed slim=FOLDER old=PROGRAM` runs detailed mode with an extension of a folder, or with
//! another `navtrace`. Their headers are not checked, only that every request arrived.
//!
//! CPU seconds are those of the whole machine from the start of k6 until the browser has ended, so nothing else may run. Only comparisons
//! within one run count. Exits with 1 when a goal is not reached.

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
#[path = "cold/report.rs"]
mod report;
#[path = "cold/variant.rs"]
mod variant;

use std::process::ExitCode;

use browser_test::BrowserTest;
use common::machine::Meter;
use common::samples::Samples;
use common::{arguments, goals, rounds, stats};
use report::MEASURES;
use support::collector::Collector;
use variant::{PAGES, Variant};

/// Runs one iteration and returns a value for each of [`MEASURES`].
fn run(variant: &Variant, test: &BrowserTest) -> [f64; MEASURES.len()] {
    let collector = Collector::start();
    let samples = test.environment.home().join("samples.json");
    let pages = PAGES.to_string();
    let mut command = variant.command(test, &[("PAGES", &pages)], &collector);
    command.env("K6_OUT", format!("json={}", samples.display()));
    let meter = Meter::start();
    let run = test.run(command);
    // The next run must not share the machine with a browser that is still exiting, and this one pays for its exit.
    test.assert_nothing_left();
    let cpu = meter.cpu();
    variant.verify(&run, 1, &collector);
    let samples = Samples::take(&samples);
    let paints = samples.of("browser_web_vital_fcp");
    assert_eq!(paints.len(), PAGES, "k6 measured the FCP of other pages than it should");
    [stats::mean(&samples.of("browser_http_req_duration")), stats::mean(&paints), samples.iteration(), cpu]
}

fn compare() -> Result<bool, String> {
    let count = arguments::number("ROUNDS", 12)?;
    let variants = Variant::select(&arguments::words(), &Variant::ALL)?;
    let test = BrowserTest::new();
    let all = rounds::interleaved(&variants, count, |variant| variant.name().to_owned(), |variant| run(variant, &test));
    println!("medians of {count} rounds, one iteration each of {PAGES} pages of which nothing can be cached,");
    println!("with paired differences and their 90 % intervals");
    report::print(&all);
    Ok(goals::report(&report::goals(&all)))
}

fn main() -> ExitCode {
    goals::exit_code(compare())
}
