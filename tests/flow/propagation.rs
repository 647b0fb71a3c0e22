//! Tests which headers requests carry, as OpenTelemetry's own SDKs read them: every format alone and in pairs, and only for targets.

use std::collections::BTreeSet;
use std::process::Command;

use navtrace::testing::MatchPattern;

use crate::browser_test::{BrowserTest, Run, exclusive, logged, script_path};
use crate::support::sdk::{Contexts, SdkServer, SpanContext};
use crate::support::site::{Origin, Recorded, coverage_kinds};

const PROPAGATORS: [&str; 5] = ["tracecontext", "baggage", "b3", "b3multi", "jaeger"];

/// All headers that propagators write, and the steering header.
const HEADERS: [&str; 10] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-parentspanid",
    "uber-trace-id",
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
fn agreed(contexts: &Contexts, propagators: &[&str], request: &Recorded) -> Option<SpanContext> {
    let Contexts { tracecontext, b3, b3multi, jaeger, baggage } = contexts;
    let found = [("tracecontext", tracecontext), ("b3", b3), ("b3multi", b3multi), ("jaeger", jaeger)];
    let mut agreed: Option<SpanContext> = None;
    for (name, context) in found {
        assert_eq!(context.is_some(), propagators.contains(&name), "{name} of {} {}", request.method, request.label());
        let Some(context) = context else { continue };
        assert_eq!(agreed.get_or_insert_with(|| context.clone()), context, "{} {}", request.method, request.label());
    }
    let expected: &[(&str, &str)] =
        if propagators.contains(&"baggage") { &[("region", "eu west"), ("user", "alice")] } else { &[] };
    let baggage: Vec<_> = baggage.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(baggage, expected, "{} {}", request.method, request.label());
    agreed
}

/// Loads the coverage page with these propagators, and checks what the SDKs read from every request.
fn propagated(node: &SdkServer, go: &SdkServer, mode: &str, propagators: &[&str]) {
    let test = BrowserTest::new();
    let run = covered(&test, mode, &[("OTEL_PROPAGATORS", &propagators.join(",")), ("BAGGAGE", BAGGAGE)]);
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
        let Some(context) = agreed(&contexts, propagators, request) else { continue };
        assert_eq!(BTreeSet::from([context.trace_id]), run.summary(), "{}", run.log);
        assert_eq!((context.trace_flags, context.trace_state), (1, None));
        let is_fresh = spans.insert(context.span_id);
        assert!(is_fresh || mode == "lightweight", "{} {} has no span id of its own", request.method, request.label());
    }
}

#[test]
fn every_propagator_is_read_by_the_sdks_alone_and_in_pairs() {
    let _guard = exclusive();
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
fn only_targets(mode: &str, setting: &str, target: Origin) {
    let test = BrowserTest::new();
    // With NAVTRACE_EXCLUDE, the origin that is no target is named.
    let names_main = (setting == "NAVTRACE_TARGETS") == (target == Origin::Main);
    let named = format!("{}/*", if names_main { test.site.main() } else { test.site.other() });
    let settings = [(setting, named.as_str()), ("OTEL_PROPAGATORS", &PROPAGATORS.join(",")), ("BAGGAGE", BAGGAGE)];
    let run = covered(&test, mode, &settings);
    let (targets, others): (Vec<_>, Vec<_>) = run.requests.iter().partition(|request| request.origin == target);
    assert!(targets.len() > 5 && others.len() > 5, "{} and {}", targets.len(), others.len());
    for request in targets {
        assert_eq!(carried(request).len(), 7, "{} {} carries {:?}", request.method, request.label(), carried(request));
    }
    for request in others {
        assert_eq!(carried(request), [""; 0], "{setting} {mode}: {} {}", request.method, request.label());
    }
}

#[test]
fn nobody_but_targets_gets_a_header_or_baggage() {
    let _guard = exclusive();
    for mode in ["detailed", "lightweight"] {
        for setting in ["NAVTRACE_TARGETS", "NAVTRACE_EXCLUDE"] {
            for target in [Origin::Main, Origin::Other] {
                only_targets(mode, setting, target);
            }
        }
    }
}

#[test]
fn browser_rules_accept_every_valid_pattern() {
    let _guard = exclusive();
    let test = BrowserTest::new();
    // The longest valid pattern of each form.
    let forms: [fn(&str) -> String; 9] = [
        |fill| format!("https://{fill}/*"),
        |fill| format!("*://*.{fill}:8443/*"),
        |fill| format!("*://{fill}:443/*"),
        |fill| format!("*://*.{fill}:80/x"),
        |fill| format!("http://*.shop.test/{fill}"),
        |fill| format!("*://*/{fill}"),
        |fill| format!("*://*:*/*{fill}"),
        |fill| format!("https://shop.test/*/{fill}*a"),
        |fill| format!("https://shop.test/*a*b*c*d*{fill}"),
    ];
    let longest = |form: &fn(&str) -> String| {
        let patterns = (1..200).map(|length| form(&"a".repeat(length)));
        patterns.map_while(|pattern| MatchPattern::parse(&pattern).ok()).last().expect("short ones are taken")
    };
    let patterns: Vec<MatchPattern> = forms.iter().map(longest).collect();
    assert!(patterns.iter().all(|pattern| pattern.to_string().len() > 40), "{patterns:?}");
    let regexes: Vec<&String> = patterns.iter().flat_map(MatchPattern::regexes).collect();
    let mut command = test.environment.navtrace(["run", "--", "node", &script_path("regexes.mjs")]);
    command.env("REGEXES", serde_json::to_string(&regexes).unwrap());
    let run = test.run(command);
    assert_eq!(logged::<Vec<String>>(&run.log, "REFUSED "), [[""; 0]], "{}", run.log);
}

/// Makes the site's main origin the only target of a command.
pub(crate) fn with_main_as_target(test: &BrowserTest, command: &mut Command) {
    command.env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
}
