//! `navtrace profile`: prepares a profile in which k6 itself can start a traced browser.

use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::base::text::quoted;
use crate::install;
use crate::install::scope::ManifestLocation;
use crate::launch::{in_use, k6, latch, profile, start};

/// Prepare a browser profile for k6 without the launcher
///
/// Allows the extension in Incognito in the profile, because test clients open their pages there, registers the host, and makes the browser
/// hold its client back until every request carries trace context. `navtrace env --k6 --profile DIR` then prints the variables by which k6 uses
/// it, one VU at a time.
///
/// DIR is a user data directory of Chromium's, created if it is missing; its content is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prepares the profile and prints how to use it.
pub(super) fn profile(args: &Args) -> Result<ProcessExitCode, Failure> {
    let existed = args.dir.exists();
    let dir = prepare(&args.dir)?;
    let created = if existed { "" } else { " (created)" };
    super::print(&format!(
        "The profile {dir}{created} is ready: the extension is allowed in Incognito there, the host is registered, and a client is held back \
         until requests carry headers. It serves one VU at a time. k6 uses it with\n\n  eval \"$(navtrace env --k6 --profile {})\" && k6 \
         run script.js\n",
        quoted(&dir)
    ))?;
    Ok(ExitCode::Success.into())
}

/// Prepares the profile in `dir`, which no browser may be using. Returns its absolute path.
pub(super) fn prepare(dir: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(dir).map_err(|error| {
        Failure::new(ExitCode::Usage, format!("the profile {} has no absolute path", dir.display()))
            .because(error)
            .hint("give an absolute path")
    })?;
    // Removes a slash at the end.
    let dir: PathBuf = absolute.components().collect();
    let text = k6::path(&dir, "profile", "choose another folder")?;
    in_use::check(&dir)?;
    let manifest = ManifestLocation::of_user_data(&dir).path;
    if let Some(kind) = install::foreign(&manifest) {
        let message = format!("the profile {text} can't be prepared: {} is {kind}, not navtrace's", manifest.display());
        return Err(Failure::new(ExitCode::Failure, message).hint("move it away, or choose another folder"));
    }
    if let Some(backup) = profile::prepare(&dir, None, Some(&start::this_binary()?))? {
        say(&backup.to_string());
    }
    latch::set(&dir).map_err(|error| {
        let fifo = latch::file(&dir);
        let message = format!("the profile {text} can't be prepared: can't create {}", fifo.display());
        Failure::new(ExitCode::Failure, message).because(error).hint("name a profile that you may write to")
    })?;
    Ok(text.to_owned())
}
