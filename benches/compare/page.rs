//! The page of Markdown with all tables.

use std::fmt::Write;
use std::process::Command;

use crate::Measured;
use crate::browser_test::chromium;
use crate::common::rounds::Series;
use crate::common::stats::{difference, median};
use crate::cost::{Costs, Flow, MEASURES};
use crate::coverage::{Coverage, Own};
use crate::way::{Client, Way};

const HEAD: &str = "\
# navtrace beside other ways

The same pages, traced in each way that a browser test has. `./benches/compare.sh` measures all of it anew and writes this page.

- **no tracing**: the client alone.
- **`page.route`**: the script answers every request and adds a `traceparent` with a span id of its own.
- **`setExtraHTTPHeaders`**: the script sets one `traceparent` for all requests of a page.
- **web SDK in the page**: OpenTelemetry's SDK for the document's load, `fetch` and `XMLHttpRequest`, for all origins, with
  its export. An application loads it itself; here the client adds it to each page.
- **navtrace**: `navtrace run` with an export, under k6 with [k6's own spans](clients.md#k6s-own-spans), in its three
  [modes](spans.md#the-modes); `calls` is `NAVTRACE_RESOURCES=calls`. Targets are not set, so that everything gets a header.

The page with every kind of request shows what is covered. What is broken in it are kinds of request that fail in this way
alone; `load` is the page itself, which did not finish loading within a minute. A part of what navtrace costs is
[saved elsewhere](checks.md#cost), which static mode shows most.
";

pub(crate) fn markdown(all: &[Measured], rounds: usize) -> String {
    let mut page = HEAD.to_owned();
    let versions = [version("k6", &["version"]), version(chromium(), &["--version"]), playwright()].join(", ");
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(page, "\nMeasured with {versions}, on {processors} processors.");
    for Measured { client, coverage, costs } in all {
        let _ = writeln!(page, "\n## {}\n\n### What is covered, and what breaks\n", client.name());
        page += &coverage_table(coverage);
        for costs in costs {
            let _ = writeln!(page, "\n### {}\n\n{}", heading(costs.flow), introduction(costs.flow, rounds));
            page += &cost_table(costs);
        }
    }
    page + &better_elsewhere(all)
}

/// Returns the first line that a program prints about its version.
fn version(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it has just run");
    let text = String::from_utf8_lossy(&output.stdout);
    // Behind the version come the names of a system and a commit.
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn playwright() -> String {
    let package = include_str!("../../node_modules/playwright-core/package.json");
    let package: serde_json::Value = serde_json::from_str(package).unwrap();
    format!("Playwright {}", package["version"].as_str().unwrap())
}

fn coverage_table(all: &[Coverage]) -> String {
    let base = all.iter().find(|coverage| coverage.way == Way::None).map_or(0, |coverage| coverage.preflights);
    let mut table = "\
| | kinds of request with a header | requests with a header | span ids | more preflights | broken in the page | \
a context of the page's own |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for coverage in all {
        let broken = match coverage.broken.as_slice() {
            [] => "nothing".to_owned(),
            broken => broken.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", "),
        };
        let own = match coverage.own {
            Own::Kept => "kept",
            Own::Replaced if coverage.way.is_navtrace() => "replaced, linked",
            Own::Replaced => "replaced",
            Own::Doubled => "two headers",
            Own::Unsent => "not sent",
        };
        let _ = writeln!(
            table,
            "| {} | {} of {} | {} | {} | {} | {broken} | {own} |",
            coverage.way.title(),
            coverage.covered,
            coverage.covered + coverage.missed.len(),
            coverage.valid,
            coverage.span_ids,
            coverage.preflights.saturating_sub(base),
        );
    }
    table.push('\n');
    for coverage in all.iter().filter(|coverage| coverage.way != Way::None && !coverage.missed.is_empty()) {
        let missed: Vec<_> = coverage.missed.keys().map(|kind| format!("`{kind}`")).collect();
        let _ = writeln!(table, "- {}: without a header are {}.", coverage.way.title(), missed.join(", "));
    }
    table
}

fn heading(flow: Flow) -> &'static str {
    match flow {
        Flow::Cold => "The cost where nothing is cached",
        Flow::Revisit => "The cost where pages are revisited",
        Flow::Saturated => "The cost on a busy machine",
    }
}

fn introduction(flow: Flow, rounds: usize) -> String {
    let what = match flow {
        Flow::Cold => "Three pages of a single-page application, 25 requests each",
        Flow::Revisit => "Ten navigations over a page with 32 cacheable resources",
        Flow::Saturated => "The three pages by three users at once, nine times, each time in a new browser",
    };
    format!(
        "{what}: medians of {} rounds, each of which ran every way once, with the paired difference to the first line and its 90 % interval.\n",
        flow.rounds(rounds)
    )
}

fn cost_table(costs: &Costs) -> String {
    let told: Vec<_> = MEASURES.iter().enumerate().filter(|(_, measure)| (measure.tells)(costs.flow)).collect();
    let names: Vec<_> = told.iter().map(|(_, measure)| measure.name).collect();
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(told.len()));
    let base = &costs.series[0];
    for series in &costs.series {
        let cells = told.iter().map(|(index, measure)| {
            let digits = measure.digits;
            let values = &series.values[*index];
            let middle = format!("{:.digits$}", median(values));
            if series.name == base.name {
                return middle;
            }
            format!("{middle} ({:.digits$})", difference(values, &base.values[*index]))
        });
        let _ = writeln!(table, "| {} | {} |", title(series), cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

fn title<const N: usize>(series: &Series<N>) -> &'static str {
    Way::ALL.into_iter().find(|way| way.name() == series.name).map_or("", Way::title)
}

/// Returns where the figures of another way beat those of detailed mode, which is what most people get.
fn better_elsewhere(all: &[Measured]) -> String {
    let lines: Vec<String> = all.iter().flat_map(|measured| better_with(measured.client, measured)).collect();
    let list = if lines.is_empty() { "Nowhere in these figures.\n".to_owned() } else { lines.concat() };
    format!(
        "\n## Where another way is better\n\nThan navtrace in detailed mode, by figures whose interval leaves no doubt:\n\n{list}"
    )
}

fn better_with(client: Client, measured: &Measured) -> Vec<String> {
    let mut lines = Vec::new();
    for coverage in &measured.coverage {
        if !coverage.way.is_navtrace() && coverage.way != Way::None && coverage.own == Own::Kept {
            let title = coverage.way.title();
            lines.push(format!(
                "- {}: {title} keeps a context that the page sets; navtrace does so with `NAVTRACE_EXISTING=keep`.\n",
                client.name()
            ));
        }
    }
    for Costs { flow, series } in &measured.costs {
        let Some(detailed) = series.iter().find(|series| series.name == Way::Detailed.name()) else { continue };
        for (index, measure) in MEASURES.iter().enumerate().filter(|(_, measure)| (measure.tells)(*flow)) {
            let others = [Way::Route, Way::Extra, Way::Sdk];
            let found = others.iter().filter_map(|way| series.iter().find(|series| series.name == way.name()));
            for other in found {
                let less = difference(&other.values[index], &detailed.values[index]);
                // More from the cache is better, less of everything else.
                let better = if measure.name.starts_with("from the cache") { less.low > 0.0 } else { less.high < 0.0 };
                if better {
                    let (name, digits) = (flow.name(), measure.digits);
                    let (title, what) = (title(other), measure.name);
                    lines.push(format!("- {}, {name}: {title}, {what}: {less:.digits$}.\n", client.name()));
                }
            }
        }
    }
    lines
}
