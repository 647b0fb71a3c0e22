//! The reporter that Playwright Test runs beside a project's own. The program carries it; each run writes it to its directory.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::base::environment::{self, TEST_REPORTER};
use crate::base::files::{self, Readers};

const SOURCE: &str = include_str!("reporter.mjs");

/// The file's ending tells Node that this is a module.
const NAME: &str = "navtrace-reporter.mjs";

/// Adds a reporter to those of Playwright's configuration. Not documented by Playwright, whose extension for VS Code uses it.
const PW_TEST_REPORTER: &str = "PW_TEST_REPORTER";

/// Writes the reporter to `dir`, and sets the variables that name it. Returns a sentence for the end of a run without tests, if Playwright does not
/// load the reporter by itself.
pub(crate) fn add(dir: &Path, command: &mut Command) -> io::Result<Option<String>> {
    let path = dir.join(NAME);
    files::write(&path, SOURCE.as_bytes(), Readers::User)?;
    command.env(TEST_REPORTER, &path);
    if let Some(own) = environment::path(PW_TEST_REPORTER).filter(|own| !is_ours(own)) {
        return Ok(Some(format!(
            "{PW_TEST_REPORTER} is set to {}, so Playwright Test does not load navtrace's reporter, and tests are no traces: name \
             `process.env.{TEST_REPORTER}` among the reporters of your configuration",
            own.display()
        )));
    }
    command.env(PW_TEST_REPORTER, path);
    Ok(None)
}

/// Returns whether a run around this one has set it.
fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::test_runner::{attempts, messages};

    /// Reads a number from the reporter's source.
    fn of_reporter(name: &str) -> usize {
        let line = SOURCE.lines().find_map(|line| line.strip_prefix(&format!("const {name} = ")));
        let number = line.and_then(|line| line.strip_suffix(';')).map(|number| number.replace('_', ""));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number {name} in {NAME}"))
    }

    #[test]
    fn the_reporter_has_the_limits_of_this_program() {
        for (name, limit) in [
            ("MAX_NAME", messages::MAX_NAME),
            ("MAX_TEXT", messages::MAX_TEXT),
            ("MAX_ITEMS", messages::MAX_ITEMS),
            ("MAX_STEPS", attempts::MAX_STEPS),
        ] {
            assert_eq!(of_reporter(name), limit, "{name}");
        }
    }
}
