//! Environment variables that navtrace's processes hand to each other. Settings, which users set, are in `settings::table`.

use std::path::PathBuf;

/// Socket by which the host tells the launcher's relay how far the browser's start has come.
pub(crate) const GATE_SOCKET: &str = "NAVTRACE_GATE";

/// Profile of a browser that was started without the launcher; the host releases its latch. Other browsers of the same shell have it too.
pub(crate) const LATCHED_PROFILE: &str = "NAVTRACE_PROFILE";

/// File in which the browser names the port of its `DevTools`.
pub(crate) const DEVTOOLS_FILE: &str = "NAVTRACE_DEVTOOLS";

/// The programs that launchers have started as the browser, each by the one before it.
pub(crate) const STARTED_BROWSER: &str = "NAVTRACE_STARTED";

/// Socket by which launchers and hosts report to `navtrace run`.
pub const RUN_SOCKET: &str = "NAVTRACE_RUN";

/// Address of the collector of `navtrace run`.
pub(crate) const RUN_COLLECTOR: &str = "NAVTRACE_COLLECTOR";

/// Address at which `navtrace run` receives the spans of k6.
pub(crate) const RUN_K6_SPANS: &str = "NAVTRACE_K6_SPANS";

/// The user's sampler, for the browsers of a k6 whose own variable has one for k6's spans.
pub(crate) const RUN_SAMPLER: &str = "NAVTRACE_SAMPLER";

/// File of the reporter for Playwright Test, for a configuration that names its reporters.
pub(crate) const TEST_REPORTER: &str = "NAVTRACE_REPORTER";

/// Every variable of this file.
pub(crate) const INTERNAL: [&str; 9] = [
    GATE_SOCKET,
    LATCHED_PROFILE,
    DEVTOOLS_FILE,
    STARTED_BROWSER,
    RUN_SOCKET,
    RUN_COLLECTOR,
    RUN_K6_SPANS,
    RUN_SAMPLER,
    TEST_REPORTER,
];

/// Returns the path in an environment variable; `None` when the variable is unset or empty.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
