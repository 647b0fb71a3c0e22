//! Browsers that Playwright and Puppeteer have downloaded for themselves.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::launch::find::{is_executable, playwright};

/// The browser's program below the folder of its archive, on Linux and on macOS.
const PROGRAMS: [&str; 3] = [
    "chrome",
    "Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
    "Chromium.app/Contents/MacOS/Chromium",
];

/// Archives of Chromium. All others are of Chrome for Testing, whose names begin with these.
pub(super) const CHROMIUM_ARCHIVES: [&str; 2] = ["chrome-linux", "chrome-mac"];

/// A downloaded browser. The greater one is preferred.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Download {
    is_for_testing: bool,
    /// Puppeteer numbers its folders by version, Playwright by revision. Only folders of one owner are compared.
    owner: Owner,
    version: Vec<u64>,
    path: PathBuf,
}

/// Owner of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Playwright,
    Puppeteer,
}

/// Returns the browsers in the caches with the caches' owners: Chrome for Testing first, then the newest.
pub(super) fn browsers(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<(PathBuf, &'static str)> {
    let mut downloads = Vec::new();
    let path = |name: &str| variable(name).map(PathBuf::from);
    let packages = || playwright::packages(&std::env::current_dir().into_iter().collect::<Vec<_>>());
    let of_playwright = playwright::registries(variable, packages);
    for folder in of_playwright.iter().flat_map(|root| entries(root)) {
        // The others, such as `chromium_headless_shell-1200`, load no extensions.
        if name(&folder).starts_with("chromium-") {
            add(&mut downloads, Owner::Playwright, &folder);
        }
    }
    let of_puppeteer = path("PUPPETEER_CACHE_DIR").or_else(|| Some(path("HOME")?.join(".cache/puppeteer")));
    for root in of_puppeteer.iter().flat_map(|root| ["chrome", "chromium"].map(|browser| root.join(browser))) {
        for folder in entries(&root) {
            add(&mut downloads, Owner::Puppeteer, &folder);
        }
    }
    downloads.sort_by_key(|download| Reverse((download.is_for_testing, download.owner, download.version.clone())));
    let owned = |download: Download| match download.owner {
        Owner::Playwright => (download.path, "Playwright"),
        Owner::Puppeteer => (download.path, "Puppeteer"),
    };
    downloads.into_iter().map(owned).collect()
}

/// Adds the browser in a folder, whose name ends with the version.
fn add(downloads: &mut Vec<Download>, owner: Owner, folder: &Path) {
    for (archive, path) in programs(folder) {
        let version = name(folder);
        let version = version.rsplit('-').next().unwrap_or_default();
        let version = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        let is_for_testing = !CHROMIUM_ARCHIVES.contains(&name(&archive).as_str());
        downloads.push(Download { is_for_testing, owner, version, path });
    }
}

/// Returns the archives in the folder of a browser, each with its program.
pub(crate) fn programs(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let with_program = |archive: PathBuf| {
        let program = PROGRAMS.iter().map(|name| archive.join(name)).find(|path| is_executable(path))?;
        Some((archive, program))
    };
    entries(folder).into_iter().filter_map(with_program).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
