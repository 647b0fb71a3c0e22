//! Other clients than k6 get the same: Playwright over its pipe, Puppeteer, and clients that ask a port they chose
//! until it answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::{Bench, Run, assert_own_spans, is_root, script_path, traceparent, turn};
use crate::support::reserved_port::ReservedPort;
use crate::support::site::{coverage_kinds, coverage_table};

/// The runs that `clients.mjs` names: two pages in each of two contexts.
const LOADS: [&str; 4] = ["0-0", "0-1", "1-0", "1-1"];

/// A client's script, and what it reads from its environment.
struct Client {
    script: &'static str,
    /// Which client, for a script that is for either.
    name: &'static str,
    /// What Chromium must be given to start as root, unless the client or navtrace does that.
    root: &'static str,
    /// The browser's port, where the client chooses it.
    port: Option<ReservedPort>,
}

impl Client {
    fn command(&self, bench: &Bench, mut command: Command) -> Command {
        command.arg(script_path(self.script)).stdin(Stdio::null());
        command.env("SITE", bench.site.main()).env("CLIENT", self.name);
        command.envs(self.port.as_ref().map(|port| ("PORT", port.number().to_string())));
        command
    }

    fn plain(&self, bench: &Bench) -> Run {
        let mut command = self.command(bench, bench.without_navtrace("node"));
        command.env("CHROME_BIN", chromium());
        if is_root() {
            command.env("BROWSER_ARGS", self.root);
        }
        bench.run(command)
    }

    fn traced(&self, bench: &Bench) -> Run {
        bench.run(self.command(bench, bench.environment.navtrace(["run", "--", "node"])))
    }
}

/// Playwright takes a path only, no name.
pub(crate) fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| Path::is_file(file));
    found.expect("chromium is on PATH")
}

/// Compares a client's browser with and without navtrace.
fn compare(client: &Client) -> Run {
    let _turn = turn();
    let bench = Bench::new();
    let plain = client.plain(&bench);
    assert!(plain.requests.iter().all(|request| request.traceparent.is_empty()), "nobody else adds a header");
    plain.assert_whole(&LOADS);
    // The comparison's browser must not be blamed on navtrace.
    bench.assert_nothing_left();

    let traced = client.traced(&bench);
    println!("{}", coverage_table(&traced.requests));
    traced.assert_whole(&LOADS);
    let (without, with) = (plain.counts(), traced.counts());
    for kind in coverage_kinds() {
        let count = |counts: &BTreeMap<_, usize>, load| counts.get(&(load, kind.name)).copied().unwrap_or_default();
        let seen = LOADS.map(|load| count(&with, load));
        if kind.at_least > 0 {
            assert!(seen.iter().all(|seen| *seen >= kind.at_least), "{} came {seen:?} times", kind.name);
        } else if LOADS.iter().all(|load| count(&without, load) > 0) {
            // A client that releases what others keep paused may still be slow to, for one load among several.
            assert!(seen.iter().any(|seen| *seen > 0), "{} comes without navtrace, and not with it", kind.name);
        }
    }
    assert_eq!(traced.preflights(), plain.preflights(), "as many preflights as without navtrace");
    assert_eq!(traced.trace_ids().len(), 1, "one trace per browser");
    assert_eq!(traced.summary(), traced.trace_ids(), "{}", traced.log);
    assert!(traced.requests.iter().all(|request| traceparent(request).sampled()));
    assert_own_spans(&traced.requests);
    bench.assert_nothing_left();
    traced
}

/// A client that does not read what the browser says, and opens a page at the first answer of the port that it chose.
fn compare_polling(name: &'static str) {
    let traced = compare(&Client { script: "polling.mjs", name, root: "--no-sandbox", port: Some(ReservedPort::new()) });
    assert!(traced.requests.iter().any(|request| request.run.as_deref() == Some("first")), "the page was opened");
}

#[test]
fn playwright() {
    // Playwright turns the sandbox off by itself.
    compare(&Client { script: "playwright.mjs", name: "playwright", root: "", port: None });
}

#[test]
fn puppeteer() {
    compare(&Client { script: "puppeteer.mjs", name: "puppeteer", root: "--no-sandbox", port: None });
}

#[test]
fn playwright_by_a_port_that_is_asked_until_it_answers() {
    compare_polling("playwright");
}

#[test]
fn puppeteer_by_a_port_that_is_asked_until_it_answers() {
    compare_polling("puppeteer");
}
