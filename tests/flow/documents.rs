//! Tests documents whose navigation the extension's worker did not see: what scripts write into empty tabs, and pages that are older than the worker.

use std::fs;
use std::process::Stdio;

use opentelemetry_proto::tonic::trace::v1::Span;
use url::Url;

use crate::browser_test::{BrowserTest, exclusive, script_path, traceparent};
use crate::control::extension;
use crate::spans::{NAVIGATION, SESSION, Trace};
use crate::support::collector::{attribute, hex, read_line, spans};

/// The steps of the script, and the parents that their requests may have: the session, or the navigation of a step.
const PARENTS: [(&str, &[&str]); 16] = [
    ("written", &[SESSION]),
    ("loaded", &["loaded"]),
    ("left", &["left"]),
    ("emptied", &[SESSION]),
    ("page", &["page"]),
    // Chromium lets such a document load as its opener does.
    ("blank", &["page"]),
    ("restarting", &["page", SESSION]),
    ("restarting-blank", &["page", SESSION]),
    ("restarted", &["page"]),
    ("restarted-blank", &["page"]),
    ("restarted-written", &[SESSION]),
    ("between", &["between"]),
    ("reloaded", &["page"]),
    ("reloaded-blank", &["page"]),
    ("reloaded-written", &[SESSION]),
    ("next", &["next"]),
];

/// Returns the step that an address names.
fn step(span: &Span) -> String {
    let url = Url::parse(&attribute(span, "url.full")).unwrap();
    url.query_pairs().find(|(name, _)| name == "run").map(|(_, run)| run.into_owned()).unwrap_or_default()
}

fn documents(mode: &str) {
    let test = BrowserTest::new();
    let file = test.environment.home().join("traces.jsonl");
    let mut command = test.environment.navtrace(["run", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&file).args(["--", "node"]).arg(script_path("documents.mjs")).stdin(Stdio::null());
    command.env("SITE", test.site.main()).env("NAVTRACE_MODE", mode).env_remove("OTEL_TRACES_EXPORTER");
    command.env("NAVTRACE_EXTENSION", extension(&test));
    let run = test.run(command);

    let content = fs::read_to_string(&file).unwrap();
    let all: Vec<_> = content.lines().flat_map(|line| spans(&read_line(line))).collect();
    let trace = Trace::of(&traceparent(&run.requests[0]).trace_id, &all);
    let navigations = trace.spans().filter(|span| span.name == NAVIGATION);
    let nameless: Vec<_> = navigations.filter(|span| attribute(span, "url.full").is_empty()).collect();
    assert!(nameless.is_empty(), "navigations without an address: {nameless:#?}");
    for (name, expected) in PARENTS {
        let requests: Vec<_> = trace.requests().filter(|span| step(span) == name).collect();
        assert!(!requests.is_empty(), "nothing was asked for in the step {name}");
        for request in requests {
            let parent = trace.span(&hex(&request.parent_span_id)).unwrap();
            let of = if parent.name == NAVIGATION { step(parent) } else { parent.name.clone() };
            assert!(expected.contains(&of.as_str()), "{name} is below {of}: {request:#?}");
            // Nobody had to wait for the parent.
            assert!(parent.start_time_unix_nano <= request.start_time_unix_nano, "{name}: {parent:#?}");
        }
    }
    // The parents of the services' spans. A worker that is ended takes its last observations with it: in detailed mode the spans of the requests
    // around both ends.
    for request in &run.requests {
        let is_near_end = |run: &str| run == "between" || run.starts_with("restarting");
        let is_lost = mode == "detailed" && request.run.as_deref().is_some_and(is_near_end);
        assert!(is_lost || trace.span(&traceparent(request).span_id).is_some(), "the parent is missing: {request:?}");
    }
    assert_eq!(run.summary().len(), 1, "{}", run.log);
    test.assert_nothing_left();
}

#[test]
fn documents_without_a_navigation_are_below_the_session() {
    let _guard = exclusive();
    for mode in ["detailed", "lightweight"] {
        documents(mode);
    }
}
