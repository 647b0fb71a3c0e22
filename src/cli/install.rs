//! `navtrace install`: registers the host with browsers that navtrace does not start.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::cli::install_args::{self, InstallTarget, ResolvedInstallTarget};
use crate::install::apply::Installation;
use crate::install::browsers::{BROWSERS, Browser, Os};
use crate::install::scope::{ManifestLocation, join_names};
use crate::launch::{extension, start};
use crate::settings::Config;

/// Register navtrace with your own browsers
///
/// Unpacks the extension into a folder and registers the host. Prints what was done with each file, and the steps left for you. Running it
/// again changes only what is outdated; registrations of another navtrace are replaced. `navtrace uninstall` removes the installation.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: InstallTarget,
}

/// Registers the host and prints the next steps.
pub(super) fn install(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    let resolved = args.target.resolve()?;
    let locations = match &args.target.user_data_dir {
        Some(dir) => vec![ManifestLocation::of_user_data(&existing_directory(dir)?)],
        None => resolved.locations(browsers(&args.target, &resolved)?),
    };
    let named = config.extension.as_deref().map(extension::check).transpose()?;
    let embedded = extension::embedded();
    let binary = start::this_binary()?;
    let dry_run = args.target.dry_run;
    let installation = Installation {
        scope: &resolved.scope,
        locations: &locations,
        extension: named.is_none().then_some(&embedded),
        binary: &binary,
        dry_run,
    };
    let report = installation.run()?;

    let mut text = install_args::render(&report, dry_run);
    if !report.registered.is_empty() && !dry_run {
        let folder = resolved.scope.extension();
        text += &next_steps(&report.registered, named.as_deref().unwrap_or(&folder));
        if report.files.iter().any(|file| file.status == "updated" && file.path == folder) {
            text += "A browser that has the extension loaded gets the new one with its next start.\n";
        }
    }
    super::print(&text)?;
    if let Some(closed) = files::hidden_from_others(&binary, 0o001).filter(|_| resolved.scope.is_system()) {
        say(&format!(
            "other users can't start {}, since they can't access {}: install/install.sh --system puts navtrace where they can",
            binary.display(),
            closed.display()
        ));
    }
    if report.problems.is_empty() {
        return Ok(ExitCode::Success.into());
    }
    for problem in &report.problems {
        say(problem);
    }
    if !report.registered.is_empty() {
        say(if dry_run { "everything else would be done" } else { "everything else is done" });
    }
    Ok(ExitCode::Failure.into())
}

/// Returns the canonical path of the named user data directory, which must exist.
fn existing_directory(dir: &Path) -> Result<PathBuf, Failure> {
    let missing = |error: &dyn Display| {
        Failure::new(ExitCode::NotFound, format!("--user-data-dir {}", dir.display()))
            .because(error)
            .hint("start the browser with it once, or make it, and run this again")
    };
    let absolute = fs::canonicalize(dir).map_err(|error| missing(&error))?;
    if absolute.is_dir() { Ok(absolute) } else { Err(missing(&"it is not a directory")) }
}

/// Returns the named browsers, all of which must be found, or else all that are found.
fn browsers(target: &InstallTarget, resolved: &ResolvedInstallTarget) -> Result<Vec<&'static Browser>, Failure> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let is_found = |browser: &&Browser| browser.is_found(resolved.os, resolved.homes.as_ref(), &search_path);
    if target.browsers.is_empty() {
        let found: Vec<_> = BROWSERS.iter().filter(is_found).collect();
        return if found.is_empty() { Err(no_browser(resolved)) } else { Ok(found) };
    }
    let named: Vec<_> = target.named().collect();
    match named.iter().find(|browser| !is_found(browser)) {
        Some(missing) => Err(not_found(missing, resolved)),
        None => Ok(named),
    }
}

fn not_found(browser: &Browser, resolved: &ResolvedInstallTarget) -> Failure {
    let name = browser.name;
    let programs = browser.programs(resolved.os).join(" or ");
    let on_path = if resolved.os == Os::Linux { " on PATH" } else { "" };
    let profile = resolved.homes.as_ref().map(|homes| browser.user_data(resolved.os, homes).display().to_string());
    let profile = profile.map_or_else(String::new, |profile| format!(", and no {profile}"));
    let or = if resolved.scope.is_system() { "" } else { ", or name its profile with --user-data-dir" };
    let message = format!("{name} was not found: there is no {programs}{on_path}{profile}");
    Failure::new(ExitCode::NotFound, message).hint(format!("start it once{or}"))
}

fn no_browser(resolved: &ResolvedInstallTarget) -> Failure {
    let all = join_names(BROWSERS.iter().map(|browser| browser.name));
    let profiles = match (&resolved.homes, resolved.os) {
        (Some(homes), Os::Linux) => format!(" and for their profiles in {}", homes.config.display()),
        (Some(homes), Os::MacOs) => {
            format!(" and for their profiles in {}", homes.home.join("Library/Application Support").display())
        }
        (None, _) => String::new(),
    };
    let programs = if resolved.os == Os::Linux { "on PATH" } else { "in /Applications" };
    Failure::new(ExitCode::NotFound, format!("no browser was found: looked for {all} {programs}{profiles}"))
        .hint("start one once and run navtrace install chromium, or name its profile with --user-data-dir")
}

/// Describes the steps that only a person can take.
fn next_steps(browsers: &[String], folder: &Path) -> String {
    let browsers = join_names(browsers.iter().map(String::as_str));
    format!(
        "
Next, in {browsers}:
  1. Open chrome://extensions and turn Developer mode on.
  2. Choose \"Load unpacked\" and this folder: {}
  3. In its Details, turn \"Allow in Incognito\" on, for Incognito windows and for the pages of test clients.
The extension's popup then shows the state, and `navtrace doctor` checks it.
For a span id per request (detailed mode), start the browser with --allowlisted-extension-id={}
",
        folder.display(),
        extension::ID
    )
}
