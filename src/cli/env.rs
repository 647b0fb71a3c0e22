//! `navtrace env`: gives the variables by which a client itself starts a traced browser.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::directories::StateDirectory;
use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::setting_flags::SettingFlags;
use crate::cli::{BROWSER_NAME, profile};
use crate::launch::find::{self, FindError};
use crate::launch::{extension, k6, start};
use crate::settings::Config;

/// Print the variables by which k6 starts a traced browser without the launcher
///
/// For a shell: eval "$(navtrace env --k6)" && k6 run script.js
///
/// Prepares the profile too, as `navtrace profile` does. A profile serves one VU at a time: k6 refuses to start a second browser in it, and
/// several VUs at once need the launcher (`navtrace run -- k6 run script.js`). What K6_BROWSER_ARGS and K6_BROWSER_IGNORE_DEFAULT_ARGS have
/// already is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  eval \"$(navtrace env --k6 --profile ~/profiles/k6)\" && k6 run script.js")]
pub(super) struct Args {
    /// For k6, the only client so far that can be given all of it by variables
    #[arg(long)]
    k6: bool,

    /// The profile's folder [default: the user data directory in K6_BROWSER_ARGS, else one of navtrace's own]
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// The folder of navtrace's own profile. k6 names it when it can't start a second browser there, so its name says why.
const OWN_PROFILE: &str = "k6-one-vu-at-a-time";

/// What stands below the variables: above them it would hide them from an `eval` without quotes.
const COMMENT: &str = "# For a shell: eval \"$(navtrace env --k6 --profile DIR)\"\n# One profile serves one VU at a time. \
                       A second k6 or VU there fails with \"Failed to create .../SingletonLock: File exists\".\n";

/// Has the shell know of a failure, which `eval` alone would not.
const FAILED: &str = "false\n";

/// What is wrong without a client.
const WHICH_CLIENT: &str = "env has to be told for which client: give --k6, the only one so far";

/// What to do about an extension's folder that k6 can't use.
const OTHER_EXTENSION: &str = "choose another folder with NAVTRACE_EXTENSION or XDG_CACHE_HOME";

/// Prints the variables.
pub(super) fn env(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    match lines(config, args) {
        Ok(lines) => super::print(&lines)?,
        Err(failure) => {
            super::print(FAILED)?;
            return Err(failure);
        }
    }
    Ok(ExitCode::Success.into())
}

fn lines(config: &Config, args: &Args) -> Result<String, Failure> {
    if !args.k6 {
        return Err(Failure::new(ExitCode::Usage, WHICH_CLIENT));
    }
    let browser = browser(config)?;
    let extension = extension::provide(config.extension.as_deref())?;
    let extension = k6::path(&extension, "extension's folder", OTHER_EXTENSION)?;
    let given = variable(k6::ARGS)?;
    let named = args.profile.clone().or_else(|| k6::profile_in(&given).map(PathBuf::from));
    let profile = profile::prepare(&named.map_or_else(own_profile, Ok)?)?;

    let wanted = k6::Wanted { extension, id: extension::ID, profile: &profile };
    let arguments = k6::merge(&given, wanted, |folder| extension::check(Path::new(folder)).is_ok())?;
    if start::needs_no_sandbox() && !k6::has(&given, "no-sandbox") {
        say(
            "running as root, where Chromium has no sandbox: put no-sandbox into K6_BROWSER_ARGS before this, or k6 can't start it",
        );
    }

    let mut lines = String::new();
    let mut export = |name: &str, value: &str| {
        let _ = writeln!(lines, "export {name}={}", crate::base::text::quoted(value));
    };
    export(k6::EXECUTABLE_PATH, &browser.to_string_lossy());
    export(k6::ARGS, &arguments);
    export(k6::IGNORE_DEFAULT_ARGS, &k6::merge_ignored(&variable(k6::IGNORE_DEFAULT_ARGS)?));
    export(environment::LATCHED_PROFILE, &profile);
    for (name, value) in config.environment() {
        export(name, &value.to_string_lossy());
    }
    Ok(lines + COMMENT)
}

/// The browser that k6 shall start: NAVTRACE_BROWSER, else k6's own choice if that is another one than navtrace, else as ever. k6 alone would
/// prefer one without extensions.
fn browser(config: &Config) -> Result<PathBuf, Failure> {
    let of_k6 = PathBuf::from(variable(k6::EXECUTABLE_PATH)?);
    let is_given = config.browser.is_none() && !of_k6.as_os_str().is_empty();
    if !is_given {
        return Ok(find::find(config.browser.as_deref())?);
    }
    // Of whatever build it is.
    if of_k6.file_name() == Some(OsStr::new(BROWSER_NAME)) {
        return Ok(find::find(None)?);
    }
    match find::find(Some(&of_k6)) {
        Err(FindError::Ourselves(_)) => Ok(find::find(None)?),
        Err(FindError::Missing(_) | FindError::NotExecutable(_)) => Err(Failure::new(
            ExitCode::NotFound,
            format!(
                "{}={}: no such program; set it to the path of a Chromium, or unset it",
                k6::EXECUTABLE_PATH,
                of_k6.display()
            ),
        )),
        found => Ok(found?),
    }
}

/// What the user's environment has under this name.
fn variable(name: &'static str) -> Result<String, Failure> {
    let value = std::env::var_os(name).unwrap_or_default();
    value.into_string().map_err(|_| Failure::new(ExitCode::Usage, format!("{name} can't be used: it is not UTF-8")))
}

fn own_profile() -> Result<PathBuf, Failure> {
    let state = StateDirectory::of_user().map_err(|error| {
        let message = format!("the state directory can't be used: {error}; name a profile with --profile");
        Failure::new(ExitCode::Failure, message)
    })?;
    Ok(state.profiles().join(OWN_PROFILE))
}
