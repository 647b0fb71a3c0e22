//! The checks of `navtrace doctor`: the start of a browser by navtrace, the installation in other browsers, and what is on the disk.
//!
//! The files that it reads may have any size and shape. So reading is bounded, and content of an unexpected shape counts as missing.

mod installed;
mod loaded;
mod page_load;
mod profile;
mod registration;
mod start;
mod storage;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::text::clean;
use crate::context::mode::ModeSetting;

pub(crate) use crate::doctor::installed::check as check_installed;
pub(crate) use crate::doctor::start::check as check_start;
pub(crate) use crate::doctor::storage::check as check_storage;

/// Checks whether spans can be exported, as far as the settings tell.
pub(crate) fn check_export(unusable: Option<&str>) -> Vec<Finding> {
    unusable.map(|reason| Finding::new(CheckStatus::Fail, "export", reason)).into_iter().collect()
}

/// The settings that the checks need.
#[derive(Debug, Clone)]
pub(crate) struct DoctorOptions {
    /// The browser's path or name. Otherwise the usual ones are tried.
    pub(crate) browser: Option<PathBuf>,
    /// A folder to load instead of the embedded extension.
    pub(crate) extension: Option<PathBuf>,
    /// Time that a browser start waits for the extension.
    pub(crate) arm_timeout: Duration,
    pub(crate) mode: ModeSetting,
    /// Variables for the launcher of the test page, which pass the settings on.
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// The status of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckStatus {
    Ok,
    /// It works, and more is possible.
    Hint,
    /// It works, but something may disturb it.
    Warn,
    Fail,
    /// The title of the findings below it.
    Heading,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) status: CheckStatus,
    subject: &'static str,
    text: String,
}

impl Finding {
    fn new(status: CheckStatus, subject: &'static str, text: impl Into<String>) -> Self {
        Self { status, subject, text: text.into() }
    }

    /// Turns a check's description of what works, or of what fails and how to repair it, into a finding.
    fn of(subject: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(text) => Self::new(CheckStatus::Ok, subject, text),
            Err(text) => Self::new(CheckStatus::Fail, subject, text),
        }
    }
}

/// Renders a line for each finding. Control characters are escaped, because the texts quote files of unknown origin.
pub(crate) fn render(findings: &[Finding]) -> String {
    let mut lines = String::new();
    for Finding { status, subject, text } in findings {
        let status = match status {
            CheckStatus::Ok => "ok  ",
            CheckStatus::Hint => "hint",
            CheckStatus::Warn => "warn",
            CheckStatus::Fail => "FAIL",
            CheckStatus::Heading => {
                let gap = if lines.is_empty() { "" } else { "\n" };
                let _ = writeln!(lines, "{gap}{}", clean(text));
                continue;
            }
        };
        let _ = writeln!(lines, "{status}  {subject:<15}  {}", clean(text));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_escaped() {
        let findings = [
            Finding::new(CheckStatus::Ok, "browser", "one"),
            Finding::new(CheckStatus::Heading, "", "Chromium"),
            Finding::new(CheckStatus::Warn, "developer mode", "evil\x1b[2J\n"),
        ];
        insta::assert_snapshot!(render(&findings), @r"
        ok    browser          one

        Chromium
        warn  developer mode   evil\u{1b}[2J\u{a}
        ");
    }
}
