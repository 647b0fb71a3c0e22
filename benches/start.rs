//! Measures what a start costs: the browser under navtrace against the browser alone, and the host.
//!
//! `cargo bench --bench start` compares all ways to start. `-- alone gate` compares only these; the first is what the others are compared
//! with. `ROUNDS` sets the number of rounds, 20 by default. The ways alternate, so that a machine that slows down slows all.
//!
//! CPU seconds are those of the whole machine until 1 s after the line that the browser's client waits for, so nothing else may run. Exits
//! with 1 when a goal is not reached.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../tests/support/navtrace.rs"]
mod navtrace;

#[path = "start/browser.rs"]
mod browser;
#[path = "common/mod.rs"]
mod common;
#[path = "start/host.rs"]
mod host;

use std::process::ExitCode;

use browser::Way;
use common::goals::{self, Goal};
use common::rounds::{self, Series};
use common::stats::{difference, median};
use common::{arguments, control};
use navtrace::Environment;

const WALL: usize = 0;
const CPU: usize = 1;

fn print(all: &[Series<2>]) {
    let base = &all[0];
    println!("  {:<8} {:>7}  {:>25}  {:>9}  {:>25}", "", "wall, s", "difference", "CPU, s", "difference");
    for series in all {
        print!("  {:<8}", series.name);
        for (values, base_values) in series.values.iter().zip(&base.values) {
            print!(" {:>7.3}  ", median(values));
            if series.name == base.name {
                print!("{:>25}  ", "");
            } else {
                print!("{:>25.3}  ", difference(values, base_values));
            }
        }
        println!();
    }
}

fn goals(all: &[Series<2>], first_frame: f64, memory: f64) -> Vec<Goal> {
    let find = |name| all.iter().find(|series| series.name == name);
    let over = |way: Way, measure: usize| {
        let (of, alone) = (find(way.name())?, find(Way::Alone.name())?);
        Some(difference(&of.values[measure], &alone.values[measure]).value)
    };
    vec![
        Goal::new("wall time over the browser alone, s", over(Way::Gate, WALL), 0.15, 3),
        Goal::new("CPU over the browser alone, s", over(Way::Gate, CPU), 0.22, 3),
        Goal::new("wall time over the browser alone, static, s", over(Way::Static, WALL), 0.05, 3),
        Goal::new("CPU over the browser alone, static, s", over(Way::Static, CPU), 0.05, 3),
        Goal::new("host's first frame, ms", Some(first_frame * 1e3), 20.0, 1),
        Goal::new("host's private memory, MiB", Some(memory), 12.0, 1),
    ]
}

fn compare() -> Result<bool, String> {
    let count = arguments::number("ROUNDS", 20)?;
    let words = arguments::words();
    let named: Result<Vec<Way>, String> =
        words.iter().map(|word| arguments::named(word, &Way::ALL, |way| way.name())).collect();
    let ways = if words.is_empty() { Way::ALL.to_vec() } else { named? };
    let environment = Environment::new();
    let control = control::extension();
    let start = |way: &Way| way.start(&environment, control.path());
    let all = rounds::interleaved(&ways, count, |way| way.name().to_owned(), start);
    let (frames, memory): (Vec<f64>, Vec<f64>) = (0..count).map(|_| host::start(&environment)).unzip();

    println!("medians of {count} rounds, with paired differences and their 90 % intervals");
    print(&all);
    Ok(goals::report(&goals(&all, median(&frames), median(&memory))))
}

fn main() -> ExitCode {
    goals::exit_code(compare())
}
