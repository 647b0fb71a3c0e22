//! Tests that the browser's caches serve as much as without navtrace.

use std::process::Stdio;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, beside_others, logged, script_path};

/// Performance entries of the pages of one iteration.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Cached {
    run: String,
    /// Resources that were loaded.
    entries: usize,
    /// Resources from a cache.
    hits: usize,
}

fn cached(run: &Run) -> Vec<Cached> {
    let mut iterations = logged(&run.log, "CACHED ");
    iterations.sort();
    iterations
}

#[test]
fn caches_serve_as_much_as_without_navtrace() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let variables = [("ITERATIONS", "3"), ("NAVIGATIONS", "10")];
    let plain = test.plain("cached.js", &variables);
    let traced = test.traced_in("detailed", "cached.js", &variables);

    let hits = cached(&plain);
    println!("without navtrace: {hits:?}, {:?}", plain.counts());
    println!("with it:          {:?}, {:?}", cached(&traced), traced.counts());
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|seen| seen.hits * 10 >= seen.entries * 8), "the flow lives on the cache: {hits:?}");
    assert_eq!(cached(&traced), hits);
    assert_eq!(traced.counts(), plain.counts());
    assert_eq!(traced.trace_ids().len(), 3);
    assert_own_spans(&traced.requests);
    test.assert_nothing_left();
}

/// Counts how often the extension changes its session rules during ten navigations after the first.
fn rule_updates(mode: &str) -> u64 {
    #[derive(Deserialize)]
    struct Rules {
        updates: u64,
    }
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", "node"]);
    command.arg(script_path("rules.mjs")).env("SITE", test.site.main()).env("NAVTRACE_MODE", mode).stdin(Stdio::null());
    let run = test.run(command);
    assert_eq!(run.trace_ids().len(), 1);
    let rules: Vec<Rules> = logged(&run.log, "RULES ");
    rules[0].updates
}

/// Each change makes the renderers drop their memory cache.
#[test]
fn rules_do_not_change_in_detailed_mode() {
    let _guard = beside_others();
    assert_eq!(rule_updates("detailed"), 0);
    assert!(rule_updates("lightweight") >= 5, "changes are seen where there are some");
}
