//! The clients, and the ways to trace their pages.

use std::fs;
use std::process::{Command, Stdio};

use crate::browser_test::{BrowserTest, Run, chromium, is_root};
use crate::navtrace::Environment;
use crate::support::collector::Collector;
use crate::support::site::Recorded;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    K6,
    Playwright,
}

impl Client {
    pub(crate) const ALL: [Self; 2] = [Self::K6, Self::Playwright];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::K6 => "k6",
            Self::Playwright => "Playwright",
        }
    }
}

/// A way to get trace context onto a page's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    None,
    /// The script answers every request with `page.route`, and adds a header.
    Route,
    /// The script sets one header with `page.setExtraHTTPHeaders`.
    Extra,
    /// OpenTelemetry's web SDK in each page.
    Sdk,
    Static,
    Lightweight,
    /// Detailed mode with spans only for documents and calls.
    Calls,
    Detailed,
}

impl Way {
    pub(crate) const ALL: [Self; 8] =
        [Self::None, Self::Route, Self::Extra, Self::Sdk, Self::Static, Self::Lightweight, Self::Calls, Self::Detailed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Route => "route",
            Self::Extra => "extra",
            Self::Sdk => "sdk",
            Self::Static => "static",
            Self::Lightweight => "lightweight",
            Self::Calls => "calls",
            Self::Detailed => "detailed",
        }
    }

    /// Returns its name on the page of results.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::None => "no tracing",
            Self::Route => "`page.route`",
            Self::Extra => "`setExtraHTTPHeaders`",
            Self::Sdk => "web SDK in the page",
            Self::Static => "navtrace, static",
            Self::Lightweight => "navtrace, lightweight",
            Self::Calls => "navtrace, detailed, `calls`",
            Self::Detailed => "navtrace, detailed",
        }
    }

    pub(crate) fn is_navtrace(self) -> bool {
        self.mode().is_some()
    }

    fn mode(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Route | Self::Extra | Self::Sdk => None,
            Self::Static => Some("static"),
            Self::Lightweight => Some("lightweight"),
            Self::Calls | Self::Detailed => Some("detailed"),
        }
    }
}

/// The pages that a client loads, and in how many browsers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) flow: &'static str,
    /// Browsers at once.
    pub(crate) users: usize,
    /// Browsers in all.
    pub(crate) iterations: usize,
}

/// Returns the requests of the page itself: neither the SDK's export nor the request that has a context already.
pub(crate) fn of_page(requests: &[Recorded]) -> impl Iterator<Item = &Recorded> {
    requests.iter().filter(|request| !["own-context", "sdk-export"].contains(&request.label()))
}

/// Runs clients against a site.
pub(crate) struct Runner {
    pub(crate) test: BrowserTest,
    sdk: String,
}

impl Runner {
    pub(crate) fn new(test: BrowserTest) -> Self {
        let mut bundle = Command::new("node");
        bundle.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sdk/web/bundle.mjs"));
        let output = bundle.arg(format!("{SCRIPTS}/sdk.js")).stdin(Stdio::null()).output().expect("node is on PATH");
        assert!(output.status.success(), "is `npm ci` done? {}", String::from_utf8_lossy(&output.stderr));
        let sdk = test.environment.home().join("sdk.js");
        fs::write(&sdk, output.stdout).unwrap();
        Self { test, sdk: sdk.to_str().unwrap().to_owned() }
    }

    /// Runs a client to its end, traced in a way, and checks that it was traced in that way.
    pub(crate) fn run(&self, client: Client, way: Way, task: Task) -> Run {
        let collector = Collector::start();
        let run = self.test.run(self.command(client, way, task, &collector));
        let traced = of_page(&run.requests).any(|request| !request.traceparent.is_empty());
        // A page that is only revisited makes no call, and the SDK traces no other request.
        let adds = way != Way::None && !(way == Way::Sdk && task.flow == "revisit");
        assert_eq!(traced, adds, "{} adds headers: {}", way.name(), run.log);
        assert_eq!(!collector.spans().is_empty(), way.is_navtrace(), "{} exports to the collector", way.name());
        assert!(!run.log.contains("never armed"), "{}", run.log);
        run
    }

    fn command(&self, client: Client, way: Way, task: Task, collector: &Collector) -> Command {
        let program = if client == Client::K6 { "k6" } else { "node" };
        let mut command = if let Some(mode) = way.mode() {
            let mut command = self.test.environment.navtrace(["run", "--", program]);
            // As often as by default.
            let export = Environment::exporting(&collector.endpoint());
            command.envs(export.into_iter().filter(|(name, _)| *name != "OTEL_BSP_SCHEDULE_DELAY"));
            command.env("NAVTRACE_MODE", mode);
            if way == Way::Calls {
                command.env("NAVTRACE_RESOURCES", "calls");
            }
            command
        } else {
            let mut command = self.test.without_navtrace(program);
            // Playwright has no browser of its own here.
            command.env("PLAIN_BROWSER", chromium());
            if is_root() {
                command.env("K6_BROWSER_ARGS", "no-sandbox");
            }
            command
        };
        let (users, iterations) = (task.users.to_string(), task.iterations.to_string());
        let mut variables = vec![
            ("SITE", self.test.site.main()),
            ("FLOW", task.flow),
            ("WAY", way.name()),
            ("USERS", &users),
            ("ITERATIONS", &iterations),
        ];
        if way == Way::Sdk {
            variables.push(("SDK", &self.sdk));
        }
        match client {
            Client::K6 => {
                command.args(["run", "--quiet", "--no-usage-report"]);
                for (name, value) in variables {
                    command.arg("-e").arg(format!("{name}={value}"));
                }
                command.arg(format!("{SCRIPTS}/k6.js"));
            }
            Client::Playwright => {
                command.arg(format!("{SCRIPTS}/playwright.mjs")).envs(variables);
            }
        }
        command
    }
}
