//! Finds the browser to start and refuses builds that cannot load extensions.

pub(crate) mod caches;
pub(crate) mod playwright;
pub(super) mod started;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::launch::client_variables::CLIENT_VARIABLES;
use crate::launch::names;

/// The setting that names the browser.
pub(crate) const SETTING: &str = "NAVTRACE_BROWSER";

/// Variables that make a client use a browser which runs already, maybe on another computer.
const REMOTE_BROWSERS: [(&str, &str); 3] = [
    ("K6_BROWSER_WS_URL", "k6"),
    ("PW_TEST_CONNECT_WS_ENDPOINT", "Playwright's test runner"),
    ("SELENIUM_REMOTE_URL", "Playwright"),
];

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

/// The first branded Chrome that ignores `--load-extension`.
const FIRST_CHROME_WITHOUT: u32 = 137;

const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

const NOT_FOUND: &str = "no Chromium was found on PATH or in the caches of Playwright and Puppeteer: install it (on Debian: apt-get install \
                         chromium) or set NAVTRACE_BROWSER to its path";

/// The browser to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundBrowser {
    pub(crate) path: PathBuf,
    /// Why it is this one, such as `named by CHROME_BIN`.
    pub(crate) reason: String,
    /// Whether the user has named it.
    pub(crate) is_chosen: bool,
    /// A sentence for each browser that a client's variable names and that is not started.
    pub(crate) warnings: Vec<String>,
}

impl FoundBrowser {
    fn named_by(place: &str, path: PathBuf) -> Self {
        Self { path, reason: format!("named by {place}"), is_chosen: true, warnings: Vec::new() }
    }
}

/// Returns a sentence for each variable that makes a client start no browser, so that there would be nothing to trace.
pub(crate) fn remote_browsers() -> impl Iterator<Item = String> {
    let set = REMOTE_BROWSERS.iter().filter(|(name, _)| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    set.map(|(name, client)| {
        format!(
            "{name} is set, so {client} uses the browser there and starts none that could be traced; unset it to trace"
        )
    })
}

/// Returns the browser that the setting or a client's variable names, or else the first one that is installed and can load extensions.
pub(crate) fn find(named: Option<&Path>) -> Result<FoundBrowser, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    find_in(named, &variable)
}

fn find_in(named: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<FoundBrowser, Failure> {
    let search_path = names::without_links(&variable("PATH").unwrap_or_default());
    if let Some(name) = named {
        let place = SETTING;
        let path = program(name, &search_path).map_err(|problem| problem.failure(place, name))?;
        started::ensure_is_not(&path, variable)?;
        loads_extensions(&path).map_err(|build| refused(&path, &build))?;
        return Ok(FoundBrowser::named_by(place, path));
    }
    let mut found: Option<FoundBrowser> = None;
    // Each browser that is not started, its variable, and why if it can't be: for the sentence, and for when there is no other.
    let mut others = Vec::new();
    for client in CLIENT_VARIABLES.iter().filter(|client| !client.is_for_another(variable)) {
        let place = client.name;
        let Some(name) = variable(place).map(PathBuf::from) else { continue };
        if name.file_name() == Some(OsStr::new(names::BROWSER))
            || resolve(&name, &search_path).is_some_and(|path| is_ourselves(&path))
        {
            continue;
        }
        let path = match program(&name, &search_path) {
            Ok(path) => path,
            Err(problem) if client.is_shared => {
                let failure = problem.failure(place, &name);
                others.push((place, name, Some((problem.text.to_owned(), failure))));
                continue;
            }
            Err(problem) => return Err(problem.failure(place, &name)),
        };
        started::ensure_is_not(&path, variable)?;
        match (loads_extensions(&path), &found) {
            (Err(build), _) => {
                let failure = refused(&path, &build);
                others.push((place, path, Some((format!("{build} loads no extensions"), failure))));
            }
            (Ok(()), None) => {
                found = Some(FoundBrowser::named_by(place, path));
            }
            (Ok(()), Some(first)) if is_same(&first.path, &path) => {}
            (Ok(()), Some(_)) => others.push((place, path, None)),
        }
    }
    let mut found = match found {
        Some(found) => found,
        None => match first_candidate(&search_path, variable) {
            Err(failure) if failure.exit == ExitCode::NotFound => {
                return Err(others.into_iter().find_map(|(_, _, why)| why).map_or(failure, |(_, failure)| failure));
            }
            found => found?,
        },
    };
    let FoundBrowser { path, reason, .. } = &found;
    let sentence = |(place, other, why): (&str, PathBuf, Option<(String, Failure)>)| {
        let cause = why.map(|(cause, _)| format!(": {cause}")).unwrap_or_default();
        format!(
            "{place}={} is not used{cause}; navtrace starts {} ({reason}); set NAVTRACE_BROWSER to choose another",
            other.display(),
            path.display()
        )
    };
    found.warnings = others.into_iter().map(sentence).collect();
    Ok(found)
}

/// Why a setting or variable names no browser.
struct Problem {
    text: &'static str,
    exit: ExitCode,
}

impl Problem {
    fn failure(&self, place: &str, name: &Path) -> Failure {
        let or_unset = if place == SETTING { "" } else { ", or unset it" };
        Failure::new(self.exit, format!("{place}={}: {}", name.display(), self.text))
            .hint(format!("set it to the path of a Chromium{or_unset}"))
    }
}

/// Returns the program that a setting or variable names.
fn program(name: &Path, search_path: &OsStr) -> Result<PathBuf, Problem> {
    let path = resolve(name, search_path)
        .filter(|path| path.exists())
        .ok_or(Problem { text: "no such program", exit: ExitCode::NotFound })?;
    if !is_executable(&path) {
        return Err(Problem { text: "not an executable file", exit: ExitCode::CannotExecute });
    }
    if is_ourselves(&path) {
        return Err(Problem { text: "that is navtrace itself", exit: ExitCode::CannotExecute });
    }
    Ok(path)
}

fn first_candidate(search_path: &OsStr, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<FoundBrowser, Failure> {
    let installed = CANDIDATES.iter().filter_map(|name| look_up(Path::new(name), search_path));
    let installed = installed.map(|path| (path, "the first on PATH".to_owned()));
    let cached = caches::browsers(variable).into_iter();
    let cached = cached.map(|(path, owner)| (path, format!("from {owner}'s cache, since PATH has none")));
    let mut failure = None;
    for (path, reason) in installed.chain(cached).filter(|(path, _)| !is_ourselves(path)) {
        started::ensure_is_not(&path, variable)?;
        match loads_extensions(&path) {
            Ok(()) => return Ok(FoundBrowser { path, reason, is_chosen: false, warnings: Vec::new() }),
            Err(build) => failure = failure.or(Some(refused(&path, &build))),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::new(ExitCode::NotFound, NOT_FOUND)))
}

/// Makes the failure for a browser that is a build without extensions.
fn refused(path: &Path, build: &str) -> Failure {
    let message = format!(
        "{} is {build}, which loads no extensions, so nothing could be traced: use Chromium or Chrome for Testing (set NAVTRACE_BROWSER to \
         its path)",
        path.display()
    );
    Failure::new(ExitCode::CannotExecute, message)
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
    std::env::current_exe().is_ok_and(|ours| is_same(&ours, path))
}

/// Returns whether two paths lead to the same file.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

/// Checks by its name and version that a browser can load extensions. The error names the build that cannot.
///
/// Only a name that branded Chrome may have is asked for its version, because asking slows every start down.
pub(crate) fn loads_extensions(path: &Path) -> Result<(), String> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let names = [path, &real].map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    if let Some(name) = names.iter().find(|name| names::is_headless_shell(Some(OsStr::new(name)))) {
        return Err(name.clone());
    }
    let maybe_branded = |name: &String| {
        let name = name.to_lowercase();
        name == "chrome" || name.starts_with("google-chrome") || name.starts_with("google chrome")
    };
    let is_archived =
        |folder: &OsStr| caches::CHROMIUM_ARCHIVES.iter().any(|archive| folder.to_string_lossy().starts_with(archive));
    if !names.iter().any(maybe_branded) || real.iter().any(is_archived) {
        return Ok(());
    }
    match version(path).as_deref().and_then(branded_major) {
        Some(major) if major >= FIRST_CHROME_WITHOUT => Err(format!("Google Chrome {major}")),
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
        // A script that starts navtrace would ask itself without an end.
        .envs([started::variable(path)])
        .envs(names::search_path_without_links())
        .env_remove(environment::GATE_SOCKET)
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
mod tests;
