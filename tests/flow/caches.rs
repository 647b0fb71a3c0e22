//! The browser's caches serve as much as they do without navtrace.

use std::process::Stdio;

use serde::Deserialize;

use crate::bench::{Bench, Run, assert_own_spans, logged, script_path, turn};

/// What the pages of one iteration know from their own performance entries.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Cached {
    run: String,
    /// The resources that they loaded.
    entries: usize,
    /// Those of them that came from a cache.
    hits: usize,
}

fn cached(run: &Run) -> Vec<Cached> {
    let mut iterations = logged(&run.log, "CACHED ");
    iterations.sort();
    iterations
}

#[test]
fn caches_serve_as_much_as_without_navtrace() {
    let _turn = turn();
    let bench = Bench::new();
    let variables = [("ITERATIONS", "3"), ("NAVIGATIONS", "10")];
    let plain = bench.plain("cached.js", &variables);
    let traced = bench.traced_in("detailed", "cached.js", &variables);

    let hits = cached(&plain);
    println!("without navtrace: {hits:?}, {:?}", plain.counts());
    println!("with it:          {:?}, {:?}", cached(&traced), traced.counts());
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|seen| seen.hits * 10 >= seen.entries * 8), "the flow lives on the cache: {hits:?}");
    assert_eq!(cached(&traced), hits);
    assert_eq!(traced.counts(), plain.counts());
    assert_eq!(traced.trace_ids().len(), 3);
    assert_own_spans(&traced.requests);
    bench.assert_nothing_left();
}

/// How often the extension changes its session rules in ten navigations that follow the first.
fn rule_updates(mode: &str) -> u64 {
    #[derive(Deserialize)]
    struct Rules {
        updates: u64,
    }
    let bench = Bench::new();
    let mut command = bench.environment.navtrace(["run", "--", "node"]);
    command
        .arg(script_path("rules.mjs"))
        .env("SITE", bench.site.main())
        .env("NAVTRACE_MODE", mode)
        .stdin(Stdio::null());
    let run = bench.run(command);
    assert_eq!(run.trace_ids().len(), 1);
    let rules: Vec<Rules> = logged(&run.log, "RULES ");
    rules[0].updates
}

/// Each change has the renderers drop their memory cache.
#[test]
fn no_rule_changes_in_detailed_mode() {
    let _turn = turn();
    assert_eq!(rule_updates("detailed"), 0);
    assert!(rule_updates("lightweight") >= 5, "changes are seen where there are some");
}
