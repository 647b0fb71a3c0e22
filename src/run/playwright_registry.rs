//! The registry of browsers that Playwright is given during a run: the user's own, mirrored by links, with this program in the place of every
//! Chromium.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::base::files;
use crate::launch::find::{self, caches, playwright};

/// Folder of the registry in the run's directory.
const FOLDER: &str = "playwright";

/// Link to the user's own Chromium in the place of which this program is found.
const OWN_BROWSER: &str = "own-browser";

/// Where Playwright looks for Chromium within its folder: on x86-64, on arm64, and before it took Chrome for Testing.
const CHROMES: [&str; 3] = ["chrome-linux64/chrome", "chrome-linux-arm64/chrome", "chrome-linux/chrome"];

/// Part of the folder's name of a build that is headless only.
const HEADLESS_SHELL: &str = "_headless_shell";

/// Where Playwright looks for the program of such a build.
const HEADLESS_SHELLS: [&str; 3] = [
    "chrome-headless-shell-linux64/chrome-headless-shell",
    "chrome-headless-shell-linux-arm64/chrome-headless-shell",
    "chrome-linux/headless_shell",
];

/// Folder of a registry with a file for each package that uses browsers of it.
const USERS: &str = ".links";

/// Files by which Playwright knows that a browser is complete and that the libraries it needs are there.
const MARKS: [&str; 2] = ["INSTALLATION_COMPLETE", "DEPENDENCIES_VALIDATED"];

/// Largest number of a registry's entries that are mirrored. More are in a folder that is no registry.
const MAX_ENTRIES: usize = 1000;

/// Largest `browsers.json` that is read.
const MAX_BROWSERS_FILE: u64 = 1 << 20;

/// Creates the registry for a command in the run's directory, and returns its path. `None` if nothing is known of a Chromium of Playwright.
///
/// In the place of a Chromium that the user's registry has, this program starts that one, unless the user has chosen a browser.
pub(super) fn create(
    dir: &Path,
    command: &Command,
    variable: &dyn Fn(&str) -> Option<OsString>,
    is_chosen: bool,
) -> io::Result<Option<PathBuf>> {
    let packages = playwright::packages(&folders(command, variable));
    let registries = playwright::registries(variable, || packages.clone());
    let own = entries(registries.iter().cloned());
    let mut chromiums: BTreeSet<OsString> = own.keys().filter(|name| playwright::is_chromium(name)).cloned().collect();
    for package in &packages {
        let file = files::read_json(&package.join(playwright::BROWSERS_FILE), MAX_BROWSERS_FILE);
        chromiums.extend(file.ok().flatten().iter().flat_map(named_in).map(OsString::from));
    }
    // Elsewhere the program has other places.
    if chromiums.is_empty() || !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let registry = dir.join(FOLDER);
    fs::create_dir(&registry)?;
    for (name, path) in own.iter().filter(|(name, _)| !playwright::is_chromium(name) && !is_administrative(name)) {
        symlink(path, registry.join(name))?;
    }
    // A folder of its own, so that an installation during the run adds no file to the user's and removes none.
    let users = registry.join(USERS);
    fs::create_dir(&users)?;
    for (name, path) in entries(registries.iter().map(|registry| registry.join(USERS))) {
        symlink(path, users.join(name))?;
    }
    let program = std::env::current_exe()?;
    for name in chromiums {
        let folder = registry.join(&name);
        for path in places(&name).map(|path| folder.join(path)) {
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            symlink(&program, path)?;
        }
        for mark in MARKS {
            fs::write(folder.join(mark), "")?;
        }
        if let Some(browser) = full_chromium(&own, &name).filter(|browser| !is_chosen && is_traceable(browser)) {
            symlink(browser, folder.join(OWN_BROWSER))?;
        }
    }
    Ok(Some(registry))
}

/// Returns where Playwright may look for the program in a Chromium's folder.
fn places(folder: &OsStr) -> [&'static str; 3] {
    if folder.to_string_lossy().contains(HEADLESS_SHELL) { HEADLESS_SHELLS } else { CHROMES }
}

/// Returns the program of the user's Chromium in a folder. In the place of a headless build, which loads no extensions, stands the other one of its
/// revision.
fn full_chromium(own: &BTreeMap<OsString, PathBuf>, folder: &OsStr) -> Option<PathBuf> {
    let full = folder.to_string_lossy().replace(HEADLESS_SHELL, "");
    caches::programs(own.get(OsStr::new(&full))?).into_iter().next().map(|(_, program)| program)
}

/// Returns the user's own Chromium in the place of which a client has found `program` in the registry of the run with this directory.
pub(super) fn own_browser(dir: &Path, program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?.parent()?;
    // Of a program elsewhere, that may be a folder in which anybody can place a link.
    if folder.parent() != Some(&dir.join(FOLDER)) {
        return None;
    }
    fs::read_link(folder.join(OWN_BROWSER)).ok().filter(|browser| find::is_executable(browser))
}

/// Returns the entries of folders, by their names. Those of the first folders win.
fn entries(folders: impl Iterator<Item = PathBuf>) -> BTreeMap<OsString, PathBuf> {
    let of_one = |folder| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).take(MAX_ENTRIES);
    let mut found = BTreeMap::new();
    for entry in folders.flat_map(of_one) {
        found.entry(entry.file_name()).or_insert(entry.path());
    }
    found
}

/// Returns the folders from which the command may load Playwright: where it starts, and where its program and its scripts are.
fn folders(command: &Command, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let program = find::resolve(Path::new(command.get_program()), &path("PATH").unwrap_or_default().into_os_string());
    // A program of a virtual environment is in its folder `bin`, and may be a link to one elsewhere.
    let environment = program.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned);
    let scripts = command.get_args().map(PathBuf::from).filter(|path| path.is_file());
    let files = scripts.chain(program).filter_map(|path| Some(fs::canonicalize(path).ok()?.parent()?.to_owned()));
    let user = path("HOME").map(|home| home.join(".local"));
    let others = [std::env::current_dir().ok(), path("VIRTUAL_ENV"), environment, user];
    files.chain(others.into_iter().flatten()).filter(|path| path.is_absolute()).collect()
}

/// Returns the folders of every Chromium that a package names.
fn named_in(file: &Value) -> Vec<String> {
    // They become names of folders.
    let is_plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let folder = |browser: &Value| {
        let text = |key: &str| browser.get(key)?.as_str().filter(is_plain).map(ToOwned::to_owned);
        let folder = format!("{}-{}", text("name")?.replace('-', "_"), text("revision")?);
        (folder.len() < 200 && playwright::is_chromium(OsStr::new(&folder))).then_some(folder)
    };
    file.get("browsers").and_then(Value::as_array).into_iter().flatten().take(MAX_ENTRIES).filter_map(folder).collect()
}

fn is_traceable(browser: &Path) -> bool {
    !find::is_ourselves(browser) && find::loads_extensions(browser).is_ok()
}

/// Returns whether an entry is no browser but for the registry itself.
fn is_administrative(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"__")
}
