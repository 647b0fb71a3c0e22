//! Checks the installation in browsers that navtrace does not start.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::base::files;
use crate::base::text::shell_word;
use crate::doctor::profile::{self, Profile};
use crate::doctor::registration::{ManifestState, Registration};
use crate::doctor::{CheckStatus, DoctorOptions, Finding, loaded};
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::launch::{find, manifest};

/// The subject of findings about the host's registration.
const REGISTRATION: &str = "registration";

/// The subject of findings about policies.
const POLICY: &str = "policy";

/// The largest policy file that is read, in bytes.
const MAX_POLICY: u64 = 4 * 1024 * 1024;

/// Parts of the names of policies that can keep the extension or its host from working.
const RELEVANT_POLICIES: [&str; 4] = ["Extension", "NativeMessaging", "DeveloperTools", "Incognito"];

/// The surroundings of the installation.
#[derive(Debug)]
struct Computer {
    os: Os,
    /// `None` if the user has no home.
    homes: Option<Homes>,
    /// The root of the files for all users: `/` except in tests.
    root: PathBuf,
    /// The value of `PATH`.
    search_path: OsString,
}

/// A browser with one of its user data directories.
#[derive(Debug)]
struct InstalledBrowser {
    browser: &'static Browser,
    user_data: PathBuf,
    user: Registration,
    system: Registration,
    profiles: Vec<Profile>,
    policy_folders: Vec<PathBuf>,
}

/// Commands that repair an installation, and the words for the users that it is for.
struct Repair {
    whom: &'static str,
    user: String,
    system: &'static str,
}

impl Repair {
    /// Returns the commands for the browser's default user data directory, or for the named one.
    fn new(named: Option<&Path>) -> Self {
        let user = named.map_or_else(
            || "navtrace install".to_owned(),
            |dir| format!("navtrace install --user-data-dir {}", shell_word(dir)),
        );
        let whom = if named.is_some() { "for this directory" } else { "for this user" };
        Self { whom, user, system: "sudo navtrace install --system" }
    }
}

/// Checks the browsers in which navtrace is registered or loaded, or one user data directory.
pub(crate) fn check(options: &DoctorOptions, named: Option<&Path>) -> Vec<Finding> {
    let computer = Computer {
        os: Os::CURRENT,
        homes: Homes::find(|name| std::env::var_os(name)),
        root: "/".into(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
    };
    if let Some(dir) = named {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.into());
        return check_directory(options, &computer, &dir);
    }
    let browsers = computer.browsers();
    if browsers.is_empty() {
        let text = "navtrace is registered in no browser of this user, which `navtrace run` does not need; for a browser that you start \
                    yourself: `navtrace install`";
        return vec![Finding::new(CheckStatus::Hint, REGISTRATION, text)];
    }
    let heading = |found: &InstalledBrowser| format!("{} ({})", found.browser.name, found.user_data.display());
    browsers.iter().flat_map(|found| found.findings(heading(found), &Repair::new(None))).collect()
}

fn check_directory(options: &DoctorOptions, computer: &Computer, dir: &Path) -> Vec<Finding> {
    if !dir.is_dir() {
        let text = format!("{} is not a directory: `navtrace profile {}` prepares one", dir.display(), shell_word(dir));
        return vec![Finding::new(CheckStatus::Fail, "profile", text)];
    }
    let browser = computer.browser_of(options, dir);
    let found = InstalledBrowser::read(computer, browser, dir);
    found.findings(format!("{} (with {})", dir.display(), browser.name), &Repair::new(Some(dir)))
}

impl Computer {
    /// Returns the browsers in which navtrace is registered or loaded.
    fn browsers(&self) -> Vec<InstalledBrowser> {
        let Some(homes) = &self.homes else { return Vec::new() };
        let all =
            BROWSERS.iter().map(|browser| InstalledBrowser::read(self, browser, &browser.user_data(self.os, homes)));
        all.filter(|found| found.has_navtrace(self)).collect()
    }

    /// Finds the browser that uses a directory: the one whose default it is, else the one that `navtrace run` would start.
    fn browser_of(&self, options: &DoctorOptions, dir: &Path) -> &'static Browser {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let owns = |browser: &&Browser| {
            let default = self.homes.as_ref().and_then(|homes| real(&browser.user_data(self.os, homes)));
            default.is_some() && default == real(dir)
        };
        let started = || {
            let path = find::find(options.browser.as_deref()).ok()?.path;
            Browser::of_program(&path, self.os).or_else(|| Browser::of_program(&real(&path)?, self.os))
        };
        BROWSERS.iter().find(owns).or_else(started).unwrap_or(&BROWSERS[0])
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl InstalledBrowser {
    fn read(computer: &Computer, browser: &'static Browser, user_data: &Path) -> Self {
        let system = computer.below_root(&browser.system_hosts(computer.os)).join(manifest::file_name());
        Self {
            browser,
            user_data: user_data.into(),
            user: Registration::read(&user_data.join(manifest::PROFILE_FOLDER).join(manifest::file_name())),
            system: Registration::read(&system),
            profiles: profile::read_all(user_data),
            policy_folders: browser.policies().map(|dir| computer.below_root(&dir)).collect(),
        }
    }

    /// Returns the registration that the browser uses: the user's manifest, whatever is in it, else the one for all users.
    fn effective(&self) -> &Registration {
        if self.user.state == ManifestState::Missing { &self.system } else { &self.user }
    }

    /// Returns whether navtrace is registered or loaded. A registration for all users counts if the browser is installed.
    fn has_navtrace(&self, computer: &Computer) -> bool {
        self.user.state != ManifestState::Missing
            || self.profiles.iter().any(Profile::has_loaded)
            || (self.system.state != ManifestState::Missing
                && (self.user_data.is_dir() || self.browser.has_program(computer.os, &computer.search_path)))
    }

    fn findings(&self, heading: String, repair: &Repair) -> Vec<Finding> {
        let mut findings = vec![Finding::new(CheckStatus::Heading, "", heading)];
        findings.extend(self.registrations(repair));
        findings.extend(loaded::findings(&self.profiles, self.effective().version(), &repair.user));
        findings.extend(policies(&self.policy_folders));
        findings
    }

    fn registrations(&self, repair: &Repair) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some((status, text)) = self.user.describe(&repair.user) {
            findings.push(Finding::new(status, REGISTRATION, format!("{}: {text}", repair.whom)));
        }
        let is_system_used = self.user.state == ManifestState::Missing;
        if let Some((status, text)) = self.system.describe(repair.system) {
            let (status, unused) = match (is_system_used, status) {
                (true, status) => (status, String::new()),
                (false, status) => (
                    // A registration that is not used breaks nothing.
                    if status == CheckStatus::Ok { status } else { CheckStatus::Hint },
                    format!("; not used, because the one {} takes precedence", repair.whom),
                ),
            };
            findings.push(Finding::new(status, REGISTRATION, format!("for every user: {text}{unused}")));
        }
        if let (true, Some(hidden)) = (is_system_used, self.system.hidden_from_others()) {
            let text = format!(
                "for every user, but other users cannot access {}: as root, fix its permissions with chmod, or run `{}`",
                hidden.display(),
                repair.system
            );
            findings.push(Finding::new(CheckStatus::Warn, REGISTRATION, text));
        }
        if findings.is_empty() {
            let text = format!(
                "no host is registered, so the extension would work alone, without spans: run `{}`",
                repair.user
            );
            findings.push(Finding::new(CheckStatus::Fail, REGISTRATION, text));
        }
        findings
    }
}

/// Names the policy files that may keep the extension or its host from working.
fn policies(folders: &[PathBuf]) -> Vec<Finding> {
    if Os::CURRENT == Os::MacOs {
        let text = "not checked on macOS: see chrome://policy";
        return vec![Finding::new(CheckStatus::Hint, POLICY, text)];
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(1_000);
        paths.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    paths.sort();
    let findings: Vec<_> = paths.iter().filter_map(|path| policy_file(path)).collect();
    if findings.is_empty() {
        return vec![Finding::new(CheckStatus::Ok, POLICY, "no policy file of this computer mentions extensions")];
    }
    findings
}

fn policy_file(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let policies = match files::read_json(path, MAX_POLICY) {
        Ok(policies) => policies.unwrap_or_default(),
        Err(error) => {
            let text = format!("{shown} can't be read: {error}; chrome://policy shows the policies in force");
            return Some(Finding::new(CheckStatus::Hint, POLICY, text));
        }
    };
    let is_relevant = |name: &&str| RELEVANT_POLICIES.iter().any(|part| name.contains(part));
    let names = policies.as_object().into_iter().flat_map(|policies| policies.keys().map(String::as_str));
    let names: Vec<&str> = names.filter(is_relevant).collect();
    let text = format!(
        "{shown} sets {}, which may block navtrace: chrome://policy shows the policies in force",
        names.join(", ")
    );
    (!names.is_empty()).then(|| Finding::new(CheckStatus::Warn, POLICY, text))
}

#[cfg(test)]
mod tests;
