//! `navtrace doctor`: checks the start of a traced browser, and the installation in other browsers.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::cli::setting_flags::SettingFlags;
use crate::doctor::{self, CheckStatus, DoctorOptions};
use crate::settings::Config;
use crate::settings::export::EXPORTER;

/// Check browser, extension, host and header, and say how to fix what is broken
///
/// Loads a real page on loopback in the browser that `navtrace run` would use. Then looks at what is installed for the browsers that you start
/// yourself: which host is registered, whether the extension is loaded, and which policies may block the extension. Says how much is kept on the disk.
/// Exits with 0 only if nothing is broken: a hint or a warning is no failure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Look at this user data directory alone, such as one from `navtrace profile`, and load no page
    #[arg(long, value_name = "DIR")]
    user_data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// Runs the checks and prints a line for each finding.
pub(super) fn doctor(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let environment = config.environment().map(|(name, value)| (name, OsStr::to_owned(value)));
    let options = DoctorOptions {
        browser: config.browser.clone(),
        extension: config.extension.clone(),
        arm_timeout: config.arm_timeout,
        mode: config.mode,
        // The test page should not appear among the user's traces.
        environment: environment.chain([(EXPORTER, OsString::from("none"))]).collect(),
    };
    let (mut findings, failure) = match &args.user_data_dir {
        Some(_) => (Vec::new(), None),
        None => doctor::check_start(&options),
    };
    findings.extend(doctor::check_export(config.unusable_export()));
    findings.extend(doctor::check_installed(&options, args.user_data_dir.as_deref()));
    if args.user_data_dir.is_none() {
        findings.extend(doctor::check_storage());
    }
    super::print(&doctor::render(&findings))?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let is_broken = findings.iter().any(|finding| finding.status == CheckStatus::Fail);
    Ok(if is_broken { ExitCode::Failure } else { ExitCode::Success }.into())
}
