//! Tests clients of chromedriver, which looks for the browser's port in a file, and opens a page as soon as it knows the port.

use std::collections::BTreeSet;
use std::process::Command;

use crate::browser_test::{BrowserTest, assert_own_spans, beside_others, script_path};

/// Runs a script that starts browsers one after the other, each of which loads a page with 8 subresources and two fetches.
fn assert_starts(script: &str, starts: usize, change: impl FnOnce(&mut Command)) {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", "node", &script_path(script)]);
    command.env("SITE", test.site.main()).env("STARTS", starts.to_string());
    change(&mut command);
    let run = test.run(command);
    let pages: BTreeSet<_> = run.requests.iter().filter_map(|request| request.run.clone()).collect();
    assert_eq!(pages, (0..starts).map(|start| start.to_string()).collect(), "{}", run.log);
    assert!(run.requests.len() >= starts * 9, "{} requests\n{}", run.requests.len(), run.log);
    assert_eq!(run.trace_ids().len(), starts, "one trace per browser");
    assert_eq!(run.summary(), run.trace_ids(), "{}", run.log);
    assert_own_spans(&run.requests);
    test.assert_nothing_left();
}

#[test]
fn selenium() {
    // Its manager would look for a newer driver.
    assert_starts("selenium.mjs", 20, |command| {
        command.env("SE_OFFLINE", "true");
    });
}

#[test]
fn webdriverio() {
    assert_starts("webdriverio.mjs", 6, |command| {
        command.env("CHROMEDRIVER_PATH", "/usr/bin/chromedriver");
    });
}
