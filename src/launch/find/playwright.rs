//! Playwright's packages, and the folders in which they look for their browsers.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The folder with the browsers' folders.
pub(crate) const BROWSERS_PATH: &str = "PLAYWRIGHT_BROWSERS_PATH";

/// File of a package that names the revisions of its browsers.
pub(crate) const BROWSERS_FILE: &str = "browsers.json";

/// The packages that lead to the one with the file, each found from the one before.
const CHAINS: [&[&str]; 4] = [
    &["playwright-core"],
    &["playwright", "playwright-core"],
    &["@playwright/test", "playwright", "playwright-core"],
    &["@playwright/test", "playwright-core"],
];

/// The package within Playwright for Python.
const IN_PYTHON: &str = "playwright/driver/package";

/// Whom everybody has to trust.
const ROOT: u32 = 0;

/// Returns the folders with the browsers of these packages, as Playwright finds them: usually one, or one in each package.
pub(crate) fn registries(
    variable: &dyn Fn(&str) -> Option<OsString>,
    packages: impl FnOnce() -> BTreeSet<PathBuf>,
) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    match variable(BROWSERS_PATH) {
        Some(named) if named == "0" => packages().iter().map(|package| package.join(".local-browsers")).collect(),
        Some(named) => {
            let base = path("INIT_CWD").or_else(|| std::env::current_dir().ok()).unwrap_or_default();
            vec![base.join(named)]
        }
        None => caches(variable).map(|caches| caches.join("ms-playwright")).into_iter().collect(),
    }
}

/// Returns the folder in which programs cache what they download.
fn caches(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    let below_home = |folder: &str| path("HOME").map(|home| home.join(folder));
    if cfg!(target_os = "macos") {
        return below_home("Library/Caches");
    }
    path("XDG_CACHE_HOME").or_else(|| below_home(".cache"))
}

/// Returns the packages that programs in these folders use: those of Node.js above them, and those of Python below them (a virtual environment).
///
/// What another user has placed above a folder, such as in `/tmp`, is none of them: programs of it may be started.
pub(crate) fn packages(folders: &[PathBuf]) -> BTreeSet<PathBuf> {
    let of_folders = folders.iter().filter_map(|folder| Some(fs::metadata(folder).ok()?.uid()));
    packages_of(folders, &of_folders.chain([rustix::process::geteuid().as_raw(), ROOT]).collect())
}

/// Returns those that belong to these users.
fn packages_of(folders: &[PathBuf], owners: &BTreeSet<u32>) -> BTreeSet<PathBuf> {
    let nodes = folders.iter().flat_map(|folder| CHAINS.iter().filter_map(|chain| follow(folder, chain)));
    let above = folders.iter().flat_map(|folder| folder.ancestors());
    let environments = above.flat_map(|folder| [folder.to_owned(), folder.join(".venv"), folder.join("venv")]);
    let pythons = environments.collect::<BTreeSet<_>>().into_iter().flat_map(|folder| in_python(&folder));
    // No link that another user may change later is in the paths.
    let real = nodes.chain(pythons).filter_map(|package| fs::canonicalize(package).ok());
    let is_owned = |package: &PathBuf| fs::metadata(package).is_ok_and(|data| owners.contains(&data.uid()));
    real.filter(|package| package.join(BROWSERS_FILE).is_file() && is_owned(package)).collect()
}

/// Returns the last package of a chain. As Node.js does, follows links, on which some package managers rely.
fn follow(folder: &Path, chain: &[&str]) -> Option<PathBuf> {
    chain.iter().try_fold(folder.to_owned(), |folder, name| {
        let name = Path::new("node_modules").join(name);
        folder.ancestors().find_map(|folder| fs::canonicalize(folder.join(&name)).ok())
    })
}

/// Returns the packages in an environment of Python, one for each version of Python.
fn in_python(environment: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).into_iter().flatten().filter_map(Result::ok);
    let versions = versions.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"python3"));
    let folders = ["site-packages", "dist-packages"];
    versions.flat_map(|entry| folders.map(|folder| entry.path().join(folder).join(IN_PYTHON))).collect()
}

/// Returns whether a folder of a registry has a Chromium of any kind.
pub(crate) fn is_chromium(folder: &OsStr) -> bool {
    let name = folder.as_encoded_bytes();
    name.starts_with(b"chromium-") || name.starts_with(b"chromium_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_other_users_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let parent = fs::canonicalize(dir.path()).unwrap();
        let found = ["node_modules/playwright-core", "venv/lib/python3.11/site-packages/playwright/driver/package"];
        let found = BTreeSet::from(found.map(|package| parent.join(package)));
        for package in &found {
            fs::create_dir_all(package).unwrap();
            fs::write(package.join(BROWSERS_FILE), "{}").unwrap();
        }
        let folder = parent.join("project");
        fs::create_dir(&folder).unwrap();
        let user = fs::metadata(&folder).unwrap().uid();
        let folders = [folder];
        assert_eq!(packages(&folders), found);
        assert_eq!(packages_of(&folders, &BTreeSet::from([user])), found);
        assert_eq!(packages_of(&folders, &BTreeSet::from([user + 1])), BTreeSet::new());
    }
}
