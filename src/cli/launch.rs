//! `navtrace launch`: starts Chromium with the extension. Clients use it as their browser.

use std::ffi::OsString;

use crate::base::failure::Failure;
use crate::launch::start::{LaunchOptions, PreparedBrowser};
use crate::run::reports;
use crate::settings::Config;

/// Start Chromium with the extension
///
/// Takes Chromium's own arguments and becomes Chromium: signals and exit status are the browser's. Its client gets through to it once every
/// request carries trace context, or once NAVTRACE_ARM_TIMEOUT has passed, with a warning: whether it reads the "DevTools listening" line,
/// connects to a --remote-debugging-port of its own choice, or sends commands by --remote-debugging-pipe.
///
/// The same under the name `navtrace-chromium` (a link to navtrace), which is what K6_BROWSER_EXECUTABLE_PATH,
/// PUPPETEER_EXECUTABLE_PATH, CHROME_BIN or Playwright's executablePath may point at.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Arguments for Chromium
    #[arg(value_name = "CHROMIUM ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) args: Vec<OsString>,
}

/// Becomes the browser. Returns only if that failed.
pub(super) fn launch(config: &Config, args: &Args) -> Failure {
    let report_problem: fn(&str) -> bool = |problem| reports::ReportSender::connect().problem(problem);
    let options = LaunchOptions {
        browser: config.browser.clone(),
        extension: config.extension.clone(),
        arm_timeout: config.arm_timeout,
        is_under_run: reports::is_under_run(),
        report_problem,
    };
    let failure = match PreparedBrowser::prepare(options, &args.args) {
        Ok(browser) => browser.exec(),
        Err(failure) => failure,
    };
    // Clients discard the standard error of a browser that does not start.
    report_problem(&failure.to_string());
    failure
}
