//! `navtrace install`: registers the host with the browsers that people start themselves.

use std::fs;
use std::path::Path;
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::cli::target::{self, Resolved, Target};
use crate::install::apply::{self, Order};
use crate::install::browsers::{BROWSERS, Browser, Os};
use crate::install::scope::{Place, words};
use crate::install::{Mode, find};
use crate::launch::{extension, start};
use crate::settings::Config;

/// Register navtrace with your own browsers
///
/// Puts the extension into a folder from which it can be loaded, and tells the browsers which program its host is. Says what it does with
/// each file, and what is left for you to do. Once more it changes only what has to be; another navtrace's registrations are taken over.
/// `navtrace uninstall` takes it all away again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

/// Registers, and tells what to do next.
pub(super) fn install(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    let resolved = args.target.resolve()?;
    let places = match &args.target.user_data_dir {
        Some(dir) => vec![Place::of_user_data(&user_data(dir)?)],
        None => resolved.places(browsers(&args.target, &resolved)?),
    };
    let named = config.extension.as_deref().map(extension::check).transpose()?;
    let embedded = extension::embedded();
    let binary = start::this_binary()?;
    let outcome = apply::install(&Order {
        scope: &resolved.scope,
        places: &places,
        extension: named.is_none().then_some(&embedded),
        binary: &binary,
        mode: args.target.mode(),
    })?;

    let mut text = target::lines(&outcome, args.target.mode());
    if !outcome.registered.is_empty() && args.target.mode() == Mode::Real {
        text += &next_steps(&outcome.registered, &named.unwrap_or_else(|| resolved.scope.extension()));
        if outcome.lines.iter().any(|line| line.what == "updated" && line.path == resolved.scope.extension()) {
            text += "A browser that has the extension loaded gets the new one with its next start.\n";
        }
    }
    super::print(&text)?;
    if let Some(closed) = files::hidden_from_others(&binary, 0o001).filter(|_| resolved.scope.is_system()) {
        say(&format!(
            "other users can't start {}, since {} is closed to them: install/install.sh --system puts navtrace where they can",
            binary.display(),
            closed.display()
        ));
    }
    let problems = outcome.problems.join("\nnavtrace: ");
    let rest = match args.target.mode() {
        _ if outcome.registered.is_empty() => "",
        Mode::Real => "\nnavtrace: everything else is done",
        Mode::Dry => "\nnavtrace: everything else would be done",
    };
    if problems.is_empty() {
        Ok(ExitCode::Success.into())
    } else {
        Err(Failure::new(ExitCode::Failure, format!("{problems}{rest}")))
    }
}

/// The user data directory that was named, which must be there.
fn user_data(dir: &Path) -> Result<std::path::PathBuf, Failure> {
    let missing = |error: &dyn std::fmt::Display| {
        let message = format!(
            "--user-data-dir {}: {error}; start the browser with it once, or make it, and run this again",
            dir.display()
        );
        Failure::new(ExitCode::NotFound, message)
    };
    let absolute = fs::canonicalize(dir).map_err(|error| missing(&error))?;
    if absolute.is_dir() { Ok(absolute) } else { Err(missing(&"it is not a directory")) }
}

/// The browsers that are named, all of which must be here, or else all that are here.
fn browsers(target: &Target, resolved: &Resolved) -> Result<Vec<&'static Browser>, Failure> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = |browser: &&Browser| find::is_here(browser, resolved.os, resolved.homes.as_ref(), &search_path);
    let not_found = |message| Err(Failure::new(ExitCode::NotFound, message));
    if target.browsers.is_empty() {
        let here: Vec<_> = BROWSERS.iter().filter(is_here).collect();
        return if here.is_empty() { not_found(none(resolved)) } else { Ok(here) };
    }
    let named: Vec<_> = target.named().collect();
    match named.iter().find(|browser| !is_here(browser)) {
        Some(missing) => not_found(absent(missing, resolved)),
        None => Ok(named),
    }
}

/// Says that a browser is not here.
fn absent(browser: &Browser, resolved: &Resolved) -> String {
    let name = browser.name;
    let programs = browser.places(resolved.os).programs.join(" or ");
    let on_path = if resolved.os == Os::Linux { " on PATH" } else { "" };
    let profile = resolved.homes.as_ref().map(|homes| browser.user_data(resolved.os, homes).display().to_string());
    let profile = profile.map_or_else(String::new, |profile| format!(", and no {profile}"));
    let or = if resolved.scope.is_system() { "" } else { ", or name its profile with --user-data-dir" };
    format!("{name} was not found: there is no {programs}{on_path}{profile}; start it once{or}")
}

/// Says that no browser is here.
fn none(resolved: &Resolved) -> String {
    let all = words(BROWSERS.iter().map(|browser| browser.name));
    let profiles = match (&resolved.homes, resolved.os) {
        (Some(homes), Os::Linux) => format!(" and for their profiles in {}", homes.config.display()),
        (Some(homes), Os::MacOs) => {
            format!(" and for their profiles in {}", homes.home.join("Library/Application Support").display())
        }
        (None, _) => String::new(),
    };
    let programs = if resolved.os == Os::Linux { "on PATH" } else { "in /Applications" };
    format!(
        "no browser was found: looked for {all} {programs}{profiles}; start one once and run navtrace install chromium, or name its \
         profile with --user-data-dir"
    )
}

/// What only a person can do.
fn next_steps(readers: &[String], folder: &Path) -> String {
    let readers = words(readers.iter().map(String::as_str));
    format!(
        "
Next, in {readers}:
  1. Open chrome://extensions and turn Developer mode on.
  2. Choose \"Load unpacked\" and this folder: {}
  3. In its Details, turn \"Allow in Incognito\" on, for private windows and for the pages of test clients.
The extension's popup then shows the state, and `navtrace doctor` checks it.
For a span id per request (detailed mode), start the browser with --allowlisted-extension-id={}
",
        folder.display(),
        extension::ID
    )
}
