//! Tests that each browser context has a trace, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser_test::{BrowserTest, Run, beside_others, is_root, traceparent};
use crate::spans::{NAVIGATION, SESSION, parameter};
use crate::support::collector::hex;
use crate::support::site::Recorded;

const CONTEXT: &str = "browser context";

/// The pages and workers of `browser-contexts.mjs`, by their browser contexts.
const CONTEXTS: [(&str, &[&str]); 4] = [
    ("a", &["a-1", "a-2", "a-3", "a-popup", "a-window", "a-worker"]),
    ("b", &["b-1"]),
    ("c", &["c-1", "c-worker"]),
    ("d", &["d-1"]),
];

/// The popups of context `a` that `browser-contexts.mjs` opens beside context `b`.
const BESIDE: [&str; 6] = ["a-window-beside", "a-beside-1", "a-beside-2", "a-beside-3", "a-beside-4", "a-beside-5"];

/// The navigation of pages that wait until the extension has followed a tab. Nothing is promised of these.
const SETTLING: &str = "settling";

fn is_settling(request: &Recorded) -> bool {
    request.nav.as_deref() == Some(SETTLING)
}

/// Returns whether a request is of the tab that is steered to carry nothing.
fn is_of_steered_tab(request: &Recorded) -> bool {
    request.nav.as_deref().is_some_and(|nav| nav.starts_with("off-"))
}

struct Contexts {
    run: Run,
    spans: Vec<Span>,
}

fn contexts(client: &str, mode: &str, variables: &[(&str, &str)]) -> Contexts {
    let test = BrowserTest::new();
    let mut command = test.collecting_from("browser-contexts.mjs");
    command.env("CLIENT", client).env("NAVTRACE_MODE", mode).envs(variables.iter().copied());
    if is_root() && client == "puppeteer" {
        command.env("BROWSER_ARGS", "--no-sandbox");
    }
    let run = test.run(command);
    test.assert_nothing_left();
    Contexts { run, spans: test.collected() }
}

impl Contexts {
    /// Returns the traces of each page and worker.
    fn traces(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let mut traces: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let is_traced = |request: &&Recorded| !is_settling(request) && !is_of_steered_tab(request);
        for request in self.run.requests.iter().filter(is_traced) {
            traces.entry(request.nav.as_deref().unwrap()).or_default().insert(traceparent(request).trace_id);
        }
        traces
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// Asserts that each traced request carries the context of a span.
    fn assert_carried(&self) {
        let known: BTreeSet<_> = self.spans.iter().map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
        for request in self.run.requests.iter().filter(|request| !is_settling(request) && !is_of_steered_tab(request)) {
            let context = traceparent(request);
            let (label, nav) = (request.label(), &request.nav);
            assert!(
                known.contains(&(context.trace_id, context.span_id)),
                "{label} of {nav:?} carries the id of no span"
            );
        }
    }

    fn assert_whole(&self, remote: &[&str]) {
        let ids: BTreeSet<_> = self.spans.iter().map(|span| hex(&span.span_id)).collect();
        assert_eq!(ids.len(), self.spans.len(), "a span id is there twice");
        for span in self.spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
            let parent = hex(&span.parent_span_id);
            assert!(ids.contains(&parent) || remote.contains(&&*parent), "{} has no parent: {span:?}", span.name);
        }
    }
}

#[test]
fn each_browser_context_has_a_trace() {
    let _guard = beside_others();
    for client in ["playwright", "puppeteer"] {
        for mode in ["detailed", "lightweight"] {
            // Rules can follow a client's headers only from the second navigation on, and a popup's window only after its first request.
            let is_detailed = mode == "detailed";
            let seen =
                contexts(client, mode, if is_detailed { &[("OFF", "1"), ("POPUPS", "1")] } else { &[("SETTLE", "1")] });
            let is_steered = |request: &&Recorded| request.nav.as_deref() == Some("off-1");
            let steered: Vec<_> = seen.run.requests.iter().filter(is_steered).collect();
            assert_eq!(steered.is_empty(), !is_detailed, "{client} {mode}");
            for request in steered {
                assert_eq!(request.traceparent, [""; 0], "{client} {mode}: {}", request.label());
            }
            let traces = seen.traces();
            let of = |nav: &str| traces.get(nav).unwrap_or_else(|| panic!("{client} {mode}: {nav} in {traces:#?}"));
            let roots: BTreeSet<_> = CONTEXTS.iter().map(|(_, navs)| of(navs[0]).clone()).collect();
            assert_eq!(roots.len(), CONTEXTS.len(), "{client} {mode}: {traces:#?}");
            for (context, navs) in CONTEXTS {
                for nav in navs {
                    assert_eq!(of(nav), of(navs[0]), "{client} {mode}: {nav} of {context}: {traces:#?}");
                    assert_eq!(of(nav).len(), 1, "{client} {mode}: {nav}");
                }
            }
            for nav in BESIDE.iter().filter(|_| is_detailed) {
                assert_eq!(of(nav), of("a-1"), "{client}: {nav}: {traces:#?}");
            }
            if is_detailed {
                seen.assert_carried();
            }
            // While several contexts are open, nothing says to which one a worker belongs.
            let none = of("none-worker");
            assert!(roots.iter().all(|root| root != none), "{client} {mode}: {traces:#?}");

            seen.assert_whole(&[]);
            let [session] = seen.named(SESSION)[..] else { panic!("{client} {mode}: one session") };
            assert_eq!(BTreeSet::from([hex(&session.trace_id)]), *none, "{client} {mode}");
            let spans = seen.named(CONTEXT);
            assert_eq!(spans.len(), CONTEXTS.len(), "{client} {mode}: {spans:#?}");
            for span in spans {
                assert!(span.parent_span_id.is_empty(), "{client} {mode}: {span:?}");
                let links: Vec<_> = span.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
                assert_eq!(links, [(&session.trace_id, &session.span_id)], "{client} {mode}");
                let below: Vec<_> =
                    seen.named(NAVIGATION).into_iter().filter(|nav| nav.trace_id == span.trace_id).collect();
                assert!(
                    !below.is_empty() && below.iter().all(|nav| nav.parent_span_id == span.span_id),
                    "{client} {mode}"
                );
                // The first page of a tab may be in the trace of a context that has closed.
                let ends =
                    below.iter().filter(|span| parameter(span, "nav") != SETTLING).map(|nav| nav.end_time_unix_nano);
                assert!(ends.max() <= Some(span.end_time_unix_nano), "{client} {mode}");
            }
            let named: BTreeSet<_> = roots.iter().flatten().chain(none).cloned().collect();
            assert_eq!(seen.run.summary(), named, "{client} {mode}: {}", seen.run.log);
            let all = format!("  session {} of 4 browser contexts  ", hex(&session.trace_id));
            assert!(seen.run.log.contains(&all), "{}", seen.run.log);
        }
    }
}

#[test]
fn contexts_join_the_trace_of_the_environment() {
    let _guard = beside_others();
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for (client, mode) in [("playwright", "detailed"), ("puppeteer", "lightweight")] {
        let traceparent = format!("00-{trace}-{span}-01");
        let mut variables = vec![("TRACEPARENT", traceparent.as_str())];
        variables.extend((mode == "lightweight").then_some(("SETTLE", "1")));
        let seen = contexts(client, mode, &variables);
        assert_eq!(seen.run.trace_ids(), BTreeSet::from([trace.to_owned()]), "{mode}");
        assert_eq!(seen.run.summary(), seen.run.trace_ids(), "{mode}: {}", seen.run.log);
        seen.assert_whole(&[span]);
        let contexts = seen.named(CONTEXT);
        assert_eq!((contexts.len(), seen.named(SESSION).len()), (CONTEXTS.len(), 1), "{mode}");
        for root in contexts.into_iter().chain(seen.named(SESSION)) {
            assert_eq!(hex(&root.parent_span_id), span, "{mode}: {root:?}");
        }
        let parents: BTreeSet<_> = seen.named(NAVIGATION).iter().map(|nav| hex(&nav.parent_span_id)).collect();
        assert_eq!(parents.len(), CONTEXTS.len(), "{mode}: each context has its navigations");
    }
}

#[test]
fn contexts_keep_their_traces_when_the_worker_restarts() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let seen = contexts("playwright", mode, &[("RESTART", "1"), ("SETTLE", "1")]);
        let traces = seen.traces();
        for (nav, before) in [("a-2", "a-1"), ("a-3", "a-1"), ("b-2", "b-1")] {
            assert_eq!(traces[nav], traces[before], "{mode}: {nav} in {traces:#?}");
        }
        let roots = ["a-1", "b-1", "c-1", "d-1"].map(|nav| &traces[nav]);
        assert_eq!(BTreeSet::from(roots).len(), 4, "{mode}: {traces:#?}");
        assert_eq!((seen.named(CONTEXT).len(), seen.named(SESSION).len()), (4, 1), "{mode}");
    }
}

#[test]
fn clients_that_share_a_browser_have_a_trace_each() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::new();
        let mut command = test.collecting_from("shared-browser.mjs");
        command.env("NAVTRACE_MODE", mode);
        if is_root() {
            command.env("BROWSER_ARGS", "--no-sandbox");
        }
        let seen = Contexts { run: test.run(command), spans: test.collected() };
        test.assert_nothing_left();
        let traces = seen.traces();
        let of = |name: &str| ["1", "2"].map(|visit| traces[&*format!("{name}-{visit}")].clone());
        let names: Vec<_> = ["cdp", "server"].iter().flat_map(|by| (1..5).map(move |n| format!("{by}{n}"))).collect();
        for name in &names {
            let [first, second] = of(name);
            assert!(first == second && second.len() == 1, "{mode} {name}: {traces:#?}");
        }
        let each: BTreeSet<_> = names.iter().flat_map(|name| of(name)[1].clone()).collect();
        assert_eq!(each.len(), names.len(), "{mode}: one trace per client: {traces:#?}");
        seen.assert_whole(&[]);
        assert_eq!((seen.named(CONTEXT).len(), seen.named(SESSION).len()), (names.len(), 2), "{mode}");
    }
}
