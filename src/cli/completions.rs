//! `navtrace completions`: completion of the command line in a shell.

use std::process::ExitCode as ProcessExitCode;

use clap_complete::Shell;

use crate::base::failure::{ExitCode, Failure};

/// Print the completion script for a shell
///
/// In bash, `source <(navtrace completions bash)` completes commands and options at once. The Debian package brings the scripts for bash, zsh
/// and fish.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn completions(args: &Args) -> Result<ProcessExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "navtrace", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Success.into())
}
