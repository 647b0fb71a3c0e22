//! Tests clients other than k6: Playwright over its pipe, Puppeteer, and clients that poll a port of their choice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::browser_test::{BrowserTest, Run, assert_own_spans, exclusive, is_root, script_path, traceparent};
use crate::support::reserved_port::ReservedPort;
use crate::support::site::{coverage_kinds, coverage_table};

/// The loads of `clients.mjs`: two pages in each of two contexts.
const LOADS: [&str; 4] = ["0-0", "0-1", "1-0", "1-1"];

/// A script, and what it reads from its environment.
struct Client {
    script: &'static str,
    /// The client, for a script that works for either.
    name: &'static str,
    /// The argument that Chromium needs as root, unless the client or navtrace adds it.
    root: &'static str,
    /// The browser's port, if the client chooses it.
    port: Option<ReservedPort>,
}

impl Client {
    fn command(&self, test: &BrowserTest, mut command: Command) -> Command {
        command.arg(script_path(self.script)).stdin(Stdio::null());
        command.env("SITE", test.site.main()).env("CLIENT", self.name);
        command.envs(self.port.as_ref().map(|port| ("PORT", port.number().to_string())));
        command
    }

    fn plain(&self, test: &BrowserTest) -> Run {
        let mut command = self.command(test, test.without_navtrace("node"));
        // Playwright does not accept the name alone, and has no browser of its own here.
        command.env("CHROME_BIN", chromium()).env("PLAIN_BROWSER", chromium());
        if is_root() {
            command.env("BROWSER_ARGS", self.root);
        }
        test.run(command)
    }

    fn traced(&self, test: &BrowserTest) -> Run {
        test.run(self.command(test, test.environment.navtrace(["run", "--", "node"])))
    }
}

/// Returns the path of Chromium.
pub(crate) fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| Path::is_file(file));
    found.expect("chromium is on PATH")
}

/// Runs a client with and without navtrace, and compares.
fn compare(client: &Client) -> Run {
    let _guard = exclusive();
    let test = BrowserTest::new();
    let plain = client.plain(&test);
    assert!(plain.requests.iter().all(|request| request.traceparent.is_empty()), "only navtrace adds a header");
    plain.assert_whole(&LOADS);
    // A browser that is left from the run without navtrace must not count against navtrace.
    test.assert_nothing_left();

    let traced = client.traced(&test);
    println!("{}", coverage_table(&traced.requests));
    traced.assert_whole(&LOADS);
    let (without, with) = (plain.counts(), traced.counts());
    for kind in coverage_kinds() {
        let count = |counts: &BTreeMap<_, usize>, load| counts.get(&(load, kind.name)).copied().unwrap_or_default();
        let seen = LOADS.map(|load| count(&with, load));
        if kind.at_least > 0 {
            assert!(seen.iter().all(|seen| *seen >= kind.at_least), "{} came {seen:?} times", kind.name);
        } else if LOADS.iter().all(|load| count(&without, load) > 0) {
            // A client that resumes paused targets may be too late for one of several loads.
            assert!(seen.iter().any(|seen| *seen > 0), "{} comes without navtrace, and not with it", kind.name);
        }
    }
    assert_eq!(traced.preflights(), plain.preflights(), "as many preflights as without navtrace");
    assert_eq!(traced.trace_ids().len(), 1, "one trace per browser");
    assert_eq!(traced.summary(), traced.trace_ids(), "{}", traced.log);
    assert!(traced.requests.iter().all(|request| traceparent(request).sampled()));
    assert_own_spans(&traced.requests);
    test.assert_nothing_left();
    traced
}

/// Compares a client that does not read the browser's output, and opens a page as soon as the port answers.
fn compare_polling(name: &'static str) {
    let traced =
        compare(&Client { script: "polling.mjs", name, root: "--no-sandbox", port: Some(ReservedPort::new()) });
    assert!(traced.requests.iter().any(|request| request.run.as_deref() == Some("first")), "the page was opened");
}

#[test]
fn playwright() {
    // Playwright itself turns the sandbox off.
    compare(&Client { script: "playwright.mjs", name: "playwright", root: "", port: None });
}

#[test]
fn a_browser_with_an_environment_of_its_own_belongs_to_the_run() {
    let _guard = exclusive();
    let test = BrowserTest::new();
    let mut command = test.collecting_from("own-environment.mjs");
    command.env("NAVTRACE_MODE", "lightweight");
    let run = test.run(command);
    assert!(run.requests.len() > 2 && run.requests.iter().all(|request| !request.traceparent.is_empty()));
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    assert_eq!(run.trace_ids().len(), 1);
    assert!(run.log.contains("  lightweight mode  ") && run.log.contains(" exported"), "{}", run.log);
    // The session, the navigation and its requests.
    assert!(test.collected().len() > 3, "{}", run.log);
    test.assert_nothing_left();
}

#[test]
fn puppeteer() {
    compare(&Client { script: "puppeteer.mjs", name: "puppeteer", root: "--no-sandbox", port: None });
}

#[test]
fn playwright_polling_a_port() {
    compare_polling("playwright");
}

#[test]
fn puppeteer_polling_a_port() {
    compare_polling("puppeteer");
}
