//! What this program knows of its run when a client starts it as the browser: the run's variables, which stand beside the links for clients that
//! hide the environment from their browser (such as Playwright's `launch({ env })`), and the user's own browser of a link for Playwright.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use crate::base::environment::{self, RUN_COLLECTOR, RUN_SOCKET};
use crate::base::files::{self, Readers};
use crate::base::temporary;
use crate::launch::{find, names};
use crate::run::playwright_registry;

/// File with the variables, in the format of `/proc/PID/environ`.
const VARIABLES: &str = "variables";

/// The largest file that is read: more than a process can have.
const MAX_VARIABLES: u64 = 4 << 20;

/// Variables that belong together: a client that sets one on the left gets none that begin as on the right. Headers with a secret, for instance,
/// are meant for one endpoint.
const GROUPS: [(&str, &str); 3] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_"),
    ("TRACEPARENT", "TRACESTATE"),
];

/// Stores those of the command's variables that have these names. `defaults` are for variables that the command does not have.
pub(super) fn store(dir: &Path, command: &Command, names: &[&str], defaults: &[(&str, OsString)]) -> io::Result<()> {
    let changed: BTreeMap<&OsStr, Option<&OsStr>> = command.get_envs().collect();
    let value = |name: &str| match changed.get(OsStr::new(name)) {
        Some(value) => value.map(ToOwned::to_owned),
        None => std::env::var_os(name),
    };
    let mut text = Vec::new();
    for name in names.iter().chain([&RUN_SOCKET, &RUN_COLLECTOR]) {
        let default = || defaults.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        if let Some(value) = value(name).or_else(default) {
            text.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
    }
    files::write(&dir.join(VARIABLES), &text, Readers::User)
}

/// Restores the variables of the run whose link, `program`, started this process, if the client has hidden them. Those that it has set itself stay.
/// If the link stands in the place of a browser of the user's, that one is to be started.
///
/// Must be called while this process has only one thread, because it changes the environment.
pub(crate) fn restore(program: &OsStr) {
    // Shells tell the name without the folder of `PATH` in which they found it.
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = find::resolve(Path::new(program), &search_path) else { return };
    let Some(dir) = program.ancestors().find(|dir| temporary::is_private(dir, names::RUN_DIRECTORY)) else { return };
    let Ok(text) = files::read(&dir.join(VARIABLES), MAX_VARIABLES) else { return };
    let mut variables = Vec::new();
    // With this one the client has passed the whole environment on, and what is missing was taken out on purpose.
    if environment::path(RUN_SOCKET).is_none() {
        variables = missing(&text, |name| std::env::var_os(name).is_some());
    }
    // A client may have named another browser since.
    let is_of_run = std::env::var_os(find::SETTING).is_none_or(|browser| Some(browser) == stored(&text, find::SETTING));
    if let Some(browser) = playwright_registry::own_browser(dir, &program).filter(|_| is_of_run) {
        variables.push((find::SETTING.to_owned(), browser.into_os_string()));
    }
    for (name, value) in variables {
        // SAFETY: no other thread reads the environment, since there is none.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Returns the stored variables that the client has not set.
fn missing(text: &[u8], is_set: impl Fn(&str) -> bool) -> Vec<(String, OsString)> {
    let replaced: Vec<&str> = GROUPS.iter().filter(|(name, _)| is_set(name)).map(|(_, start)| *start).collect();
    let is_missing = |name: &str| !is_set(name) && !replaced.iter().any(|start| name.starts_with(start));
    parsed(text).filter(|(name, _)| is_missing(name)).collect()
}

/// Returns the value of a stored variable.
fn stored(text: &[u8], name: &str) -> Option<OsString> {
    parsed(text).find(|(known, _)| known == name).map(|(_, value)| value)
}

fn parsed(text: &[u8]) -> impl Iterator<Item = (String, OsString)> {
    text.split(|byte| *byte == 0).filter_map(|variable| {
        let equals = variable.iter().position(|byte| *byte == b'=')?;
        let name = String::from_utf8(variable[..equals].to_vec()).ok()?;
        Some((name, OsString::from_vec(variable[equals + 1..].to_vec())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sets_wins_together_with_what_belongs_to_it() {
        let text = b"A=1\0B=x=y\0OTEL_EXPORTER_OTLP_ENDPOINT=http://a\0OTEL_EXPORTER_OTLP_HEADERS=k=secret\0TRACESTATE=t\0broken\0";
        let names = |set: &[&str]| {
            let missing = missing(text, |name| set.contains(&name));
            missing.into_iter().map(|(name, value)| format!("{name}={}", value.display())).collect::<Vec<_>>().join(" ")
        };
        let exporter = "OTEL_EXPORTER_OTLP_ENDPOINT=http://a OTEL_EXPORTER_OTLP_HEADERS=k=secret";
        assert_eq!(names(&[]), format!("A=1 B=x=y {exporter} TRACESTATE=t"));
        assert_eq!(names(&["A"]), format!("B=x=y {exporter} TRACESTATE=t"));
        assert_eq!(names(&["OTEL_EXPORTER_OTLP_ENDPOINT"]), "A=1 B=x=y TRACESTATE=t");
        assert_eq!(names(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "B"]), "A=1 TRACESTATE=t");
        assert_eq!(names(&["TRACEPARENT"]), format!("A=1 B=x=y {exporter}"));
    }
}
