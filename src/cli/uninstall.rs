//! `navtrace uninstall`: removes what `navtrace install` created.

use std::path::absolute;
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::install_args::{self, InstallTarget};
use crate::install::FileReport;
use crate::install::scope::{ManifestLocation, join_names};
use crate::install::uninstall::Uninstallation;
use crate::launch::start;
use crate::settings::Config;

/// Remove what `navtrace install` installed
///
/// Removes navtrace's registrations, and with the last of them the extension and the directories that were created for it. Files that are not
/// navtrace's, registrations of another navtrace, your settings and your spans are kept; their paths are printed. Remove the extension itself
/// on chrome://extensions.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: InstallTarget,
}

/// Removes registrations and reports what stays.
pub(super) fn uninstall(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    let dry_run = args.target.dry_run;
    let resolved = args.target.resolve()?;
    let locations = match &args.target.user_data_dir {
        Some(dir) => {
            let dir = dir.canonicalize().or_else(|_| absolute(dir)).unwrap_or_else(|_| dir.clone());
            Some(vec![ManifestLocation::of_user_data(&dir)])
        }
        None if args.target.browsers.is_empty() => None,
        None => Some(resolved.locations(args.target.named())),
    };
    let uninstallation = Uninstallation {
        scope: &resolved.scope,
        locations: locations.as_deref(),
        binary: &start::this_binary()?,
        dry_run,
    };
    let mut report = uninstallation.run()?;
    if report.files.is_empty() {
        super::print(&format!("navtrace is not registered{}\n", whereabouts(&args.target)))?;
        return Ok(ExitCode::Success.into());
    }
    if report.is_gone
        && !resolved.scope.is_system()
        && let Some(file) = config.file.as_ref().filter(|file| file.exists)
    {
        report.files.push(FileReport::new("left", &file.path, "your settings; delete them if you do not need them"));
    }
    let mut text = install_args::render(&report, dry_run);
    if report.is_gone && !dry_run {
        text.push_str("\nRemove the extension itself on chrome://extensions, in each browser that has loaded it.\n");
    }
    super::print(&text)?;
    for problem in &report.problems {
        say(problem);
    }
    Ok(if report.problems.is_empty() { ExitCode::Success } else { ExitCode::Failure }.into())
}

/// Describes where nothing is registered.
fn whereabouts(target: &InstallTarget) -> String {
    match (&target.user_data_dir, target.system) {
        (Some(dir), _) => format!(" in {}", dir.display()),
        (None, system) => {
            let whom = if system { "all users" } else { "this user" };
            let browsers = join_names(target.named().map(|browser| browser.name));
            if browsers.is_empty() { format!(" for {whom}") } else { format!(" with {browsers} for {whom}") }
        }
    }
}
