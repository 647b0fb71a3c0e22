//! The ways to run the same script.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, traceparent};
use crate::common::arguments;
use crate::navtrace::Environment;
use crate::support::collector::Collector;
use crate::support::site::{APP_REQUESTS, Recorded};

/// Pages of an iteration.
pub(crate) const PAGES: usize = 3;

/// A way to run the same script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variant {
    /// k6 alone.
    Plain,
    /// k6 alone, with a script that adds a header to every request by `page.route`.
    Route,
    /// k6 alone, with a script that sets a header by `setExtraHTTPHeaders`.
    Extra,
    Lightweight,
    /// Detailed mode without an export of spans.
    Unexported,
    /// Detailed mode with an export of spans, as by default.
    Detailed,
    /// The same, with spans only for documents and calls.
    Calls,
    /// One rule that never changes, no worker.
    Static,
    /// `Detailed` with another build: a folder of an extension, or a program.
    Build(String, PathBuf),
}

impl Variant {
    pub(crate) const ALL: [Self; 8] = [
        Self::Plain,
        Self::Route,
        Self::Extra,
        Self::Lightweight,
        Self::Unexported,
        Self::Detailed,
        Self::Calls,
        Self::Static,
    ];

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Plain => "plain",
            Self::Route => "route",
            Self::Extra => "extra",
            Self::Lightweight => "lightweight",
            Self::Unexported => "unexported",
            Self::Detailed => "detailed",
            Self::Calls => "calls",
            Self::Static => "static",
            Self::Build(name, _) => name,
        }
    }

    /// Returns the variants that the words name, or these defaults without words.
    pub(crate) fn select(words: &[String], defaults: &[Self]) -> Result<Vec<Self>, String> {
        let find = |word: &String| {
            if let Some((name, build)) = word.split_once('=') {
                // The browser runs in another folder.
                let path = std::fs::canonicalize(build).map_err(|error| format!("{build}: {error}"))?;
                return Ok(Self::Build(name.to_owned(), path));
            }
            arguments::named(word, &Self::ALL, Self::name)
        };
        if words.is_empty() { Ok(defaults.to_vec()) } else { words.iter().map(find).collect() }
    }

    fn by_navtrace(&self) -> bool {
        !matches!(self, Self::Plain | Self::Route | Self::Extra)
    }

    fn exports(&self) -> bool {
        self.by_navtrace() && !matches!(self, Self::Lightweight | Self::Unexported)
    }

    pub(crate) fn command(&self, test: &BrowserTest, variables: &[(&str, &str)], collector: &Collector) -> Command {
        let plain = |headers| test.plain_command("cold.js", &[variables, &[("HEADERS", headers)]].concat());
        let mut command = match self {
            Self::Plain => plain(""),
            Self::Route => plain("route"),
            Self::Extra => plain("extra"),
            _ => test.traced_command("cold.js", variables),
        };
        if self.exports() {
            // As often as by default.
            let export = Environment::exporting(&collector.endpoint());
            command.envs(export.into_iter().filter(|(name, _)| *name != "OTEL_BSP_SCHEDULE_DELAY"));
        }
        match self {
            Self::Plain | Self::Route | Self::Extra => &mut command,
            Self::Lightweight => command.env("NAVTRACE_MODE", "lightweight"),
            Self::Static => command.env("NAVTRACE_MODE", "static"),
            Self::Unexported | Self::Detailed | Self::Build(..) => command.env("NAVTRACE_MODE", "detailed"),
            Self::Calls => command.env("NAVTRACE_MODE", "detailed").env("NAVTRACE_RESOURCES", "calls"),
        };
        match self {
            Self::Build(_, folder) if folder.is_dir() => {
                command.env("NAVTRACE_EXTENSION", folder);
                command
            }
            Self::Build(_, program) => with_program(program, &command),
            _ => command,
        }
    }

    /// Asserts that a run of some iterations did what the variant's name says.
    pub(crate) fn verify(&self, run: &Run, iterations: usize, collector: &Collector) {
        let pages = iterations * PAGES;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for request in &run.requests {
            *counts.entry(request.label()).or_default() += 1;
        }
        let preflights = counts.remove("preflight").unwrap_or_default();
        let wanted: BTreeMap<&str, usize> = APP_REQUESTS.iter().map(|(kind, count)| (*kind, pages * count)).collect();
        assert_eq!(counts, wanted, "{}: the site got other requests than it should", self.name());
        // A header that the client sets counts for CORS.
        let by_client = matches!(self, Self::Route | Self::Extra);
        assert!(by_client || preflights == 0, "{}: {preflights} preflights", self.name());

        let requests: Vec<_> = run.requests.iter().filter(|request| request.label() != "preflight").cloned().collect();
        self.verify_headers(&requests, iterations, pages);
        assert!(!run.log.contains("never armed"), "{}", run.log);
        let summary = run.summary().len();
        assert!(self.by_navtrace() || summary == 0, "{}", run.log);
        let spans = collector.spans().len();
        match self {
            Self::Detailed => assert!(spans > requests.len(), "{spans} spans of {} requests", requests.len()),
            _ => assert_eq!(spans > 0, self.exports(), "{}: {spans} spans were exported", self.name()),
        }
    }

    fn verify_headers(&self, requests: &[Recorded], iterations: usize, pages: usize) {
        let spans = |requests: &[Recorded]| -> BTreeSet<String> {
            requests.iter().map(|request| traceparent(request).span_id).collect()
        };
        let traces = || requests.iter().map(|request| traceparent(request).trace_id).collect::<BTreeSet<_>>().len();
        match self {
            Self::Build(..) => {}
            Self::Plain => {
                assert!(requests.iter().all(|request| request.traceparent.is_empty()), "nothing adds a header");
            }
            Self::Extra => assert_eq!(spans(requests).len(), pages, "each page has one span id"),
            Self::Lightweight => {
                let spans = spans(requests).len();
                assert!(spans <= pages + iterations, "{spans} span ids are more than one per navigation");
                assert_eq!(traces(), iterations, "each iteration has a trace");
            }
            Self::Static => {
                assert_eq!(spans(requests).len(), iterations, "each iteration has one span id");
                assert_eq!(traces(), iterations, "each iteration has a trace");
            }
            Self::Route | Self::Unexported | Self::Detailed => {
                assert_own_spans(requests);
                assert_eq!(traces(), iterations, "each iteration has a trace");
            }
            Self::Calls => {
                let call = |request: &Recorded| ["document", "app-call"].contains(&request.label());
                let (calls, others): (Vec<_>, Vec<_>) = requests.iter().cloned().partition(call);
                assert_own_spans(&calls);
                let own = spans(&calls);
                assert!(spans(&others).is_disjoint(&own), "other requests have span ids of calls");
                assert!(spans(&others).len() <= pages + iterations, "other requests have span ids of their own");
                assert_eq!(traces(), iterations, "each iteration has a trace");
            }
        }
    }
}

/// Returns the same command of another program.
fn with_program(program: &std::path::Path, command: &Command) -> Command {
    let mut other = Command::new(program);
    other.args(command.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}
