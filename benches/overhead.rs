//! Measures what tracing costs a k6 test, compared with no tracing and with k6's own `page.route`.
//!
//! `cargo bench --bench overhead` compares ways to add headers, in 15 rounds. `cargo bench --bench overhead -- export` compares detailed mode
//! with and without the export of spans, in 150. `ROUNDS` sets another number. Each round runs every variant once, in an order that changes
//! from round to round, so that a machine that slows down slows all of them. Only comparisons within one run count. Exits with 1 when
//! something costs more than its limit.

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

#[path = "overhead/measure.rs"]
mod measure;
#[path = "overhead/variant.rs"]
mod variant;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use browser_test::BrowserTest;
use measure::{MEASURES, Measure, Measured, Round};
use support::collector::Collector;
use variant::Variant;

const NAVIGATIONS: usize = 10;

/// Resources of the page.
const RESOURCES: usize = 32;

/// Writes an extension that completes the start and adds nothing to requests.
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

struct Comparison {
    variants: &'static [Variant],
    rounds: usize,
    /// Pause before the first page of each browser, in milliseconds.
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
    // The first requests of a browser that still starts vary by a factor of four, and dominate the mean.
    pause: "1000",
    report: Measure::report_export,
};

fn run(variant: Variant, pause: &str, test: &BrowserTest, control: &Path) -> Measured {
    let collector = Collector::start();
    let samples = test.environment.home().join("samples.json");
    let mut command = variant.command(pause, test, control, &collector);
    command.env("K6_OUT", format!("json={}", samples.display()));
    let run = test.run(command);
    variant.verify(&run, &collector);
    // The next run must not share the machine with a browser that is still exiting.
    test.assert_nothing_left();
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
    let test = BrowserTest::new();
    let control = tempfile::tempdir().unwrap();
    write_control(control.path());
    let one = |variant| run(variant, pause, &test, control.path());

    // The first round reads everything from the disk, so it does not count.
    for variant in variants {
        one(*variant);
    }
    let mut rounds = Vec::new();
    for number in 0..count {
        let mut order = variants.to_vec();
        order.rotate_left(number % variants.len());
        // Otherwise each variant would always follow the same other one.
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
    // Print all figures, even after one that is over its limit.
    let within = MEASURES.map(|measure| report(&measure, &rounds));
    ExitCode::from(u8::from(within.contains(&false)))
}
