//! Measures what tracing costs a load test that keeps the machine busy: 3 users, each of which starts a browser for every iteration.
//!
//! `cargo bench --bench saturated` compares no tracing, `page.route`, detailed and static mode. `-- plain detailed` compares only these; the
//! first is what the others are compared with. All variants of the bench `cold` can be named. `ROUNDS` sets the number of rounds, 12 by
//! default, `ITERATIONS` that of iterations in a run, 30 by default.
//!
//! The goals are for 2 processors. Only comparisons within one run count. Exits with 1 when a goal is not reached.

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
#[path = "cold/variant.rs"]
mod variant;

use std::process::ExitCode;

use browser_test::BrowserTest;
use common::arguments;
use common::goals::{self, Goal};
use common::machine::Meter;
use common::rounds::{self, Series};
use common::stats::{change, difference, median};
use support::collector::Collector;
use variant::{PAGES, Variant};

const USERS: &str = "3";

const DEFAULTS: [Variant; 4] = [Variant::Plain, Variant::Route, Variant::Detailed, Variant::Static];

/// Runs k6 once. Returns the seconds of the whole command, and the CPU seconds of the machine per iteration.
fn run(variant: &Variant, iterations: usize, test: &BrowserTest) -> [f64; 2] {
    let collector = Collector::start();
    let (pages, wanted) = (PAGES.to_string(), iterations.to_string());
    let variables = [("PAGES", pages.as_str()), ("VUS", USERS), ("ITERATIONS", &wanted)];
    let mut command = variant.command(test, &variables, &collector);
    test.site.clear();
    let meter = Meter::start();
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let wall = meter.wall();
    let run = test.ended(&output);
    // k6 now and then fails to remove a profile of a browser that still ends. The iteration was whole all the same.
    for error in run.errors() {
        eprintln!("{}: {error}", variant.name());
    }
    test.assert_nothing_left();
    let cpu = meter.cpu();
    variant.verify(&run, iterations, &collector);
    #[expect(clippy::cast_precision_loss, reason = "some tens")]
    let iterations = iterations as f64;
    [wall, cpu / iterations]
}

fn print(all: &[Series<2>]) {
    let base = &all[0];
    println!("\n{:<14} {:>7}  {:>26}  {:>9}  {:>24}", "", "wall, s", "change, %", "CPU, s", "difference, s");
    for series in all {
        let [wall, cpu] = &series.values;
        print!("{:<14} {:>7.1}", series.name, median(wall));
        if series.name == base.name {
            println!("  {:>26}  {:>9.3}", "", median(cpu));
        } else {
            print!("  {:>26.1}  {:>9.3}", change(wall, &base.values[0]).times(100.0), median(cpu));
            println!("  {:>24.3}", difference(cpu, &base.values[1]));
        }
    }
}

fn goals(all: &[Series<2>]) -> Vec<Goal> {
    let wall = |name| all.iter().find(|series| series.name == name).map(|series| &series.values[0]);
    let longer = |name| Some(100.0 * change(wall(name)?, wall("plain")?).value);
    vec![
        Goal::new("wall time over no tracing, detailed with export, %", longer("detailed"), 8.0, 1),
        Goal::new("wall time over no tracing, static, %", longer("static"), 4.0, 1),
    ]
}

fn compare() -> Result<bool, String> {
    let count = arguments::number("ROUNDS", 12)?;
    let iterations = arguments::number("ITERATIONS", 30)?;
    let variants = Variant::select(&arguments::words(), &DEFAULTS)?;
    let test = BrowserTest::new();
    let name = |variant: &Variant| variant.name().to_owned();
    let all = rounds::interleaved(&variants, count, name, |variant| run(variant, iterations, &test));
    println!(
        "medians of {count} rounds, each of {iterations} iterations of {PAGES} pages by {USERS} users: the whole run,"
    );
    println!("and the CPU time of all processes per iteration, with paired changes and their 90 % intervals");
    print(&all);
    Ok(goals::report(&goals(&all)))
}

fn main() -> ExitCode {
    goals::exit_code(compare())
}
