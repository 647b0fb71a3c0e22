//! `navtrace env`: prints the variables that make a client start a traced browser by itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::directories::StateDirectory;
use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::profile;
use crate::cli::setting_flags::SettingFlags;
use crate::context::mode::ModeSetting;
use crate::launch::{extension, find, k6, machine};
use crate::settings::Config;

/// Print the variables by which k6 starts a traced browser without the launcher
///
/// For a shell: eval "$(navtrace env --k6)" && k6 run script.js
///
/// Prepares the profile too, as `navtrace profile` does. A profile serves one VU at a time: k6 refuses to start a second browser in it, and
/// several VUs at once need the launcher (`navtrace run -- k6 run script.js`). Existing values of K6_BROWSER_ARGS and
/// K6_BROWSER_IGNORE_DEFAULT_ARGS are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  eval \"$(navtrace env --k6 --profile ~/profiles/k6)\" && k6 run script.js")]
pub(super) struct Args {
    /// Print the variables for k6 (the only supported client)
    #[arg(long)]
    k6: bool,

    /// The profile's folder [default: the user data directory in K6_BROWSER_ARGS, else one of navtrace's own]
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// The folder of navtrace's own profile. Its name explains k6's error message about a second browser in it.
const OWN_PROFILE: &str = "k6-one-vu-at-a-time";

/// Printed below the variables: above them it would hide them from an `eval` without quotes.
const COMMENT: &str = "# For a shell: eval \"$(navtrace env --k6 --profile DIR)\"\n# One profile serves one VU at a time. \
                       A second k6 or VU there fails with \"Failed to create .../SingletonLock: File exists\".\n";

/// Printed after a failure, so that the shell's `eval` fails too.
const FAILED: &str = "false\n";

/// Hint for an extension's folder that k6 cannot use.
const OTHER_EXTENSION: &str = "choose another folder with NAVTRACE_EXTENSION or XDG_CACHE_HOME";

/// Prints the variables.
pub(super) fn env(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    if config.mode == ModeSetting::Static {
        say(
            "NAVTRACE_MODE=static is for browsers that `navtrace run` or `navtrace launch` start: those that k6 starts itself are in lightweight mode",
        );
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
    config.check_export()?;
    if !args.k6 {
        let message = "env needs a client: add --k6, the only one supported";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    // On its own k6 would prefer a build without extensions.
    let browser = find::find(config.browser.as_deref())?;
    for sentence in &browser.warnings {
        say(sentence);
    }
    let extension = extension::provide(config.extension.as_deref())?;
    let extension = k6::path(&extension, "extension's folder", OTHER_EXTENSION)?;
    let given = variable(k6::ARGS)?;
    let named = args.profile.clone().or_else(|| k6::profile_in(&given).map(PathBuf::from));
    let profile = profile::prepare(&named.map_or_else(own_profile, Ok)?)?;

    let required = k6::RequiredArgs { extension, id: extension::ID, profile: &profile };
    let arguments = k6::merge(&given, required, |folder| extension::check(Path::new(folder)).is_ok())?;
    if let Some(reason) = machine::missing_sandbox().filter(|_| !k6::has(&given, machine::NO_SANDBOX)) {
        say(&format!("{reason}: put no-sandbox into K6_BROWSER_ARGS before this, or k6 can't start it"));
    }

    let mut lines = String::new();
    let mut export = |name: &str, value: &str| {
        let _ = writeln!(lines, "export {name}={}", crate::base::text::quoted(value));
    };
    export(k6::EXECUTABLE_PATH, &browser.path.to_string_lossy());
    export(k6::ARGS, &arguments);
    export(k6::IGNORE_DEFAULT_ARGS, &k6::merge_ignored(&variable(k6::IGNORE_DEFAULT_ARGS)?));
    export(environment::LATCHED_PROFILE, &profile);
    for (name, value) in config.environment() {
        export(name, &value.to_string_lossy());
    }
    Ok(lines + COMMENT)
}

/// Returns a variable of the user's environment, empty if it is not set.
fn variable(name: &'static str) -> Result<String, Failure> {
    let value = std::env::var_os(name).unwrap_or_default();
    value.into_string().map_err(|_| Failure::new(ExitCode::Usage, format!("{name} can't be used: it is not UTF-8")))
}

fn own_profile() -> Result<PathBuf, Failure> {
    let state = StateDirectory::of_user().map_err(|error| {
        Failure::new(ExitCode::Failure, "the state directory can't be used")
            .because(error)
            .hint("name a profile with --profile")
    })?;
    Ok(state.profiles().join(OWN_PROFILE))
}
