//! `navtrace uninstall`: takes away what `navtrace install` put in place.

use std::path::{Path, absolute};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::target::{self, Target};
use crate::install::scope::{Place, words};
use crate::install::uninstall::{self, Order};
use crate::install::{Line, Mode};
use crate::launch::start;
use crate::settings::Config;

/// Take away what `navtrace install` put in place
///
/// Removes navtrace's registrations, and with the last of them the extension and the directories that were made for it. What is not
/// navtrace's or belongs to another navtrace stays, and so do your settings and spans: it says where. The extension itself you remove on
/// chrome://extensions.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

/// Removes, and tells what stays.
pub(super) fn uninstall(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    let mode = args.target.mode();
    let resolved = args.target.resolve()?;
    let places = match &args.target.user_data_dir {
        Some(dir) => Some(vec![Place::of_user_data(
            &dir.canonicalize().or_else(|_| absolute(dir)).unwrap_or_else(|_| dir.clone()),
        )]),
        None if args.target.browsers.is_empty() => None,
        None => Some(resolved.places(args.target.named())),
    };
    let mut outcome = uninstall::uninstall(&Order {
        scope: &resolved.scope,
        places: places.as_deref(),
        binary: &start::this_binary()?,
        shell_word: crate::base::text::shell_word,
        mode,
    })?;
    if outcome.lines.is_empty() {
        super::print(&format!("nothing of navtrace's is registered{}\n", whereabouts(&args.target)))?;
        return Ok(ExitCode::Success.into());
    }
    if outcome.gone
        && !resolved.scope.is_system()
        && let Some(file) = config.file.as_ref().filter(|file| file.exists)
    {
        outcome.lines.push(left(&file.path));
    }
    let mut text = target::lines(&outcome, mode);
    if outcome.gone && mode == Mode::Real {
        text.push_str(
            "\nThe extension itself you remove on chrome://extensions, in each browser that has loaded it.\n",
        );
    }
    super::print(&text)?;
    if outcome.problems.is_empty() {
        return Ok(ExitCode::Success.into());
    }
    Err(Failure::new(ExitCode::Failure, outcome.problems.join("\nnavtrace: ")))
}

fn left(file: &Path) -> Line {
    Line { what: "left", path: file.into(), note: "your settings, yours to delete".to_owned(), files: Vec::new() }
}

/// Where nothing is registered.
fn whereabouts(target: &Target) -> String {
    match (&target.user_data_dir, target.system) {
        (Some(dir), _) => format!(" in {}", dir.display()),
        (None, system) => {
            let whom = if system { "all users" } else { "this user" };
            let browsers = words(target.named().map(|browser| browser.name));
            if browsers.is_empty() { format!(" for {whom}") } else { format!(" with {browsers} for {whom}") }
        }
    }
}
