//! Refuses scripts around navtrace as the browser: to start one again would be without an end.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::base::environment::{self, STARTED_BROWSER};
use crate::base::failure::{ExitCode, Failure};
use crate::launch::find::is_same;
use crate::launch::gate::SessionFile;

/// Separates the programs in the variable.
const SEPARATOR: u8 = b'\n';

/// Fails if a launcher has started this program as the browser, and it is not a browser but has started this process, maybe by further such
/// programs.
///
/// Programs that a traced browser starts may start the same browser again: its host has a session.
pub(super) fn ensure_is_not(path: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<(), Failure> {
    let started = variable(STARTED_BROWSER).unwrap_or_default();
    let mut programs =
        started.as_bytes().split(|byte| *byte == SEPARATOR).map(|path| Path::new(OsStr::from_bytes(path)));
    if programs.any(|program| is_same(program, path)) && !is_below_browser(variable) {
        let message = format!("{} is no browser: it starts navtrace again", path.display());
        return Err(Failure::new(ExitCode::CannotExecute, message).hint("set NAVTRACE_BROWSER to Chromium itself"));
    }
    Ok(())
}

fn is_below_browser(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    variable(environment::GATE_SOCKET).is_some_and(|gate| SessionFile::exists_beside(Path::new(&gate)))
}

/// Returns the variable for a program that is started as the browser: it, and those by which this process was started.
pub(in crate::launch) fn variable(path: &Path) -> (&'static str, OsString) {
    let variable = |name: &str| std::env::var_os(name);
    let started = variable(STARTED_BROWSER).filter(|started| !started.is_empty() && !is_below_browser(&variable));
    let mut programs = started.map_or_else(Vec::new, |started| [started.as_bytes(), &[SEPARATOR]].concat());
    programs.extend(path.as_os_str().as_bytes());
    (STARTED_BROWSER, OsString::from_vec(programs))
}
