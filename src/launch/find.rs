//! Finds the browser to start and refuses builds that cannot load extensions.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::base::failure::{ExitCode, Failure};

/// Browsers to try when none is named, best first. Branded Chrome comes last because it loads no unpacked extension since 137.
const CANDIDATES: [&str; 11] = [
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

const NOT_FOUND: &str = "no Chromium was found on PATH: install it (on Debian: apt-get install chromium) or set NAVTRACE_BROWSER to its path";

/// Returns the named browser, or else the first candidate that is installed and can load extensions.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    match named {
        Some(name) => named_browser(name, &search_path),
        None => first_candidate(&search_path),
    }
}

fn named_browser(name: &Path, search_path: &OsStr) -> Result<PathBuf, Failure> {
    let unusable = |exit, problem| {
        Failure::new(exit, format!("NAVTRACE_BROWSER={}: {problem}", name.display()))
            .hint("set it to the path of a Chromium")
    };
    let path = resolve(name, search_path)
        .filter(|path| path.exists())
        .ok_or_else(|| unusable(ExitCode::NotFound, "no such program"))?;
    if !is_executable(&path) {
        return Err(unusable(ExitCode::CannotExecute, "not an executable file"));
    }
    if is_ourselves(&path) {
        return Err(unusable(ExitCode::CannotExecute, "that is navtrace itself"));
    }
    check_loads_extensions(&path)?;
    Ok(path)
}

fn first_candidate(search_path: &OsStr) -> Result<PathBuf, Failure> {
    let mut refused = None;
    let installed = CANDIDATES.iter().filter_map(|name| look_up(Path::new(name), search_path));
    for path in installed.filter(|path| !is_ourselves(path)) {
        match check_loads_extensions(&path) {
            Ok(()) => return Ok(path),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    Err(refused.unwrap_or_else(|| Failure::new(ExitCode::NotFound, NOT_FOUND)))
}

/// Makes a path absolute, since the browser may be started from another directory, and looks a bare name up in `search_path`.
pub(crate) fn resolve(name: &Path, search_path: &OsStr) -> Option<PathBuf> {
    if name.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Some(std::path::absolute(name).unwrap_or_else(|_| name.into()));
    }
    look_up(name, search_path)
}

/// Finds an executable by its name in `search_path`, or by its absolute path.
pub(crate) fn look_up(name: &Path, search_path: &OsStr) -> Option<PathBuf> {
    // Joining an absolute name gives that name.
    std::env::split_paths(search_path).map(|dir| dir.join(name)).find(|path| is_executable(path))
}

/// Returns whether the path is a file with an execute permission.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Returns whether the program is this navtrace, under any name.
pub(crate) fn is_ourselves(path: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let ours = std::env::current_exe().ok().and_then(|path| real(&path));
    ours.is_some() && real(path) == ours
}

/// Refuses a browser that cannot load extensions, judged by its name and version.
///
/// Only a name that branded Chrome may have is asked for its version, because asking slows every start down.
fn check_loads_extensions(path: &Path) -> Result<(), Failure> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let names = [path, &real].map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let refused = |name: &str| {
        let message = format!(
            "{} is {name}, which loads no extensions, so nothing could be traced: use Chromium or Chrome for Testing (set \
             NAVTRACE_BROWSER to its path)",
            path.display()
        );
        Failure::new(ExitCode::CannotExecute, message)
    };
    if let Some(name) = names.iter().find(|name| HEADLESS_SHELLS.contains(&name.as_str())) {
        return Err(refused(name));
    }
    let maybe_branded = |name: &String| {
        let name = name.to_lowercase();
        name == "chrome" || name.starts_with("google-chrome") || name.starts_with("google chrome")
    };
    if !names.iter().any(maybe_branded) {
        return Ok(());
    }
    match version(path).as_deref().and_then(branded_major) {
        Some(major) if major >= FIRST_CHROME_WITHOUT => Err(refused(&format!("Google Chrome {major}"))),
        _ => Ok(()),
    }
}

/// Reads the major version of branded Chrome from the output of `--version`. Chromium and Chrome for Testing have none.
fn branded_major(version: &str) -> Option<u32> {
    let number = version.trim().strip_prefix("Google Chrome ")?;
    number.split('.').next()?.parse().ok()
}

/// Returns the first line that the program prints for `--version`.
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
            // The child is not yet reaped, so its id cannot belong to another process.
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
    fn headless_shell_is_refused_under_any_name() {
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
    fn branded_chrome_is_recognised_by_its_version() {
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
    fn a_later_candidate_is_preferred_to_branded_chrome() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), "chrome", "echo 'Google Chrome 150.0.0.0'");
        let error = first_candidate(dir.path().as_os_str()).unwrap_err().to_string();
        assert!(error.contains(" is Google Chrome 150, which loads no extensions"), "{error}");
        let brave = program(dir.path(), "brave-browser", "");
        assert_eq!(first_candidate(dir.path().as_os_str()), Ok(brave));
    }

    #[test]
    fn an_unusable_name_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("notes.txt");
        fs::write(&text, "").unwrap();
        let missing = dir.path().join("missing");
        let itself = std::env::current_exe().unwrap();
        for (path, exit, problem) in [
            (&text, ExitCode::CannotExecute, "not an executable file"),
            (&dir.path().to_owned(), ExitCode::CannotExecute, "not an executable file"),
            (&missing, ExitCode::NotFound, "no such program"),
            (&itself, ExitCode::CannotExecute, "that is navtrace itself"),
        ] {
            let failure = find(Some(path)).unwrap_err();
            let message = format!("NAVTRACE_BROWSER={}: {problem}; set it to the path of a Chromium", path.display());
            assert_eq!((failure.exit, failure.to_string()), (exit, message));
        }
        let failure = first_candidate(dir.path().as_os_str()).unwrap_err();
        assert_eq!((failure.exit, failure.to_string()), (ExitCode::NotFound, NOT_FOUND.to_owned()));
    }
}
