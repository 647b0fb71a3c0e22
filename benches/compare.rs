//! Compares ways to trace the same browser test: none, `page.route`, `setExtraHTTPHeaders`, OpenTelemetry's web SDK in the page, and navtrace
//! in its modes, under k6 and Playwright. Writes a page of Markdown to standard output.
//!
//! `benches/compare.sh` runs it and writes `docs/comparison.md`. `cargo bench --bench compare -- k6 none detailed` compares only these clients
//! and ways; the first way is what the others are compared with. `ROUNDS` sets the number of rounds, 8 by default; the saturated flow has half
//! as many. CPU seconds are those of the whole machine, so nothing else may run. Only comparisons within one run count.

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
#[path = "compare/cost.rs"]
mod cost;
#[path = "compare/coverage.rs"]
mod coverage;
#[path = "compare/page.rs"]
mod page;
#[path = "compare/way.rs"]
mod way;

use std::process::ExitCode;

use browser_test::BrowserTest;
use common::{arguments, goals, rounds};
use cost::{Costs, Flow};
use coverage::Coverage;
use way::{Client, Runner, Way};

/// What was measured with one client.
struct Measured {
    client: Client,
    coverage: Vec<Coverage>,
    costs: Vec<Costs>,
}

fn measure(client: Client, ways: &[Way], count: usize, runner: &Runner) -> Measured {
    let coverage = ways.iter().map(|way| Coverage::of(client, *way, runner)).collect();
    let costs = Flow::ALL.map(|flow| {
        eprintln!("{}, {}", client.name(), flow.name());
        let name = |way: &Way| way.name().to_owned();
        let series =
            rounds::interleaved(ways, flow.rounds(count), name, |way| cost::measure(flow, client, *way, runner));
        Costs { flow, series }
    });
    Measured { client, coverage, costs: costs.into() }
}

/// Returns the clients or ways that the words name, or all.
fn named<T: Copy>(words: &[String], all: &[T], name: impl Fn(T) -> &'static str) -> Vec<T> {
    let chosen: Vec<T> = words.iter().filter_map(|word| all.iter().copied().find(|one| name(*one) == word)).collect();
    if chosen.is_empty() { all.to_vec() } else { chosen }
}

fn compare() -> Result<bool, String> {
    let words = arguments::words();
    for word in &words {
        let known: Vec<&str> = Client::ALL.map(Client::name).into_iter().chain(Way::ALL.map(Way::name)).collect();
        arguments::named(word, &known, |name| name)?;
    }
    let count = arguments::number("ROUNDS", 8)?;
    let runner = Runner::new(BrowserTest::new());
    let ways = named(&words, &Way::ALL, Way::name);
    let clients = named(&words, &Client::ALL, Client::name);
    let all: Vec<_> = clients.into_iter().map(|client| measure(client, &ways, count, &runner)).collect();
    print!("{}", page::markdown(&all, count));
    Ok(true)
}

fn main() -> ExitCode {
    goals::exit_code(compare())
}
