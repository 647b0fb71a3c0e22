//! How navtrace fails: one sentence for the user and one exit code, decided where the error is known best.

use std::fmt;

/// The exit codes of every navtrace command, as Unix shells and `env` use them.
///
/// `navtrace run` passes on the status of its command instead, where the command could be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Everything that was asked for was done.
    Success = 0,
    /// Something went wrong while doing it; standard error says what.
    Failure = 1,
    /// The arguments or settings can't be used.
    Usage = 2,
    /// A program was found but can't be executed or does not fit the purpose.
    CannotExecute = 126,
    /// A program was not found.
    NotFound = 127,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// An error as the user meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code of the process.
    pub(crate) exit: ExitCode,
    /// Names the thing, says what is wrong with it and what to do.
    pub(crate) message: String,
}

impl Failure {
    /// Makes a failure of an error that already reads as the user should see it.
    pub(crate) fn new(exit: ExitCode, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
