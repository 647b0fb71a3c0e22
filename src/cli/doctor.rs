//! `navtrace doctor`
use crate::config::Config;
use crate::failure::{ExitCode, Failure};
use std::process::ExitCode as ProcessExitCode;

/// Check every link
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) fn doctor(_config: &Config) -> Result<ProcessExitCode, Failure> {
    Ok(ExitCode::Success.into())
}
