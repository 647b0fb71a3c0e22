//! Where clients of a run find this program as their browser: links with the names of browsers in the run's directory, and the variables that lead
//! to them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::launch::client_variables::CLIENT_VARIABLES;
use crate::launch::names;

/// The search path of a program that has none.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Creates the links: the one whose path clients are given, which is returned, and those for `PATH`.
///
/// Clients take a path without arguments, so the name tells this program what to do.
pub(super) fn create(dir: &Path) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let browser = dir.join(names::BROWSER);
    symlink(&program, &browser)?;
    let links = dir.join(names::LINKS);
    fs::create_dir(&links)?;
    for name in names::ON_PATH {
        symlink(&program, links.join(name))?;
    }
    Ok(browser)
}

/// Returns the variables by which clients find the links, which are in `dir`.
pub(super) fn variables(
    dir: &Path,
    browser: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<(&'static str, OsString)> {
    let clients = CLIENT_VARIABLES.iter().filter(|client| !client.is_for_another(variable));
    let mut variables: Vec<_> = clients.map(|client| (client.name, browser.as_os_str().to_owned())).collect();
    variables.extend(search_path(&dir.join(names::LINKS), variable("PATH").as_deref()).map(|path| ("PATH", path)));
    variables
}

/// Puts a folder before a search path. Returns `None` if its name can't be part of one.
fn search_path(links: &Path, path: Option<&OsStr>) -> Option<OsString> {
    let rest = std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)));
    std::env::join_paths([links.to_owned()].into_iter().chain(rest)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_come_first_on_the_search_path() {
        let path = |links: &str, path: Option<&str>| search_path(Path::new(links), path.map(OsStr::new));
        assert_eq!(path("/run/bin", Some("/a:/b")).unwrap(), "/run/bin:/a:/b");
        assert_eq!(path("/run/bin", Some("")).unwrap(), "/run/bin:");
        assert_eq!(path("/run/bin", None).unwrap(), "/run/bin:/bin:/usr/bin");
        assert_eq!(path("/run:1/bin", Some("/a")), None);
    }

    #[test]
    fn variables_of_another_browser_stay() {
        let set = |name: &str| (name == "SE_BROWSER").then(|| OsString::from("firefox"));
        let names = |variable: &dyn Fn(&str) -> Option<OsString>| {
            let variables = variables(Path::new("/run"), Path::new("/run/navtrace-chromium"), variable);
            variables.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        };
        let before = "K6_BROWSER_EXECUTABLE_PATH PUPPETEER_EXECUTABLE_PATH CHROME_BIN CHROME_PATH CHROMIUM_BIN";
        assert_eq!(names(&|_| None), format!("{before} SE_BROWSER_PATH TAIKO_BROWSER_PATH PATH"));
        assert_eq!(names(&set), format!("{before} TAIKO_BROWSER_PATH PATH"));
    }
}
