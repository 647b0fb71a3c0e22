//! Finds out which browsers are here.

use std::ffi::OsStr;
use std::path::Path;

use crate::install::browsers::{Browser, Homes, Os};
use crate::launch::find::{is_ourselves, look_up};

/// Tells whether a browser is here: it has been started once, or its program is where it usually is.
pub(crate) fn is_here(browser: &Browser, os: Os, homes: Option<&Homes>, search_path: &OsStr) -> bool {
    homes.is_some_and(|homes| browser.user_data(os, homes).is_dir()) || has_program(browser, os, search_path)
}

/// Tells whether a browser's program is where it usually is.
pub(crate) fn has_program(browser: &Browser, os: Os, search_path: &OsStr) -> bool {
    browser.places(os).programs.iter().any(|name| {
        // Its name may have been given to navtrace, which then is the browser.
        look_up(Path::new(name), search_path).is_some_and(|path| !is_ourselves(&path))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::install::browsers::BROWSERS;

    #[test]
    fn a_profile_or_a_program_shows_that_a_browser_is_here() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes { home: dir.path().into(), config: dir.path().join("config") };
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let found = || {
            let here = |browser: &&Browser| is_here(browser, Os::Linux, Some(&homes), bin.as_os_str());
            BROWSERS.iter().filter(here).map(|browser| browser.id).collect::<Vec<_>>()
        };
        assert_eq!(found(), [""; 0]);
        fs::create_dir_all(homes.config.join("BraveSoftware/Brave-Browser")).unwrap();
        fs::write(bin.join("vivaldi-stable"), "").unwrap();
        symlink(std::env::current_exe().unwrap(), bin.join("chromium")).unwrap();
        assert_eq!(found(), ["brave"]);
        fs::set_permissions(bin.join("vivaldi-stable"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(), ["brave", "vivaldi"]);
    }
}
