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

/// Writes the reporter to `dir`, and sets the variables that name it. Returns a sentence for the user if Playwright will not load it by itself.
pub(crate) fn add(dir: &Path, command: &mut Command) -> io::Result<Option<String>> {
    let path = dir.join(NAME);
    files::write(&path, SOURCE.as_bytes(), Readers::User)?;
    command.env(TEST_REPORTER, &path);
    if let Some(own) = environment::path(PW_TEST_REPORTER).filter(|own| !is_ours(own)) {
        return Ok(Some(format!(
            "{PW_TEST_REPORTER} is set to {}, so Playwright Test does not load navtrace's reporter: name `process.env.{TEST_REPORTER}` among the \
             reporters of your configuration",
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
