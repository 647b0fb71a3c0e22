//! Tests which headers requests carry, as OpenTelemetry's own SDKs read them: every format alone and in pairs, and only for targets.

use std::collections::BTreeSet;
use std::process::Command;

use crate::browser_test::{BrowserTest, Run, beside_others};
use crate::support::sdk::{Contexts, SdkServer, SpanContext};
use crate::support::site::{Origin, Recorded, coverage_kinds};

const PROPAGATORS: [&str; 5] = ["tracecontext", "baggage", "b3", "b3multi", "jaeger"];

/// All headers that propagators write, and the steering header.
const HEADERS: [&str; 11] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-parentspanid",
    "uber-trace-id",
    "sec-ch-navtrace",
    "navtrace",
];

const BAGGAGE: &str = "user=alice,region=eu%20west";

/// Returns the names of these headers in a request.
fn carried(request: &Recorded) -> Vec<&str> {
    request.headers.iter().map(|(name, _)| name.as_str()).filter(|name| HEADERS.contains(name)).collect()
}

fn covered(test: &BrowserTest, mode: &str, settings: &[(&str, &str)]) -> Run {
    let mut command = test.traced_command("coverage.js", &[]);
    command.env("NAVTRACE_MODE", mode).envs(settings.iter().copied());
    let run = test.run(command);
    run.assert_whole(&["1-0"]);
    run
}

/// Returns the span context that all propagators read from a request.
fn agreed(contexts: &Contexts, propagators: &[&str], request: &Recorded, gets_baggage: bool) -> Option<SpanContext> {
    let Contexts { tracecontext, b3, b3multi, jaeger, baggage } = contexts;
    let found = [("tracecontext", tracecontext), ("b3", b3), ("b3multi", b3multi), ("jaeger", jaeger)];
    let mut agreed: Option<SpanContext> = None;
    for (name, context) in found {
        assert_eq!(context.is_some(), propagators.contains(&name), "{name} of {} {}", request.method, request.label());
        let Some(context) = context else { continue };
        assert_eq!(agreed.get_or_insert_with(|| context.clone()), context, "{} {}", request.method, request.label());
    }
    let expected: &[(&str, &str)] = if gets_baggage { &[("region", "eu west"), ("user", "alice")] } else { &[] };
    let baggage: Vec<_> = baggage.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(baggage, expected, "{} {}", request.method, request.label());
    agreed
}

/// Loads the coverage page with these propagators, and checks what the SDKs read from every request.
pub(crate) fn propagated(node: &SdkServer, go: &SdkServer, mode: &str, propagators: &[&str]) {
    let test = BrowserTest::new();
    let written = propagators.join(",");
    let mut settings = vec![("OTEL_PROPAGATORS", written.as_str()), ("BAGGAGE", BAGGAGE)];
    // Without targets, baggage goes only to the origin that the client navigates to, which static mode does not know.
    let targets = (mode == "static").then_some(("NAVTRACE_TARGETS", "<all_urls>"));
    settings.extend(targets);
    let run = covered(&test, mode, &settings);
    let seen: BTreeSet<_> = run.requests.iter().map(Recorded::label).collect();
    for kind in coverage_kinds().iter().filter(|kind| kind.at_least > 0) {
        assert!(seen.contains(kind.name), "{} with {propagators:?}", kind.name);
    }
    let mut spans = BTreeSet::new();
    for request in &run.requests {
        let contexts = node.contexts(&request.headers);
        if propagators.contains(&"tracecontext") || propagators.contains(&"jaeger") {
            let read = go.contexts(&request.headers);
            assert_eq!((&read.tracecontext, &read.jaeger), (&contexts.tracecontext, &contexts.jaeger));
        }
        let gets_baggage = propagators.contains(&"baggage") && (targets.is_some() || request.origin == Origin::Main);
        let Some(context) = agreed(&contexts, propagators, request, gets_baggage) else { continue };
        assert_eq!(BTreeSet::from([context.trace_id]), run.summary(), "{}", run.log);
        assert_eq!((context.trace_flags, context.trace_state), (1, None));
        let is_fresh = spans.insert(context.span_id);
        assert!(is_fresh || mode != "detailed", "{} {} has no span id of its own", request.method, request.label());
    }
}

#[test]
fn every_propagator_is_read_by_the_sdks_alone_and_in_pairs() {
    let _guard = beside_others();
    let (node, go) = (SdkServer::node(), SdkServer::go());
    for mode in ["detailed", "lightweight"] {
        for (number, first) in PROPAGATORS.iter().enumerate() {
            propagated(&node, &go, mode, &[first]);
            for second in &PROPAGATORS[number + 1..] {
                propagated(&node, &go, mode, &[first, second]);
            }
        }
    }
}

/// Makes every kind of request to two origins of which one is a target, and checks the headers.
pub(crate) fn only_targets(mode: &str, resources: &str, setting: &str, target: Origin) {
    let test = BrowserTest::new();
    // With NAVTRACE_EXCLUDE, the origin that is no target is named.
    let names_main = (setting == "NAVTRACE_TARGETS") == (target == Origin::Main);
    let named = format!("{}/*", if names_main { test.site.main() } else { test.site.other() });
    let propagators = PROPAGATORS.join(",");
    let mut settings = vec![
        (setting, named.as_str()),
        ("NAVTRACE_RESOURCES", resources),
        ("OTEL_PROPAGATORS", &propagators),
        ("BAGGAGE", BAGGAGE),
    ];
    if setting == "NAVTRACE_EXCLUDE" {
        // Without targets, baggage goes only to the hosts that the client navigates to.
        settings.push(("NAVTRACE_TARGETS", "<all_urls>"));
    }
    let run = covered(&test, mode, &settings);
    let (targets, others): (Vec<_>, Vec<_>) = run.requests.iter().partition(|request| request.origin == target);
    assert!(targets.len() > 5 && others.len() > 5, "{} and {}", targets.len(), others.len());
    for request in targets {
        assert_eq!(carried(request).len(), 7, "{} {} carries {:?}", request.method, request.label(), carried(request));
    }
    for request in others {
        let label = request.label();
        assert_eq!(carried(request), [""; 0], "{setting} {mode} {resources}: {} {label}", request.method);
    }
}

#[test]
fn nobody_but_targets_gets_a_header_or_baggage() {
    let _guard = beside_others();
    for (mode, resources) in [("detailed", "all"), ("detailed", "calls"), ("lightweight", "all")] {
        for setting in ["NAVTRACE_TARGETS", "NAVTRACE_EXCLUDE"] {
            for target in [Origin::Main, Origin::Other] {
                only_targets(mode, resources, setting, target);
            }
        }
    }
}

/// Runs with a pattern that no rule of the browser takes, and counts the requests to the main origin with and without a header.
pub(crate) fn with_long_pattern(mode: &str, setting: &str) -> (Run, usize, usize) {
    let test = BrowserTest::new();
    let [main, long] = ["*".to_owned(), "x".repeat(200)].map(|path| format!("{}/{path}", test.site.main()));
    let patterns = if setting == "NAVTRACE_TARGETS" { format!("{main},{long}") } else { long };
    let run = covered(&test, mode, &[(setting, &patterns)]);
    let main = run.requests.iter().filter(|request| request.origin == Origin::Main);
    let (with, without): (Vec<_>, Vec<_>) = main.partition(|request| !carried(request).is_empty());
    let counts = (with.len(), without.len());
    (run, counts.0, counts.1)
}

#[test]
fn patterns_too_long_for_rules_give_no_headers() {
    let _guard = beside_others();
    for (setting, told) in
        [("NAVTRACE_TARGETS", "so it gets no headers"), ("NAVTRACE_EXCLUDE", "so nothing gets headers")]
    {
        let (run, with, without) = with_long_pattern("lightweight", setting);
        assert!(run.log.contains(told) && run.log.contains("shorten it, or use detailed mode"), "{}", run.log);
        // The other target is not affected.
        assert_eq!((with > 5, without > 5), (told.contains("it gets"), told.contains("nothing")), "{setting}");
        let (run, with, without) = with_long_pattern("detailed", setting);
        assert!(with > 5 && without == 0 && !run.log.contains(told), "{setting}: {}", run.log);
    }
}

/// A test's command with the site's main origin as the only target.
pub(crate) fn with_main_as_target(test: &BrowserTest, command: &mut Command) {
    command.env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
}
