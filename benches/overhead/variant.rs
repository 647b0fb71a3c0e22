//! The ways to run the same script.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::browser_test::{BrowserTest, Run, assert_own_spans, traceparent};
use crate::navtrace::Environment;
use crate::support::collector::Collector;
use crate::{NAVIGATIONS, RESOURCES};

/// A way to run the same script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// k6 alone.
    Plain,
    /// k6 alone, with a script that adds a header to every request by `page.route`.
    Route,
    /// An extension that adds nothing to requests, and the gate, which gives the browser more time to start.
    Control,
    /// navtrace in lightweight mode.
    Lightweight,
    /// navtrace in detailed mode.
    Detailed,
    /// The same, with an export of spans.
    Exporting,
}

impl Variant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Route => "page.route",
            Self::Control => "control",
            Self::Lightweight => "lightweight",
            Self::Detailed => "detailed",
            Self::Exporting => "exporting",
        }
    }

    pub(crate) fn command(self, pause: &str, test: &BrowserTest, control: &Path, collector: &Collector) -> Command {
        let navigations = NAVIGATIONS.to_string();
        let variables = [("NAVIGATIONS", navigations.as_str()), ("PAUSE", pause)];
        let traced = |mode: &str| {
            let mut command = test.traced_command("cached.js", &variables);
            command.env("NAVTRACE_MODE", mode);
            command
        };
        match self {
            Self::Plain => test.plain_command("cached.js", &variables),
            Self::Route => test.plain_command("cached.js", &[&variables[..], &[("ROUTE", "1")]].concat()),
            Self::Control => {
                let mut command = traced("auto");
                command.env("NAVTRACE_EXTENSION", control);
                command
            }
            Self::Lightweight => traced("lightweight"),
            Self::Detailed => traced("detailed"),
            Self::Exporting => {
                let mut command = traced("detailed");
                command.envs(Environment::exporting(&collector.endpoint()));
                command
            }
        }
    }

    /// Asserts that a run did what the variant's name says.
    pub(crate) fn verify(self, run: &Run, collector: &Collector) {
        let count = |kind: &str| run.requests.iter().filter(|request| request.label() == kind).count();
        let (documents, resources) = (count("document"), count("cached"));
        let counts = format!("{documents} documents and {resources} resources were asked for");
        assert_eq!(documents + resources, run.requests.len(), "{counts}, and something else");
        assert_eq!(documents, NAVIGATIONS, "{counts}");
        // k6 turns the cache off for pages with a route.
        let asked_for = if self == Self::Route { NAVIGATIONS * RESOURCES } else { RESOURCES };
        assert_eq!(resources, asked_for, "{counts}");

        match self {
            Self::Plain | Self::Control => {
                assert!(run.requests.iter().all(|request| request.traceparent.is_empty()), "nothing adds a header");
            }
            Self::Route | Self::Detailed | Self::Exporting => assert_own_spans(&run.requests),
            Self::Lightweight => {
                let spans: BTreeSet<_> = run.requests.iter().map(|request| traceparent(request).span_id).collect();
                assert!(spans.len() <= NAVIGATIONS + 1, "{} span ids are more than one per navigation", spans.len());
            }
        }
        let by_navtrace = !matches!(self, Self::Plain | Self::Route);
        assert_eq!(run.summary().len(), usize::from(by_navtrace), "{}", run.log);
        assert!(!run.log.contains("never armed"), "{}", run.log);
        let exported = collector.arrived().len();
        assert_eq!(exported > 0, self == Self::Exporting, "the collector got {exported} requests");
    }
}
