//! Tests scopes, sampling per navigation, steering by scripts, and targets: which trace each request is in, and what spans say of it.

mod client;
mod web_sdk;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser_test::{BrowserTest, Run, beside_others, logged, traceparent};
use crate::propagation::with_main_as_target;
use crate::spans::{NAVIGATION, SESSION};
use crate::support::collector::{attribute, hex, spans_in};
use crate::support::site::{Recorded, TraceParent};

/// A context in another process.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

const MODES: [&str; 2] = ["detailed", "lightweight"];

/// A run and its collected spans.
struct Collected {
    run: Run,
    spans: Vec<Span>,
}

/// Runs a script in a mode and collects its spans. `adapt` changes the command.
fn collected(
    test: &BrowserTest,
    mode: &str,
    script: &str,
    variables: &[(&str, &str)],
    adapt: impl FnOnce(&mut Command),
) -> Collected {
    let mut command = test.collecting("k6");
    test.script(&mut command, script, variables);
    command.env("NAVTRACE_MODE", mode);
    adapt(&mut command);
    let run = test.run(command);
    let content = fs::read_to_string(test.trace_file()).unwrap_or_default();
    Collected { run, spans: spans_in(&content) }
}

fn steps(test: &BrowserTest, mode: &str, steps: &Value, adapt: impl FnOnce(&mut Command)) -> Collected {
    collected(test, mode, "steps.js", &[("STEPS", &steps.to_string())], adapt)
}

impl Collected {
    /// Returns the requests of a step, without those by which its page asks what they carry.
    fn of<'a>(&'a self, nav: &'a str) -> impl Iterator<Item = &'a Recorded> {
        let requests = self.run.requests.iter().filter(|request| request.label() != "settling");
        requests.filter(move |request| request.nav.as_deref() == Some(nav))
    }

    /// Returns the contexts of a step's requests.
    fn contexts(&self, nav: &str) -> Vec<TraceParent> {
        let contexts: Vec<_> = self.of(nav).map(traceparent).collect();
        assert!(contexts.len() >= 6, "{nav} made {} requests", contexts.len());
        contexts
    }

    /// Returns the trace id that all requests of a step share.
    fn trace(&self, nav: &str) -> String {
        let ids: BTreeSet<_> = self.contexts(nav).into_iter().map(|context| context.trace_id).collect();
        assert_eq!(ids.len(), 1, "the traces of {nav}: {ids:?}");
        ids.into_iter().next().unwrap()
    }

    /// Returns the spans with this name.
    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// Returns the span of a step's navigation.
    fn navigation(&self, nav: &str) -> &Span {
        let mark = format!("nav={nav}&");
        let found: Vec<_> =
            self.named(NAVIGATION).into_iter().filter(|span| attribute(span, "url.full").contains(&mark)).collect();
        assert_eq!(found.len(), 1, "the navigations of {nav}");
        found[0]
    }

    /// Asserts that no parent is missing but these spans of the client.
    fn assert_whole(&self, clients: &[&str]) {
        let ids: BTreeSet<_> = self.spans.iter().map(|span| hex(&span.span_id)).collect();
        assert_eq!(ids.len(), self.spans.len(), "a span id is there twice");
        for span in self.spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
            let parent = hex(&span.parent_span_id);
            assert!(
                ids.contains(&parent) || clients.contains(&parent.as_str()),
                "{} has no parent: {span:?}",
                span.name
            );
        }
    }
}

/// Returns the trace and span ids of a span's links.
fn links(span: &Span) -> BTreeSet<(String, String)> {
    span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
}

fn id(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.span_id))
}

/// A step as the script logs it.
#[derive(Deserialize)]
struct Step {
    nav: String,
    timing: Option<String>,
}

#[test]
fn scopes_decide_what_shares_a_trace() {
    let _guard = beside_others();
    let taken = json!([{ "nav": "a" }, { "nav": "b" }, { "nav": "c", "tab": 1 }]);
    for mode in MODES {
        let test = BrowserTest::new();
        // The actions of k6 would be between a navigation and its tab.
        let tab = steps(&test, mode, &taken, |command| {
            command.env("NAVTRACE_SCOPE", "tab").env("K6_TRACES_OUTPUT", "none");
        });
        let [a, b, c] = ["a", "b", "c"].map(|nav| tab.trace(nav));
        assert!(a == b && a != c, "{mode}: {a} {b} {c}");
        tab.assert_whole(&[]);
        let [session] = tab.named(SESSION)[..] else { panic!("one session") };
        let tabs = tab.named("browser tab");
        let of_tabs: BTreeSet<_> = tabs.iter().map(|span| hex(&span.trace_id)).collect();
        assert_eq!(of_tabs, BTreeSet::from([a, c]), "{mode}");
        assert!(tabs.iter().all(|span| links(span).contains(&id(session)) && span.parent_span_id.is_empty()), "{mode}");
        assert_eq!(tab.navigation("b").parent_span_id, tab.navigation("a").parent_span_id, "{mode}");

        let navigation = steps(&test, mode, &taken, |command| {
            command.env("NAVTRACE_SCOPE", "navigation");
        });
        let traces: BTreeSet<_> = ["a", "b", "c"].map(|nav| navigation.trace(nav)).into();
        assert_eq!(traces.len(), 3, "{mode}");
        navigation.assert_whole(&[]);
        let [session] = navigation.named(SESSION)[..] else { panic!("one session") };
        let [a, b] = ["a", "b"].map(|nav| navigation.navigation(nav));
        assert!(links(a).contains(&id(session)) && a.parent_span_id.is_empty(), "{mode}");
        assert!(links(b).contains(&id(a)) && links(b).contains(&id(session)), "{mode}: {:?}", links(b));
    }
}

#[test]
fn k6_trace_ids_are_on_the_wire_in_every_scope() {
    let _guard = beside_others();
    let taken = json!([{ "nav": "a" }, { "nav": "b" }]);
    for (format, start) in [("k6-local", "dc0742"), ("k6-cloud", "dc0718")] {
        for scope in ["session", "navigation"] {
            let test = BrowserTest::new();
            let seen = steps(&test, "detailed", &taken, |command| {
                command.env("NAVTRACE_ID_FORMAT", format).env("NAVTRACE_SCOPE", scope);
            });
            for nav in ["a", "b"] {
                assert!(seen.trace(nav).starts_with(start), "{format} {scope}: {}", seen.trace(nav));
            }
        }
    }
}

#[test]
fn navigations_can_be_sampled_one_by_one() {
    let _guard = beside_others();
    for mode in MODES {
        let test = BrowserTest::new();
        let navs: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
        let taken: Vec<_> = navs.iter().map(|nav| json!({ "nav": nav })).collect();
        let seen = steps(&test, mode, &Value::from(taken), |command| {
            command.env("NAVTRACE_SAMPLE_PER", "navigation");
            command.env("OTEL_TRACES_SAMPLER", "traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0.5");
        });
        let mut sampled = 0;
        for nav in &navs {
            let flags: BTreeSet<_> = seen.contexts(nav).iter().map(|context| context.flags).collect();
            assert_eq!(flags.len(), 1, "{mode} {nav}: {flags:?}");
            let is_sampled = flags.contains(&1);
            sampled += usize::from(is_sampled);
            let mark = format!("nav={nav}&");
            let exported = seen.spans.iter().filter(|span| attribute(span, "url.full").contains(&mark)).count();
            assert_eq!(exported > 0, is_sampled, "{mode} {nav}: {exported} spans");
        }
        // All or none of 20 happens once in 524,288 runs.
        assert!((1..20).contains(&sampled), "{mode}: {sampled}");
        seen.assert_whole(&[]);
        assert_eq!(seen.named(SESSION).len(), 1, "{mode}");
    }
}

#[test]
fn the_steering_header_works_and_never_leaves() {
    let _guard = beside_others();
    for mode in MODES {
        let test = BrowserTest::new();
        let parent = format!("sampling=1; traceparent=00-{TRACE}-{SPAN}-01");
        // In lightweight mode the header takes effect with the next navigation.
        let twice = |name: &str, control: &str| {
            let headers = json!({ "sec-ch-navtrace": control });
            [json!({ "nav": format!("{name}-seen"), "headers": headers }), json!({ "nav": name })]
        };
        let taken: Vec<Value> = [
            // A second window is not steered until the host has seen to it, so it opens long before its steps.
            [json!({ "nav": "beside" }), json!({ "nav": "opening", "tab": 1 })],
            twice("off", "off"),
            twice("b3", "propagator=b3"),
            twice("unsampled", "sampling=0"),
            twice("new", "new-trace"),
            twice("invalid", "ofd"),
            twice("on", "on"),
            [
                json!({ "nav": "parent-seen", "tab": 1, "headers": { "sec-ch-navtrace": parent } }),
                json!({ "nav": "parent", "tab": 1, "path": "/coverage" }),
            ],
        ]
        .concat();
        let seen = steps(&test, mode, &Value::from(taken), |_| ());
        let names = |request: &&Recorded| {
            request.headers.iter().any(|(name, value)| name.contains("navtrace") || value.contains("sec-ch-"))
        };
        let leaked: Vec<_> = seen.run.requests.iter().filter(names).collect();
        assert!(leaked.is_empty(), "{mode}: {leaked:?}");
        let session = seen.trace("on");
        // Service workers have no tab, so their requests are in the session's trace.
        let of_parent: BTreeSet<_> = seen.contexts("parent").into_iter().map(|context| context.trace_id).collect();
        assert_eq!(of_parent, BTreeSet::from([TRACE.to_owned(), session.clone()]), "{mode}");
        assert_eq!(seen.trace("invalid"), session);
        let warning = "the sec-ch-navtrace header is ignored: \"ofd\" is not known";
        assert_eq!(seen.run.log.matches(warning).count(), 1, "{mode}: {}", seen.run.log);

        assert!(seen.of("off").count() >= 6);
        assert!(seen.of("off").all(|request| request.traceparent.is_empty()), "{mode}");
        let spans_of = |nav: &str| {
            let mark = format!("nav={nav}&");
            seen.spans.iter().filter(|span| attribute(span, "url.full").contains(&mark)).count()
        };
        assert_eq!((spans_of("off"), spans_of("unsampled")), (0, 0), "{mode}");
        assert!(
            seen.contexts("unsampled").iter().all(|context| context.flags == 0 && context.trace_id == session),
            "{mode}"
        );
        for request in seen.of("b3") {
            let value = request.header("b3").unwrap_or_else(|| panic!("{mode}: {} has none", request.label()));
            assert!(value.starts_with(&session) && request.traceparent.is_empty(), "{mode}: {value}");
        }
        let new = seen.trace("new");
        assert!(new != session && seen.contexts("new").iter().all(|context| context.flags == 1), "{mode}");
        let [root] = seen.named(SESSION)[..] else { panic!("one session") };
        assert!(links(seen.navigation("new")).contains(&id(root)), "{mode}");
        assert_eq!(hex(&seen.navigation("parent").parent_span_id), SPAN, "{mode}");
        seen.assert_whole(&[SPAN]);
        let timings: Vec<Step> = logged(&seen.run.log, "STEP ");
        let timing = |nav: &str| timings.iter().find(|step| step.nav == nav).unwrap().timing.clone();
        assert_eq!(timing("off"), None, "{mode}");
        assert!(timing("new").unwrap().contains(&new), "{mode}");
    }
}

#[test]
fn only_targets_are_traced() {
    let _guard = beside_others();
    for mode in MODES {
        let test = BrowserTest::new();
        let taken = json!([
            { "nav": "in" },
            { "nav": "out", "origin": "other" },
            { "nav": "back" },
            { "nav": "all", "path": "/coverage" },
        ]);
        let seen = steps(&test, mode, &taken, |command| with_main_as_target(&test, command));
        let other = test.site.other();
        let strays: Vec<_> =
            seen.spans.iter().map(|span| attribute(span, "url.full")).filter(|url| url.starts_with(other)).collect();
        assert_eq!(strays, [""; 0], "{mode}");
        assert!(seen.of("out").all(|request| request.traceparent.is_empty()), "{mode}");
        assert_eq!(seen.trace("in"), seen.trace("back"), "{mode}");
        seen.assert_whole(&[]);
        let timings: Vec<Step> = logged(&seen.run.log, "STEP ");
        let named: Vec<_> = timings.iter().filter(|step| step.timing.is_none()).map(|step| step.nav.as_str()).collect();
        assert_eq!(named, ["out"], "{mode}");
    }
}
