//! Contexts that are there already, scripts that steer, and scopes: which trace each request is in, and what spans say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bench::{Bench, Run, logged, traceparent, turn};
use crate::propagation::with_main_as_target;
use crate::spans::{NAVIGATION, SESSION, is_request, path};
use crate::support::collector::{attribute, hex, read_line, spans};
use crate::support::sdk::{PageSpans, make_page_script};
use crate::support::site::{Origin, Recorded, TraceParent};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

const MODES: [&str; 2] = ["detailed", "lightweight"];

/// What a run left: what the site got, and the spans that were collected.
struct Collected {
    run: Run,
    spans: Vec<Span>,
}

/// Runs a script in a mode with these settings, and collects its spans.
fn collected(
    bench: &Bench,
    mode: &str,
    script: &str,
    variables: &[(&str, &str)],
    adapt: impl FnOnce(&mut Command),
) -> Collected {
    let file = bench.environment.home().join("traces.jsonl");
    let mut command = bench.environment.navtrace(["run", "--listen", "127.0.0.1:0", "--output"]);
    command.arg(&file).args(["--", "k6"]);
    bench.script(&mut command, script, variables);
    command.env("NAVTRACE_MODE", mode).env_remove("OTEL_TRACES_EXPORTER");
    adapt(&mut command);
    let run = bench.run(command);
    let text = fs::read_to_string(&file).unwrap_or_default();
    Collected { run, spans: text.lines().flat_map(|line| spans(&read_line(line))).collect() }
}

fn steps(bench: &Bench, mode: &str, steps: &Value, adapt: impl FnOnce(&mut Command)) -> Collected {
    collected(bench, mode, "steps.js", &[("STEPS", &steps.to_string())], adapt)
}

impl Collected {
    /// The requests that a step made.
    fn of<'a>(&'a self, nav: &'a str) -> impl Iterator<Item = &'a Recorded> {
        self.run.requests.iter().filter(move |request| request.nav.as_deref() == Some(nav))
    }

    /// The contexts of a step's requests.
    fn contexts(&self, nav: &str) -> Vec<TraceParent> {
        let contexts: Vec<_> = self.of(nav).map(traceparent).collect();
        assert!(contexts.len() >= 6, "{nav} made {} requests", contexts.len());
        contexts
    }

    /// The one trace that a step's requests are in.
    fn trace(&self, nav: &str) -> String {
        let ids: BTreeSet<_> = self.contexts(nav).into_iter().map(|context| context.trace_id).collect();
        assert_eq!(ids.len(), 1, "the traces of {nav}: {ids:?}");
        ids.into_iter().next().unwrap()
    }

    /// The spans of this name.
    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The span of a step's navigation.
    fn navigation(&self, nav: &str) -> &Span {
        let mark = format!("nav={nav}&");
        let found: Vec<_> =
            self.named(NAVIGATION).into_iter().filter(|span| attribute(span, "url.full").contains(&mark)).collect();
        assert_eq!(found.len(), 1, "the navigations of {nav}");
        found[0]
    }

    /// No span's parent may be missing, but for those of the client.
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

fn header(trace_id: &str, flags: &str) -> String {
    format!("00-{trace_id}-{SPAN}-{flags}")
}

/// The spans that a span has links to.
fn links(span: &Span) -> BTreeSet<(String, String)> {
    span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
}

fn id(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.span_id))
}

#[test]
fn a_client_that_sets_a_context_has_its_trace_continued() {
    let _turn = turn();
    for mode in MODES {
        let bench = Bench::new();
        let headers =
            json!({ "traceparent": header(TRACE, "01"), "tracestate": "rojo=1,congo=2", "baggage": "user=alice" });
        let taken = [
            json!({ "nav": "before" }),
            json!({ "nav": "first", "headers": headers }),
            json!({ "nav": "second" }),
            json!({ "nav": "cross", "path": "/coverage" }),
            json!({ "nav": "elsewhere", "tab": 1 }),
        ];
        let seen = steps(&bench, mode, &Value::from(taken.to_vec()), |command| with_main_as_target(&bench, command));
        let session = seen.trace("before");
        assert_ne!(session, TRACE);
        // Rules are in force before anybody could read what the client sends with the first navigation.
        assert_eq!(seen.trace("first"), if mode == "detailed" { TRACE } else { &session }, "{mode}");
        assert_eq!((seen.trace("second").as_str(), seen.trace("elsewhere")), (TRACE, session.clone()), "{mode}");
        for request in seen.of("second") {
            let values = ["tracestate", "baggage"].map(|name| request.header(name).unwrap_or_default());
            assert_eq!(values, ["rojo=1,congo=2", "user=alice"], "{mode} {}", request.label());
        }
        // What the client puts on every request goes to targets alone, too.
        let crossing = seen.of("cross").filter(|request| request.origin == Origin::Other);
        let leaks: Vec<_> =
            crossing.filter(|request| request.header("traceparent").or(request.header("baggage")).is_some()).collect();
        assert_eq!(leaks.iter().map(|request| request.label()).collect::<Vec<_>>(), [""; 0], "{mode}");

        assert!(seen.run.log.contains(&format!("  also in {TRACE}  ")), "{}", seen.run.log);
        seen.assert_whole(&[SPAN]);
        let navigation = seen.navigation("second");
        assert_eq!(id(navigation).0, TRACE);
        assert_eq!(
            (hex(&navigation.parent_span_id).as_str(), navigation.trace_state.as_str()),
            (SPAN, "rojo=1,congo=2")
        );
        // HAS_IS_REMOTE, IS_REMOTE, sampled.
        assert_eq!(navigation.flags, 0x301);
        let below: Vec<_> = seen.spans.iter().filter(|span| span.parent_span_id == navigation.span_id).collect();
        assert!(below.len() >= 6 && below.iter().all(|span| is_request(span)), "{mode}: {below:?}");
    }
}

#[test]
fn a_clients_context_in_other_formats_is_continued_too() {
    let _turn = turn();
    let multi = json!({ "x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1" });
    for (propagators, headers) in [
        ("b3,tracecontext", json!({ "b3": format!("{TRACE}-{SPAN}-1") })),
        ("b3multi,tracecontext", multi),
        ("jaeger,tracecontext", json!({ "uber-trace-id": format!("{TRACE}:{SPAN}:0:1") })),
    ] {
        let bench = Bench::new();
        let taken = json!([{ "nav": "first", "headers": headers }, { "nav": "second" }]);
        let seen = steps(&bench, "detailed", &taken, |command| {
            command.env("OTEL_PROPAGATORS", propagators);
        });
        assert_eq!((seen.trace("first").as_str(), seen.trace("second").as_str()), (TRACE, TRACE), "{propagators}");
        seen.assert_whole(&[SPAN]);
    }
}

#[test]
fn what_a_clients_flags_say_is_followed() {
    let _turn = turn();
    let bench = Bench::new();
    let taken = json!([{ "nav": "first", "headers": { "traceparent": header(TRACE, "00") } }]);
    let seen = steps(&bench, "detailed", &taken, |_| ());
    assert!(seen.contexts("first").iter().all(|context| context.flags == 0));
    assert_eq!(seen.spans.iter().filter(|span| hex(&span.trace_id) == TRACE).count(), 0);
    let ignoring = steps(&bench, "detailed", &taken, |command| {
        command.env("OTEL_TRACES_SAMPLER", "always_on");
    });
    assert!(ignoring.contexts("first").iter().all(|context| context.flags == 1));
}

#[test]
fn a_context_in_the_environment_is_joined_for_the_whole_session() {
    let _turn = turn();
    for mode in MODES {
        let bench = Bench::new();
        let taken = json!([{ "nav": "first" }, { "nav": "second" }, { "nav": "other", "tab": 1 }]);
        let seen = steps(&bench, mode, &taken, |command| {
            command.env("TRACEPARENT", header(TRACE, "01")).env("TRACESTATE", "rojo=1").env("BAGGAGE", "user=alice");
            // It is the whole session's.
            command.env("NAVTRACE_SCOPE", "tab");
        });
        for nav in ["first", "second", "other"] {
            assert_eq!(seen.trace(nav), TRACE, "{mode}");
        }
        for request in seen.of("second") {
            assert_eq!(
                request.header("tracestate").zip(request.header("baggage")),
                Some(("rojo=1", "user=alice")),
                "{mode}"
            );
        }
        seen.assert_whole(&[SPAN]);
        let [session] = seen.named(SESSION)[..] else { panic!("one session") };
        assert_eq!((hex(&session.parent_span_id).as_str(), session.flags), (SPAN, 0x301), "{mode}");
        assert!(seen.spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "rojo=1"), "{mode}");
        assert!(seen.run.log.contains(&format!("navtrace:   {TRACE}  ")), "{}", seen.run.log);
    }
}

#[test]
fn scopes_decide_what_shares_a_trace() {
    let _turn = turn();
    let taken = json!([{ "nav": "a" }, { "nav": "b" }, { "nav": "c", "tab": 1 }]);
    for mode in MODES {
        let bench = Bench::new();
        let tab = steps(&bench, mode, &taken, |command| {
            command.env("NAVTRACE_SCOPE", "tab");
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

        let navigation = steps(&bench, mode, &taken, |command| {
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
    let _turn = turn();
    let taken = json!([{ "nav": "a" }, { "nav": "b" }]);
    for (format, start) in [("k6-local", "dc0742"), ("k6-cloud", "dc0718")] {
        for scope in ["session", "navigation"] {
            let bench = Bench::new();
            let seen = steps(&bench, "detailed", &taken, |command| {
                command.env("NAVTRACE_ID_FORMAT", format).env("NAVTRACE_SCOPE", scope);
            });
            for nav in ["a", "b"] {
                assert!(seen.trace(nav).starts_with(start), "{format} {scope}: {}", seen.trace(nav));
            }
        }
    }
}

#[test]
fn single_navigations_are_sampled_where_that_is_wanted() {
    let _turn = turn();
    for mode in MODES {
        let bench = Bench::new();
        let navs: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
        let taken: Vec<_> = navs.iter().map(|nav| json!({ "nav": nav })).collect();
        let seen = steps(&bench, mode, &Value::from(taken), |command| {
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
        // All or none of 20 is one in 524,288.
        assert!((1..20).contains(&sampled), "{mode}: {sampled}");
        seen.assert_whole(&[]);
        assert_eq!(seen.named(SESSION).len(), 1, "{mode}");
    }
}

#[test]
fn a_script_steers_a_page_by_a_header_that_never_leaves() {
    let _turn = turn();
    for mode in MODES {
        let bench = Bench::new();
        // In lightweight mode a header holds from the navigation after the one that it is seen on.
        let twice = |name: &str, control: &str| {
            let headers = json!({ "navtrace": control });
            [json!({ "nav": format!("{name}-seen"), "headers": headers }), json!({ "nav": name })]
        };
        let taken: Vec<Value> = [
            twice("off", "off"),
            twice("b3", "propagator=b3"),
            twice("unsampled", "sampling=0"),
            twice("new", "new-trace"),
            twice("invalid", "ofd"),
            twice("on", "on"),
        ]
        .concat();
        let seen = steps(&bench, mode, &Value::from(taken), |_| ());
        let leaked: Vec<_> = seen.run.requests.iter().filter(|request| request.header("navtrace").is_some()).collect();
        assert!(leaked.is_empty(), "{mode}: {leaked:?}");
        let session = seen.trace("on");
        assert_eq!(seen.trace("invalid"), session);
        let told = "the navtrace header is ignored: \"ofd\" is not known";
        assert_eq!(seen.run.log.matches(told).count(), 1, "{mode}: {}", seen.run.log);

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
        seen.assert_whole(&[]);
        let timings: Vec<Step> = logged(&seen.run.log, "STEP ");
        let timing = |nav: &str| timings.iter().find(|step| step.nav == nav).unwrap().timing.clone();
        assert_eq!(timing("off"), None, "{mode}");
        assert!(timing("new").unwrap().contains(&new), "{mode}");
    }
}

/// What the script logs of a step.
#[derive(Deserialize)]
struct Step {
    nav: String,
    timing: Option<String>,
}

/// The one request of a kind, and the span of the browser for it.
fn exchange<'a>(seen: &'a Collected, kind: &str) -> (&'a Recorded, &'a Span) {
    let request = seen.run.requests.iter().find(|request| request.label() == kind);
    let request = request.unwrap_or_else(|| panic!("no {kind}"));
    let mark = format!("kind={kind}&");
    let is_of = |span: &&Span| {
        is_request(span)
            && span.name != "OPTIONS"
            && attribute(span, "url.full").contains(&mark)
            && path(span) == request.path
    };
    (request, seen.spans.iter().find(is_of).unwrap_or_else(|| panic!("no span of {kind}")))
}

fn with_sdk(mode: &str, propagation: &str, existing: &str) -> (Collected, PageSpans) {
    make_page_script();
    let bench = Bench::new();
    let variables = [("PROPAGATION", propagation)];
    let seen = collected(&bench, mode, "otel.js", &variables, |command| {
        command.env("NAVTRACE_EXISTING", existing);
    });
    let mut pages: Vec<PageSpans> = logged(&seen.run.log, "OTEL ");
    assert_eq!(pages.len(), 1, "{}", seen.run.log);
    seen.assert_whole(&pages[0].spans.iter().map(|span| span.span_id.as_str()).collect::<Vec<_>>());
    (seen, pages.remove(0))
}

#[test]
fn the_contexts_of_a_page_with_the_web_sdk_are_overridden_and_linked() {
    let _turn = turn();
    let (seen, page) = with_sdk("detailed", "own", "override");
    let of: BTreeMap<_, _> = ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"]
        .map(|kind| (kind, page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it")))
        .into();
    let [session] = seen.named(SESSION)[..] else { panic!("one session") };
    for (kind, pages) in of {
        let (request, span) = exchange(&seen, kind);
        let sent = traceparent(request);
        assert_eq!((sent.trace_id, sent.span_id), id(span), "{kind} carries the browser's context");
        assert_eq!(span.trace_id, session.trace_id);
        assert_eq!(links(span), BTreeSet::from([(pages.trace_id.clone(), pages.span_id.clone())]), "{kind}");
    }
    let (_, plain) = exchange(&seen, "plain-xhr");
    assert!(links(plain).is_empty());
}

#[test]
fn the_contexts_of_a_page_with_the_web_sdk_are_kept_where_that_is_wanted() {
    let _turn = turn();
    let (seen, page) = with_sdk("detailed", "own", "keep");
    for kind in ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"] {
        let pages = page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it");
        let (request, span) = exchange(&seen, kind);
        let sent = traceparent(request);
        assert_eq!(
            (&sent.trace_id, &sent.span_id),
            (&pages.trace_id, &pages.span_id),
            "{kind} carries the page's context"
        );
        assert_eq!(links(span), BTreeSet::from([(sent.trace_id, sent.span_id)]), "{kind}");
    }
    let (request, span) = exchange(&seen, "plain-xhr");
    let sent = traceparent(request);
    assert_eq!((sent.trace_id, sent.span_id), id(span), "what has no context gets one");
}

#[test]
fn a_page_with_the_web_sdk_joins_by_server_timing() {
    let _turn = turn();
    for mode in MODES {
        let (seen, page) = with_sdk(mode, "server-timing", "override");
        let [session] = seen.named(SESSION)[..] else { panic!("one session") };
        let navigation = seen.named(NAVIGATION)[0];
        for kind in ["sdk-fetch", "sdk-fetch-cross", "sdk-fetch-in-span"] {
            let pages = page.spans.iter().find(|span| span.is_of_kind(kind)).expect("the page has a span of it");
            assert_eq!(pages.trace_id, hex(&session.trace_id), "{mode}: the page joined");
            let (request, span) = exchange(&seen, kind);
            assert_eq!(traceparent(request).trace_id, pages.trace_id, "{mode} {kind}");
            assert!(links(span).is_empty(), "{mode} {kind}");
            // Rules can't see what the page set: there the page's span and the browser's stand side by side.
            let parent = if mode == "detailed" { pages.span_id.clone() } else { hex(&navigation.span_id) };
            assert_eq!(hex(&span.parent_span_id), parent, "{mode} {kind}");
        }
        let load = page.spans.iter().find(|span| span.name == "documentLoad").expect("the page has measured its load");
        assert_eq!(load.parent_span_id.as_deref(), Some(hex(&navigation.span_id).as_str()), "{mode}");
    }
}

#[test]
fn a_page_with_the_web_sdk_is_overridden_by_rules_too() {
    let _turn = turn();
    let (seen, _) = with_sdk("lightweight", "own", "override");
    let [session] = seen.named(SESSION)[..] else { panic!("one session") };
    for kind in ["sdk-fetch", "sdk-fetch-cross", "plain-xhr"] {
        let (request, span) = exchange(&seen, kind);
        assert_eq!(
            (traceparent(request).trace_id, &span.trace_id),
            (hex(&session.trace_id), &session.trace_id),
            "{kind}"
        );
        assert_eq!(request.header("tracestate"), None);
    }
}

#[test]
fn targets_alone_are_traced() {
    let _turn = turn();
    for mode in MODES {
        let bench = Bench::new();
        let taken = json!([
            { "nav": "in" },
            { "nav": "out", "origin": "other" },
            { "nav": "back" },
            { "nav": "all", "path": "/coverage" },
        ]);
        let seen = steps(&bench, mode, &taken, |command| with_main_as_target(&bench, command));
        let other = bench.site.other();
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
