//! Tests `navtrace run` without an endpoint: all spans are in one file, and `navtrace view` shows them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::browser_test::{BrowserTest, beside_others};
use crate::navtrace::{Environment, stderr, stdout};
use crate::spans::Trace;
use crate::support::collector::{hex, spans_in};
use crate::support::jaeger::Jaeger;
use crate::traces::Shop;

/// Iterations of the demo.
const ITERATIONS: usize = 3;

/// Returns the lines of `navtrace view` for a trace, without times.
fn tree(environment: &Environment, file: &Path, id: &str) -> Vec<String> {
    let mut command = environment.navtrace(["view"]);
    command.arg(file).arg(id).env("COLUMNS", "160").env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let content = stdout(&output);
    // Bars and durations follow the label and the service.
    content.lines().skip(1).map(|line| line.split(['█']).next().unwrap().trim_end().to_owned()).collect()
}

#[test]
fn the_file_has_the_same_trace_as_jaeger() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let home = test.environment.home();
    let file = home.join("traces.jsonl");
    let mut command = test.environment.navtrace(["run", "--output"]);
    command.arg(&file).args([
        "--",
        &format!("{root}/install/demo-shop.sh"),
        "k6",
        "run",
        "--quiet",
        "--no-usage-report",
    ]);
    command.arg(format!("{root}/examples/k6/demo.js")).stdin(Stdio::null());
    command.env("SHOP", Shop::build()).env("SCRATCH", home).env_remove("OTEL_TRACES_EXPORTER");
    command.env("NAVTRACE_LINK", "http://jaeger.test/trace/{trace_id}").env("NAVTRACE_MODE", "detailed");
    let run = test.run(command);
    test.assert_nothing_left();

    // The file has OTLP JSON lines, and no parent is missing.
    let content = fs::read_to_string(&file).unwrap();
    let all = spans_in(&content);
    let ids = run.summary();
    assert_eq!(ids.len(), ITERATIONS, "{}", run.log);
    assert_eq!(all.iter().map(|span| hex(&span.trace_id)).collect::<BTreeSet<_>>(), ids);
    let jaeger = Jaeger::start();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    for line in content.lines() {
        let post = client.post(format!("{}/v1/traces", jaeger.endpoint())).header("content-type", "application/json");
        assert!(post.body(line.to_owned()).send().unwrap().status().is_success());
    }
    for id in &ids {
        let trace = Trace::of(id, &all);
        let exported = jaeger.wait_for(id, |shown| shown.spans.len() == trace.spans().count());
        assert!(exported.missing_parents().is_empty());
        for service in ["shop", "pricing"] {
            assert!(!exported.by_service(service).is_empty(), "{service} joined in");
        }
        let from_jaeger = home.join(format!("{id}.json"));
        fs::write(&from_jaeger, jaeger.export(id)).unwrap();
        let shown = tree(&test.environment, &file, id);
        assert!(
            shown[0].starts_with("shopping, VU 1, iteration ") && shown.len() == exported.spans.len(),
            "{shown:#?}"
        );
        assert_eq!(tree(&test.environment, &from_jaeger, id), shown);
        // The trace's line in the summary.
        let line = run.log.lines().find(|line| line.starts_with(&format!("navtrace:   {id}"))).unwrap();
        assert!(line.contains("  served by pricing, shop  "), "{line}");
        assert!(line.ends_with(&format!("  http://jaeger.test/trace/{id}")), "{line}");
    }
    let page = home.join("traces.html");
    assert!(run.log.contains(&format!("navtrace: the page: {}\n", page.display())), "{}", run.log);
    let html = fs::read_to_string(page).unwrap();
    assert!(ids.iter().all(|id| html.contains(id)));
}
