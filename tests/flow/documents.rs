//! Tests documents whose navigation the extension's worker did not see: what scripts write into empty tabs, and pages that are older than the worker.

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser_test::{BrowserTest, beside_others, traceparent};
use crate::control::extension;
use crate::spans::{NAVIGATION, SESSION, Trace, parameter};
use crate::support::collector::{attribute, hex};

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
    parameter(span, "run")
}

fn documents(mode: &str) {
    let test = BrowserTest::new();
    let mut command = test.collecting_from("documents.mjs");
    command.env("NAVTRACE_MODE", mode).env("NAVTRACE_EXTENSION", extension(&test));
    let run = test.run(command);

    let all = test.collected();
    let trace = Trace::of(&traceparent(&run.requests[0]).trace_id, &all);
    let navigations = trace.spans().filter(|span| span.name == NAVIGATION);
    let nameless: Vec<_> = navigations.filter(|span| attribute(span, "url.full").is_empty()).collect();
    assert!(nameless.is_empty(), "navigations without an address: {nameless:#?}");
    // A worker that is ended takes its last observations with it: in detailed mode the spans of the requests around both ends.
    let is_lost = |step: &str| mode == "detailed" && (step == "between" || step.starts_with("restarting"));
    for (name, expected) in PARENTS {
        // A page that waits for its rules asks for this before they are in force.
        let is_waiting = |span: &Span| parameter(span, "kind") == "settling";
        let requests: Vec<_> = trace.requests().filter(|span| step(span) == name && !is_waiting(span)).collect();
        assert!(is_lost(name) || !requests.is_empty(), "nothing was asked for in the step {name}");
        for request in requests {
            let parent = trace.span(&hex(&request.parent_span_id)).unwrap();
            let of = if parent.name == NAVIGATION { step(parent) } else { parent.name.clone() };
            assert!(expected.contains(&of.as_str()), "{name} is below {of}: {request:#?}");
            // Nobody had to wait for the parent.
            assert!(parent.start_time_unix_nano <= request.start_time_unix_nano, "{name}: {parent:#?}");
        }
    }
    // The parents of the services' spans.
    for request in &run.requests {
        let is_lost = request.run.as_deref().is_some_and(is_lost);
        assert!(is_lost || trace.span(&traceparent(request).span_id).is_some(), "the parent is missing: {request:?}");
    }
    assert_eq!(run.summary().len(), 1, "{}", run.log);
    test.assert_nothing_left();
}

#[test]
fn documents_without_a_navigation_are_below_the_session() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        documents(mode);
    }
}
