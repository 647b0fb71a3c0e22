//! The names under which this program acts as the browser, and the folders on `PATH` that hold links with such names.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::base::temporary;

/// The name that clients are given.
pub(crate) const BROWSER: &str = "navtrace-chromium";

/// Names under which programs look for a browser on `PATH`.
pub(crate) const ON_PATH: [&str; 4] = ["google-chrome", "google-chrome-stable", "chromium", "chromium-browser"];

/// Chromium in the registry of Playwright.
pub(crate) const CHROME: &str = "chrome";

/// Builds of Chromium that are headless only and load no extensions.
pub(crate) const HEADLESS_SHELLS: [&str; 3] = ["chrome-headless-shell", "headless_shell", "headless-shell"];

/// Kind of a run's temporary directory.
pub(crate) const RUN_DIRECTORY: &str = "run";

/// Folder with the links on `PATH`, in a run's directory.
pub(crate) const LINKS: &str = "bin";

/// Returns whether this program is the browser under a name, which may be a path.
pub(crate) fn is_browser(name: &Path) -> bool {
    let name = name.file_name();
    is_headless_shell(name) || [BROWSER, CHROME].iter().chain(&ON_PATH).any(|known| name == Some(OsStr::new(known)))
}

/// Returns whether a file has the name of a build that is always headless.
pub(crate) fn is_headless_shell(name: Option<&OsStr>) -> bool {
    HEADLESS_SHELLS.iter().any(|known| name == Some(OsStr::new(known)))
}

/// Returns a search path without the links of runs. A browser that is a script must not find this program when it starts its Chromium by name.
pub(crate) fn without_links(search_path: &OsStr) -> OsString {
    let is_ours = |dir: &Path| {
        dir.file_name() == Some(OsStr::new(LINKS))
            && dir.parent().is_some_and(|run| temporary::has_kind(run, RUN_DIRECTORY))
    };
    let kept = std::env::split_paths(search_path).filter(|dir| !is_ours(dir));
    // What was split can be joined again.
    std::env::join_paths(kept).unwrap_or_else(|_| search_path.to_owned())
}

/// Returns this process's `PATH` in that way, as a variable for its children.
pub(crate) fn search_path_without_links() -> Option<(&'static str, OsString)> {
    Some(("PATH", without_links(&std::env::var_os("PATH")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_every_run_leave_the_search_path() {
        for (path, expected) in [
            ("/tmp/navtrace-run-a/bin:/usr/bin:/tmp/navtrace-run-b/bin/:/bin", "/usr/bin:/bin"),
            ("/tmp/navtrace-run-a/bin", ""),
            (
                "/usr/bin::/tmp/navtrace-run-a:/tmp/navtrace-gate-a/bin",
                "/usr/bin::/tmp/navtrace-run-a:/tmp/navtrace-gate-a/bin",
            ),
            ("", ""),
        ] {
            assert_eq!(without_links(OsStr::new(path)), expected, "{path}");
        }
    }
}
