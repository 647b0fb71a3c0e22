//! `navtrace launch`: starts Chromium with the extension. Clients use it as their browser.

use std::ffi::OsString;
use std::sync::Arc;

use crate::base::failure::{ExitCode, Failure};
use crate::base::process::Process;
use crate::context::issuer::SessionContext;
use crate::context::mode::{Mode, ModeSetting};
use crate::export::queue::ExportedSession;
use crate::launch::start::{LaunchOptions, PreparedBrowser};
use crate::launch::static_mode::{self, SessionReports, StaticBrowser, StaticOptions};
use crate::run::reports::{self, Report, ReportSender};
use crate::settings::Config;

/// Start Chromium with the extension
///
/// Takes Chromium's own arguments and becomes Chromium: signals and exit status are the browser's. Its client gets through to it once every
/// request carries trace context, or once NAVTRACE_ARM_TIMEOUT has passed, with a warning: whether it reads the "DevTools listening" line,
/// looks for the port in the profile, connects to a --remote-debugging-port of its own choice, or sends commands by --remote-debugging-pipe. In
/// static mode nothing is held back.
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
    let report_problem: fn(&str) -> bool = |problem| ReportSender::connect().problem(problem);
    let options = LaunchOptions {
        browser: config.browser.clone(),
        extension: config.extension.clone(),
        arm_timeout: config.arm_timeout,
        is_under_run: reports::is_under_run(),
        report_problem,
    };
    let failure = if is_for_firefox(&args.args) {
        Failure::new(ExitCode::Usage, "geckodriver has started navtrace, which is no Firefox")
            .hint("set SE_BROWSER=firefox, so that `navtrace run` leaves SE_BROWSER_PATH alone")
    } else if let Err(failure) = config.check_export() {
        failure
    } else if config.mode == ModeSetting::Static && !static_mode::prints_only(&args.args) {
        launch_static(config, options, args)
    } else {
        match PreparedBrowser::prepare(options, &args.args) {
            Ok(browser) => browser.exec(),
            Err(failure) => failure,
        }
    };
    // Clients discard the standard error of a browser that does not start.
    report_problem(&failure.to_string());
    failure
}

/// Returns whether geckodriver takes this program for Firefox: Selenium reads `SE_BROWSER_PATH` for every browser.
fn is_for_firefox(args: &[OsString]) -> bool {
    let is_flag = |arg: &OsString| arg == "--marionette" || arg == "-marionette";
    args.iter().any(is_flag) || Process::name_of_ancestor(0).is_some_and(|name| name == "geckodriver")
}

fn launch_static(config: &Config, launch: LaunchOptions, args: &Args) -> Failure {
    let options = StaticOptions {
        launch,
        policy: config.browser_policy(),
        web_vitals: config.web_vitals,
        export: config.export.clone(),
        // Connected now, so that `navtrace run` waits for this browser however early its command ends.
        reports: Arc::new(RunReports(ReportSender::connect())),
    };
    match StaticBrowser::prepare(options, &args.args) {
        Ok(browser) => browser.exec(),
        Err(failure) => failure,
    }
}

/// Reports the session of a browser in static mode to `navtrace run`.
struct RunReports(ReportSender);

impl SessionReports for RunReports {
    fn started(&self, session: SessionContext) {
        let SessionContext { trace_id, span_id, flags } = session;
        // The launcher has allowed the extension off the record.
        let (sampled, off_the_record) = (flags.is_sampled(), true);
        self.0.send(&Report::Session { trace_id, span_id, sampled, off_the_record });
        self.0.send(&Report::Armed { mode: Mode::Static });
    }

    fn ended(&self, session: &ExportedSession) {
        self.0.send(&Report::Exported(session.export_counts));
    }

    fn problem(&self, problem: &str) {
        self.0.problem(problem);
    }
}
