//! Errors for the user: a message, its cause, a hint and an exit code, kept apart until `cli` prints them.
//!
//! Code that knows best what the user can do about an error turns it into a [`Failure`].

use std::fmt;

/// Exit codes of every navtrace command, as Unix shells and `env` use them.
///
/// `navtrace run` exits with its command's status instead, if it could start the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// The command did everything it was asked to.
    Success = 0,
    /// The command failed; standard error says why.
    Failure = 1,
    /// The arguments or settings are invalid.
    Usage = 2,
    /// A condition on traces does not hold. k6's thresholds have the same code.
    ConditionFailed = 99,
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

/// An error for the user, printed as `message: cause; hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: ExitCode,
    /// Names the thing and says what is wrong with it.
    message: String,
    /// Says why, usually in the words of an error of the system.
    cause: Option<String>,
    /// Says what the user can do about it.
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: ExitCode, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), cause: None, hint: None }
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds the hint.
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
