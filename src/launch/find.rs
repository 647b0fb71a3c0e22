//! Finds the browser to start, and says of one that can't load extensions that it can't.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::base::failure::{ExitCode, Failure};

/// Where a browser is looked for when none is named, best first. Branded Chrome stands last: it loads no unpacked extension since 137.
const USUAL: [&str; 11] = [
    "chromium",
    "chromium-browser",
    "ungoogled-chromium",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
    "chrome",
    "brave-browser",
    "vivaldi-stable",
    "microsoft-edge-stable",
    "google-chrome-stable",
    "google-chrome",
];

/// Builds without extension support.
const HEADLESS_SHELLS: [&str; 3] = ["chrome-headless-shell", "headless_shell", "headless-shell"];

/// The first branded Chrome that ignores `--load-extension`.
const FIRST_CHROME_WITHOUT: u32 = 137;

const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

const INSTEAD: &str = "use Chromium or Chrome for Testing (set NAVTRACE_BROWSER to its path)";

/// Why no browser can be started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FindError {
    /// None of the usual names is there.
    #[error(
        "no Chromium was found on PATH: install it (on Debian: apt-get install chromium) or set NAVTRACE_BROWSER to its path"
    )]
    None,
    /// The browser that was named does not exist.
    #[error("NAVTRACE_BROWSER={}: no such program; set it to the path of a Chromium", .0.display())]
    Missing(PathBuf),
    /// The browser that was named is no program.
    #[error("NAVTRACE_BROWSER={}: not an executable file; set it to the path of a Chromium", .0.display())]
    NotExecutable(PathBuf),
    /// The browser that was named is navtrace itself.
    #[error("NAVTRACE_BROWSER={}: that is navtrace itself; set it to the path of a Chromium", .0.display())]
    Ourselves(PathBuf),
    /// The browser can't load extensions.
    #[error("{} is {name}, which loads no extensions, so nothing could be traced: {INSTEAD}", .path.display())]
    NoExtensions {
        /// The browser.
        path: PathBuf,
        /// What it is.
        name: String,
    },
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let exit = match &error {
            FindError::None | FindError::Missing(_) => ExitCode::NotFound,
            _ => ExitCode::CannotExecute,
        };
        Self::new(exit, error)
    }
}

/// Finds the browser: the named one, else the first of the usual ones that is there and can load extensions.
///
/// # Errors
///
/// A [`FindError`] that names what is in the way.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, FindError> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    match named {
        Some(name) => {
            let path = named_browser(name, &search_path)?;
            check(&path)?;
            Ok(path)
        }
        None => usual_browser(&search_path),
    }
}

fn named_browser(name: &Path, search_path: &OsStr) -> Result<PathBuf, FindError> {
    let is_path = name.as_os_str().as_encoded_bytes().contains(&b'/');
    let path = if is_path {
        // The browser may be started from another directory.
        std::path::absolute(name).unwrap_or_else(|_| name.into())
    } else {
        look_up(name, search_path).ok_or_else(|| FindError::Missing(name.into()))?
    };
    if !path.exists() {
        return Err(FindError::Missing(name.into()));
    }
    if !is_executable(&path) {
        return Err(FindError::NotExecutable(name.into()));
    }
    if is_ourselves(&path) {
        return Err(FindError::Ourselves(name.into()));
    }
    Ok(path)
}

fn usual_browser(search_path: &OsStr) -> Result<PathBuf, FindError> {
    let mut unfit = None;
    let found =
        USUAL.iter().filter_map(|name| look_up(Path::new(name), search_path)).filter(|path| !is_ourselves(path));
    for path in found {
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(error) => unfit = unfit.or(Some(error)),
        }
    }
    Err(unfit.unwrap_or(FindError::None))
}

/// Finds a program by its name on `search_path`, or by its path.
pub(crate) fn look_up(name: &Path, search_path: &OsStr) -> Option<PathBuf> {
    // Joining an absolute name gives that name.
    std::env::split_paths(search_path).map(|dir| dir.join(name)).find(|path| is_executable(path))
}

/// Tells whether a path is a file that somebody may start.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Tells whether a program is navtrace itself, under whatever name.
pub(crate) fn is_ourselves(path: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let ours = std::env::current_exe().ok().and_then(|path| real(&path));
    ours.is_some() && real(path) == ours
}

/// Checks that a browser can load extensions, as far as its name and version tell.
///
/// Only names that may belong to branded Chrome are asked for their version: asking takes time at every start.
fn check(path: &Path) -> Result<(), FindError> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let names = [path, &real].map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let unfit = |name: &str| FindError::NoExtensions { path: path.into(), name: name.to_owned() };
    if let Some(name) = names.iter().find(|name| HEADLESS_SHELLS.contains(&name.as_str())) {
        return Err(unfit(name));
    }
    let maybe_branded = |name: &String| {
        let name = name.to_lowercase();
        name == "chrome" || name.starts_with("google-chrome") || name.starts_with("google chrome")
    };
    if !names.iter().any(maybe_branded) {
        return Ok(());
    }
    match version(path).as_deref().and_then(branded_major) {
        Some(major) if major >= FIRST_CHROME_WITHOUT => Err(unfit(&format!("Google Chrome {major}"))),
        _ => Ok(()),
    }
}

/// Reads the major version of a branded Chrome from what `--version` prints; Chromium and Chrome for Testing give none.
fn branded_major(version: &str) -> Option<u32> {
    let number = version.trim().strip_prefix("Google Chrome ")?;
    number.split('.').next()?.parse().ok()
}

/// Asks a browser for its name and version.
pub(crate) fn version(path: &Path) -> Option<String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + VERSION_TIMEOUT;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            // It is our own child, not yet reaped: the id can't have become another process's.
            child.kill().ok()?;
            child.wait().ok()?;
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_browser_that_loads_no_extensions_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let shell = program(dir.path(), "chrome-headless-shell", "");
        let link = dir.path().join("chromium");
        std::os::unix::fs::symlink(&shell, &link).unwrap();
        for path in [&shell, &link] {
            assert_eq!(
                find(Some(path)).unwrap_err().to_string(),
                format!(
                    "{} is chrome-headless-shell, which loads no extensions, so nothing could be traced: use Chromium or Chrome for \
                     Testing (set NAVTRACE_BROWSER to its path)",
                    path.display()
                )
            );
        }
    }

    #[test]
    fn branded_chrome_is_told_by_its_version() {
        let dir = tempfile::tempdir().unwrap();
        for (version, fits) in [
            ("Google Chrome 136.0.7103.92", true),
            ("Google Chrome 137.0.7151.55", false),
            ("Google Chrome for Testing 140.0.7339.82", true),
            ("Chromium 156.0.8078.73", true),
        ] {
            let path = program(dir.path(), "google-chrome", &format!("echo '{version} '"));
            assert_eq!(find(Some(&path)).is_ok(), fits, "{version}");
        }
    }

    #[test]
    fn branded_chrome_yields_to_a_browser_further_down_the_list() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), "chrome", "echo 'Google Chrome 150.0.0.0'");
        let error = usual_browser(dir.path().as_os_str()).unwrap_err();
        assert!(matches!(error, FindError::NoExtensions { name, .. } if name == "Google Chrome 150"));
        let brave = program(dir.path(), "brave-browser", "");
        assert_eq!(usual_browser(dir.path().as_os_str()), Ok(brave));
    }

    #[test]
    fn what_is_not_there_or_no_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("notes.txt");
        fs::write(&text, "").unwrap();
        assert_eq!(find(Some(&text)), Err(FindError::NotExecutable(text.clone())));
        assert_eq!(find(Some(dir.path())), Err(FindError::NotExecutable(dir.path().into())));
        let missing = dir.path().join("missing");
        assert_eq!(find(Some(&missing)), Err(FindError::Missing(missing.clone())));
        let itself = std::env::current_exe().unwrap();
        assert_eq!(find(Some(&itself)), Err(FindError::Ourselves(itself.clone())));
        assert_eq!(usual_browser(dir.path().as_os_str()), Err(FindError::None));
    }
}
