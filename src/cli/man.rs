//! `navtrace man`: the man pages.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};

/// Write the man pages
///
/// Writes navtrace.1 and one page per command, such as navtrace-run.1, into DIR, which is created if it is missing. `man -l DIR/navtrace.1`
/// shows one. The Debian package brings them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder for the pages
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages.
pub(super) fn man(args: &Args) -> Result<ProcessExitCode, Failure> {
    fs::create_dir_all(&args.dir).and_then(|()| clap_mangen::generate_to(super::definition(), &args.dir)).map_err(
        |error| {
            Failure::new(ExitCode::Failure, format!("the man pages can't be written to {}", args.dir.display()))
                .because(error)
        },
    )?;
    Ok(ExitCode::Success.into())
}
