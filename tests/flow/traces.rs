//! Tests the browser's spans in a trace viewer, together with those of the services, and in a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use opentelemetry_proto::tonic::trace::v1::span::Event;
use serde::Deserialize;

use crate::browser_test::{BrowserTest, MISSED_PAGE, Run, beside_others, repeated, traceparent};
use crate::navtrace::Environment;
use crate::spans::{NAVIGATION, SESSION, Trace, assert_no_journal, is_cached, is_request, path, spooled};
use crate::support::collector::{Collector, attribute, hex, value};
use crate::support::jaeger::{self, Jaeger};

/// Microseconds by which a span may exceed its parent, since the extension and the services read the clock in different processes.
const TOLERANCE: u64 = 5000;

/// Pages of an iteration of the demo.
const PAGES: [&str; 4] = ["/", "/products/kettle", "/cart", "/checkout"];

/// Iterations of the demo.
const ITERATIONS: usize = 3;

/// The running demo shop, which exports its spans.
pub(crate) struct Shop {
    child: Child,
    pub(crate) url: String,
}

/// A request as the shop recorded it.
#[derive(Deserialize)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) trace_id: String,
    pub(crate) parent_span_id: Option<String>,
    pub(crate) span_id: String,
}

impl Shop {
    pub(crate) fn start(endpoint: &str, address: &str) -> Self {
        let mut command = Command::new(Self::build());
        command.args(["--address", address]);
        command.env_clear().envs(Environment::exporting(endpoint)).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("shop ").unwrap_or_else(|| panic!("the shop printed {line:?}")).to_owned();
        Self { child, url }
    }

    /// Builds the shop, since `cargo test --test flow` does not, and returns its path.
    pub(crate) fn build() -> PathBuf {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--locked", "--example", "shop"]);
        command.args((!cfg!(debug_assertions)).then_some("--release")).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(command.status().unwrap().success(), "{command:?}");
        let program = std::env::current_exe().unwrap();
        program.ancestors().nth(2).unwrap().join("examples/shop")
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let text = client.get(format!("{}/_received", self.url)).send().unwrap().text().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A trace's line in the summary of `navtrace run`.
#[derive(Debug)]
struct Summary {
    trace_id: String,
    navigations: usize,
    requests: usize,
    cached: usize,
    exported: usize,
}

impl Summary {
    fn of(run: &Run) -> Vec<Self> {
        run.log.lines().filter_map(|line| line.strip_prefix("navtrace:   ")).map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let count = |what: &str| {
            let found = line.split("  ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
            found.unwrap_or_else(|| panic!("how many{what}? {line}"))
        };
        assert!(!line.contains(" failed"), "{line}");
        let trace_id = line.split_whitespace().next().unwrap().to_owned();
        Self {
            trace_id,
            navigations: count(" navigations"),
            requests: count(" requests"),
            cached: count(" from cache"),
            exported: count(" spans exported"),
        }
    }
}

/// Runs the demo with its shop, and checks in Jaeger what holds in both modes. `parents` returns the ids of the browser's spans that may have
/// server spans below them.
fn shop(mode: &str, parents: impl Fn(&jaeger::Trace) -> BTreeSet<String>) {
    let _guard = beside_others();
    let jaeger = Jaeger::start();
    let test = BrowserTest::new();
    // Each attempt has a shop of its own, which has seen no other requests.
    let (shop, output) = repeated(MISSED_PAGE, 1, |_| {
        let shop = Shop::start(&jaeger.endpoint(), "127.0.0.1");
        let mut command = test.environment.navtrace(["run", "--", "k6", "run", "--quiet", "--no-usage-report"]);
        command.args(["-e", &format!("SHOP_URL={}", shop.url)]);
        command.arg(format!("{}/examples/k6/demo.js", env!("CARGO_MANIFEST_DIR"))).env("NAVTRACE_MODE", mode);
        // Spans of k6 itself would be in the traces too.
        command.envs(Environment::exporting(&jaeger.endpoint())).env("K6_TRACES_OUTPUT", "none");
        (shop, test.output(&mut command))
    });
    let run = test.finished(&output);

    let summaries = Summary::of(&run);
    assert_eq!(summaries.len(), ITERATIONS, "{}", run.log);
    let received = shop.received();
    let of_browsers = received.iter().filter(|request| request.service == "shop").count();
    println!("{mode} mode: the shop received {of_browsers} requests; {summaries:?}");
    for summary in &summaries {
        let served: Vec<_> = received.iter().filter(|request| request.trace_id == summary.trace_id).collect();
        let all = served.len() + summary.exported;
        let trace = jaeger.wait_for(&summary.trace_id, |trace| trace.spans.len() >= all);
        assert_eq!(trace.spans.len(), all, "spans of {summary:?}");
        check_shape(&trace, summary);
        check_services(&trace, &served, summary.requests - summary.cached, &parents(&trace));
    }
    let traced: BTreeSet<_> = summaries.iter().map(|summary| &summary.trace_id).collect();
    assert!(received.iter().all(|request| traced.contains(&request.trace_id)), "the shop began no trace of its own");
    test.assert_nothing_left();
    assert_no_journal(&test);
    assert_eq!(spooled(&test), []);
}

/// Checks the browser's spans of a trace.
fn check_shape(trace: &jaeger::Trace, summary: &Summary) {
    assert!(trace.missing_parents().is_empty(), "{:#?}", trace.missing_parents());
    let [root] = trace.roots()[..] else { panic!("not one root: {:#?}", trace.roots()) };
    assert_eq!((root.name.as_str(), root.kind.as_str(), root.service.as_str()), (SESSION, "internal", "browser"));
    let browser = trace.by_service("browser");
    let ids: BTreeSet<_> = trace.spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), trace.spans.len(), "ids are unique");
    assert_within_parents(trace);

    let navigations: Vec<_> = browser.iter().filter(|span| span.name == NAVIGATION).collect();
    let paths: Vec<_> = navigations.iter().map(|span| address(span)).collect();
    assert_eq!(paths, PAGES);
    assert_eq!(navigations.len(), summary.navigations);
    for navigation in navigations {
        assert_eq!(navigation.parent.as_ref(), Some(&root.id), "{navigation:?}");
        assert_eq!(navigation.kind, "internal");
        let events = navigation.logs.iter().map(|(_, fields)| fields["event"].as_str().unwrap());
        // The events of measured pages are left out.
        let events: Vec<_> = events.filter(|name| !name.starts_with("browser.")).collect();
        assert_eq!(events, ["commit", "domContentLoaded", "load"], "{navigation:?}");
        assert!(!navigation.tags.contains_key("navtrace.unfinished"), "{navigation:?}");
    }

    let requests: Vec<_> = browser.iter().filter(|span| span.tags.contains_key("http.request.method")).collect();
    assert_eq!(requests.len() + 1 + PAGES.len(), browser.len(), "a session, navigations and requests: {browser:#?}");
    assert_eq!(requests.len(), summary.requests);
    let cached = requests.iter().filter(|span| span.tags.contains_key("navtrace.request.from_cache"));
    assert_eq!(cached.clone().count(), summary.cached);
    assert!(summary.cached > 0, "the demo lives on the cache: {summary:?}");
    for span in cached {
        assert_eq!(span.kind, "internal", "{span:?}");
        assert_eq!(trace.children(&span.id), [] as [&jaeger::Span; 0], "the cache's answer is no call");
    }
    for span in &requests {
        assert_eq!(span.tags["http.request.method"], span.name.as_str(), "{span:?}");
        assert!(!span.tags.contains_key("navtrace.unfinished"), "{span:?}");
    }

    // The only redirect: the POST of the form, and the page after it.
    let sent_again =
        |span: &&&&jaeger::Span| span.tags.get("http.request.resend_count").is_some_and(|count| *count == 1);
    let again: Vec<_> = requests.iter().filter(sent_again).collect();
    let [landing] = again[..] else { panic!("not one redirect: {again:#?}") };
    let posts: Vec<_> = requests.iter().filter(|span| span.name == "POST" && address(span) == "/cart").collect();
    let [post] = posts[..] else { panic!("not one form: {posts:#?}") };
    assert_eq!((landing.name.as_str(), address(landing).as_str()), ("GET", "/cart"));
    assert_eq!(post.tags["http.response.status_code"], 303);
    assert_eq!(landing.parent, post.parent, "both are of one navigation");
    assert!(landing.start_us + TOLERANCE >= post.start_us + post.duration_us, "one after the other");
}

/// Checks that every request that the services received has its span below the browser's.
fn check_services(trace: &jaeger::Trace, served: &[&Received], arrived: usize, parents: &BTreeSet<String>) {
    let shown: BTreeMap<_, _> = trace.spans.iter().map(|span| (span.id.as_str(), span)).collect();
    for request in served {
        let span = shown.get(request.span_id.as_str()).unwrap_or_else(|| panic!("{} is missing", request.span_id));
        assert_eq!(
            (&span.service, span.kind.as_str(), &span.parent),
            (&request.service, "server", &request.parent_span_id)
        );
    }
    let of_shop = trace.by_service("shop");
    assert!(of_shop.len() >= 15, "{} requests of the browser", of_shop.len());
    for span in &of_shop {
        assert!(span.parent.as_ref().is_some_and(|parent| parents.contains(parent)), "{span:?}");
    }
    assert_eq!(of_shop.len(), arrived, "what the cache did not answer arrived");
    assert_eq!(of_shop.len() + trace.by_service("pricing").len(), served.len());
}

fn assert_within_parents(trace: &jaeger::Trace) {
    let end = |span: &jaeger::Span| span.start_us + span.duration_us;
    let mut outside = Vec::new();
    for parent in &trace.spans {
        for child in trace.children(&parent.id) {
            let early = parent.start_us.saturating_sub(child.start_us);
            let late = end(child).saturating_sub(end(parent));
            if early.max(late) > TOLERANCE {
                outside.push(format!("{early} us early, {late} us late: {child:#?} in {parent:#?}"));
            }
        }
    }
    assert!(outside.is_empty(), "{}", outside.join("\n"));
}

/// Returns the path of a span's URL.
fn address(span: &jaeger::Span) -> String {
    let url = span.tags["url.full"].as_str().unwrap();
    url::Url::parse(url).unwrap().path().to_owned()
}

#[test]
fn server_spans_are_below_requests_in_detailed_mode() {
    shop("detailed", |trace| {
        let requests = trace.by_service("browser").into_iter().filter(|span| span.kind == "client");
        let mut parents = BTreeSet::new();
        for request in requests {
            assert!(trace.children(&request.id).len() <= 1, "a request arrives once: {request:?}");
            parents.insert(request.id.clone());
        }
        parents
    });
}

#[test]
fn server_spans_are_below_a_navigation_in_lightweight_mode() {
    shop("lightweight", |trace| {
        let upper = trace.by_service("browser").into_iter().filter(|span| [NAVIGATION, SESSION].contains(&&*span.name));
        upper.map(|span| span.id.clone()).collect()
    });
}

/// Loads the coverage page, and returns the collected traces, each with the requests that the site received.
fn covered(mode: &str) -> Vec<(Trace, Run)> {
    let _guard = beside_others();
    let collector = Collector::start();
    let test = BrowserTest::new();
    let iterations = ITERATIONS.to_string();
    let mut command = test.traced_command("coverage.js", &[("ITERATIONS", &iterations)]);
    command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_MODE", mode);
    let run = test.run(command);
    test.assert_nothing_left();
    assert_no_journal(&test);

    let all = collector.spans();
    let ids: BTreeSet<_> = all.iter().map(|span| hex(&span.span_id)).collect();
    assert_eq!(ids.len(), all.len(), "ids are unique over all traces");
    let trace_ids = run.trace_ids();
    assert_eq!(trace_ids.len(), ITERATIONS);
    let exported: BTreeSet<_> = all.iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(exported, trace_ids);
    let mut traces = Vec::new();
    for trace_id in trace_ids {
        let of_trace = |request: &crate::support::site::Recorded| traceparent(request).trace_id == trace_id;
        let requests: Vec<_> = run.requests.iter().filter(|request| of_trace(request)).cloned().collect();
        let trace = Trace::of(&trace_id, &all);
        let cached = trace.requests().filter(|span| is_cached(span)).count();
        println!(
            "{mode} mode: {} requests arrived; {} spans, {} of requests, {cached} of them from the cache",
            requests.len(),
            trace.spans().count(),
            trace.requests().count()
        );
        traces.push((trace, Run { log: run.log.clone(), requests }));
    }
    traces
}

/// Returns the names of the events of each navigation, with or without measured pages.
fn events_of_navigations(web_vitals: &str) -> Vec<BTreeSet<String>> {
    const NAVIGATIONS: &str = "4";
    let collector = Collector::start();
    let test = BrowserTest::new();
    let mut command = test.traced_command("cached.js", &[("NAVIGATIONS", NAVIGATIONS), ("PAINTED", "1")]);
    command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_WEB_VITALS", web_vitals);
    test.run(command);
    let spans = collector.spans();
    let navigations: Vec<_> = spans.iter().filter(|span| span.name == NAVIGATION).collect();
    assert_eq!(navigations.len().to_string(), NAVIGATIONS);
    let name = |event: &Event| {
        let vital = value(&event.attributes, "browser.web_vital.name");
        if vital.is_empty() { event.name.clone() } else { vital }
    };
    navigations.iter().map(|span| span.events.iter().map(name).collect()).collect()
}

#[test]
fn pages_are_measured_only_when_wanted() {
    let _guard = beside_others();
    let always = ["commit", "domContentLoaded", "load"].map(ToOwned::to_owned);
    for events in events_of_navigations("off") {
        assert_eq!(events, always.clone().into());
    }
    for events in events_of_navigations("on") {
        let measured = ["browser.navigation_timing", "cls", "fcp", "lcp"].map(ToOwned::to_owned);
        assert_eq!(events, always.iter().cloned().chain(measured).collect());
    }
}

#[test]
fn every_kind_of_request_has_its_span_in_detailed_mode() {
    for (trace, run) in covered("detailed") {
        assert_eq!(trace.without(&run.requests), [""; 0], "requests without a span of their own");
    }
}

#[test]
fn every_kind_of_request_has_a_span_in_lightweight_mode() {
    for (trace, run) in covered("lightweight") {
        // The header carries the parent span, so requests are identified by that, their method and their path.
        let mut spans: BTreeMap<_, usize> = BTreeMap::new();
        for span in trace.requests().filter(|span| !is_cached(span)) {
            *spans.entry((hex(&span.parent_span_id), span.name.clone(), path(span))).or_default() += 1;
        }
        let mut missing = Vec::new();
        for request in &run.requests {
            let id = traceparent(request).span_id;
            let carried = trace.span(&id).unwrap_or_else(|| panic!("{} has no span above it", request.label()));
            // A prefetch or a prerender has the id that it carries, and another one at the same moment carries that too.
            let above = if is_request(carried) { hex(&carried.parent_span_id) } else { id };
            match spans.get_mut(&(above, request.method.clone(), request.path.clone())) {
                Some(left @ 1..) => *left -= 1,
                _ => missing.push(format!("{} {}", request.method, request.label())),
            }
        }
        assert_eq!(missing, [""; 0], "requests without a span");
        assert!(trace.requests().all(|span| attribute(span, "url.full").contains("://")));
    }
}
