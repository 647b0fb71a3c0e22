//! Tests clients other than k6: Playwright over its pipe and its test runner, Puppeteer, Lighthouse, and clients that poll a port of their choice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use crate::browser_test::{
    BrowserTest, Run, assert_own_spans, beside_others, chromium, is_root, logged, script_path, traceparent,
};
use crate::support::reserved_port::ReservedPort;
use crate::support::site::{Recorded, coverage_kinds, coverage_table};

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

/// Returns the path of a program of `node_modules`.
pub(crate) fn node_program(name: &str) -> String {
    format!("{}/node_modules/.bin/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the revision of Chromium that Playwright wants.
fn playwright_revision() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/node_modules/playwright-core/browsers.json");
    let file: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let browsers = file["browsers"].as_array().unwrap();
    let chromium = browsers.iter().find(|browser| browser["name"] == "chromium").unwrap();
    chromium["revision"].as_str().unwrap().to_owned()
}

/// Runs a client with and without navtrace, and compares.
fn compare(client: &Client) -> Run {
    let _guard = beside_others();
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
    assert_traces(&traced);
    assert!(traced.requests.iter().all(|request| traceparent(request).sampled()));
    // The requests by which a page waits for span ids of its own may share one.
    let is_settled = |request: &&Recorded| request.run.as_deref() != Some("settling");
    assert_own_spans(&traced.requests.iter().filter(is_settled).cloned().collect::<Vec<_>>());
    test.assert_nothing_left();
    traced
}

/// Asserts that each browser context has a trace. Workers, which may be of either, are in the session's own.
fn assert_traces(run: &Run) {
    let of = |context: &str| -> BTreeSet<String> {
        let requests = run.requests.iter().filter(|request| request.run.as_deref().unwrap().starts_with(context));
        requests.map(|request| traceparent(request).trace_id).collect()
    };
    let (first, second) = (of("0-"), of("1-"));
    assert_eq!(first.intersection(&second).count(), 1, "of workers: {first:?} {second:?}");
    // Without an export, requests of workers are not observed.
    let pages: BTreeSet<_> = first.symmetric_difference(&second).cloned().collect();
    let of_first_page: BTreeSet<_> =
        run.trace_ids().into_iter().filter(|id| !first.contains(id) && !second.contains(id)).collect();
    assert!(first.len() > 1 && second.len() > 1, "{first:?} {second:?}");
    assert_eq!(run.summary(), &pages | &of_first_page, "{}", run.log);
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
fn playwright_test() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", &node_program("playwright"), "test", "--config"]);
    command.arg(script_path("playwright-test")).arg("--output").arg(test.environment.home().join("results"));
    // The runner keeps translated files, by default in the temporary directory.
    command.env("SITE", test.site.main()).env("PWTEST_CACHE_DIR", test.environment.home().join("cache"));
    let own = format!(".cache/ms-playwright/chromium-{}/chrome-linux64", playwright_revision());
    fs::create_dir_all(test.environment.home().join(&own)).unwrap();
    let script = format!(r#"echo >>"$HOME/starts"; exec {} "$@""#, chromium().display());
    test.environment.program(&format!("{own}/chrome"), &script);
    let run = test.run(command);
    println!("{}", coverage_table(&run.requests));
    run.assert_whole(&["full", "shell"]);
    assert_eq!(run.trace_ids().len(), 2, "each test has a trace");
    let starts = fs::read_to_string(test.environment.home().join("starts")).unwrap();
    assert_eq!(
        starts.lines().count(),
        2,
        "the user's own Chromium is started, also in the place of the headless shell"
    );
    // The browsers have traces too, without a request.
    assert!(run.summary().is_superset(&run.trace_ids()), "{}", run.log);
    assert_own_spans(&run.requests);
    test.assert_nothing_left();
}

#[test]
fn lighthouse() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", &node_program("lighthouse")]);
    command.arg(format!("{}/coverage?kind=document&run=lighthouse&nav=0", test.site.main()));
    command.args(["--chrome-flags=--headless", "--only-categories=seo", "--throttling-method=provided", "--quiet"]);
    command.args(["--output=json", "--output-path=stdout"]);
    let mut run = test.run(command);
    println!("{}", coverage_table(&run.requests));
    // Lighthouse makes DevTools fetch this, outside of every page, so that no extension sees it.
    run.requests.retain(|request| request.path != "/robots.txt");
    let kinds: BTreeSet<&str> = run.requests.iter().map(Recorded::label).collect();
    assert!(kinds.contains("document") && kinds.len() > 30, "{kinds:?}\n{}", run.log);
    assert_eq!(run.trace_ids().len(), 1);
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    assert_own_spans(&run.requests);
    test.assert_nothing_left();
}

#[test]
fn a_browser_with_an_environment_of_its_own_belongs_to_the_run() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting_from("own-environment.mjs");
    command.env("NAVTRACE_MODE", "lightweight").env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
    command.env("OTHER", test.site.other());
    let mut run = test.run(command);
    let others: Vec<_> = run.requests.extract_if(.., |request| request.label() == "other").collect();
    assert_eq!(others.iter().map(|request| request.traceparent.len()).collect::<Vec<_>>(), [0; 9], "it is no target");
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

#[test]
fn playwright_attaching_to_the_first_window() {
    const STARTS: usize = 8;
    let _guard = beside_others();
    let (test, port) = (BrowserTest::new(), ReservedPort::new());
    let mut command = test.environment.navtrace(["run", "--", "node", &script_path("attaching.mjs")]);
    command.env("SITE", test.site.main()).env("PORT", port.number().to_string()).env("STARTS", STARTS.to_string());
    let run = test.run(command);
    assert_eq!(run.trace_ids().len(), STARTS, "{}", run.log);
    test.assert_nothing_left();
}

#[test]
fn the_workers_of_the_clients_extensions_come_first() {
    const STARTS: usize = 8;
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", "node", &script_path("own-extensions.mjs")]);
    command.env("SITE", test.site.main()).env("STARTS", STARTS.to_string());
    let run = test.run(command);
    let wrong: Vec<Vec<serde_json::Value>> = logged(&run.log, "WRONG ");
    // A worker is restarted six times at most, each time with a chance to come too early again, and less often on a slow machine.
    assert!(wrong.len() == 1 && wrong[0].len() <= 1, "{wrong:?}\n{}", run.log);
    assert_eq!(run.trace_ids().len(), STARTS, "a worker that is restarted goes on with its trace");
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    test.assert_nothing_left();
}
