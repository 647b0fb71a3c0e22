//! How navtrace fails: what went wrong, why, and what to do, kept apart until they are printed as one sentence, and one exit code. An error
//! becomes a failure where it is known best.

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

/// An error as the user meets it: `message: cause; hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code of the process.
    pub(crate) exit: ExitCode,
    /// Names the thing and says what is wrong with it.
    message: String,
    /// Says why, in the words of whatever failed below.
    cause: Option<String>,
    /// Says what the user can do about it.
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: ExitCode, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), cause: None, hint: None }
    }

    /// Adds what led to this failure, usually an error of the system.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_and_hint_follow_the_message() {
        let failure = || Failure::new(ExitCode::Failure, "the spool can't be read");
        assert_eq!(failure().to_string(), "the spool can't be read");
        assert_eq!(failure().hint("free some space").to_string(), "the spool can't be read; free some space");
        let caused = failure().because(std::io::Error::other("disk full")).hint("free some space");
        assert_eq!(caused.to_string(), "the spool can't be read: disk full; free some space");
    }
}
