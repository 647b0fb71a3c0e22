//! The files of an installation, for one user or for all users. Pure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::files::Readers;
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::launch::manifest;

/// A path where browsers look for the host manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestLocation {
    pub(crate) path: PathBuf,
    /// The browsers that look there, as a message names them.
    pub(crate) browsers: String,
}

impl ManifestLocation {
    /// Returns the location in a user data directory.
    ///
    /// Browsers that are started with `--user-data-dir` look only there, except Brave, which looks in its default directory.
    pub(crate) fn of_user_data(dir: &Path) -> Self {
        let path = dir.join(manifest::PROFILE_FOLDER).join(manifest::file_name());
        Self { path, browsers: format!("the user data directory {}", dir.display()) }
    }

    /// Returns a browser's location for one user.
    pub(crate) fn of_user(browser: &Browser, os: Os, homes: &Homes) -> Self {
        let path = browser.user_hosts(os, homes).join(manifest::file_name());
        Self { path, browsers: browser.name.to_owned() }
    }

    /// Returns a browser's location for all users, named after all browsers that share it. `root` is `/` except in tests.
    pub(crate) fn of_system(browser: &Browser, os: Os, root: &Path) -> Self {
        let folder = browser.system_hosts(os);
        let sharing = BROWSERS.iter().filter(|other| other.system_hosts(os) == folder).map(|other| other.name);
        let path = root.join(folder.strip_prefix("/").unwrap_or(&folder)).join(manifest::file_name());
        Self { path, browsers: join_names(sharing) }
    }

    /// Returns the directory of the manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// The directories that navtrace creates when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeDirectories {
    /// Spans and traces.
    pub(crate) state: PathBuf,
    /// The launcher's copies of the extension.
    pub(crate) cache: PathBuf,
}

/// An installation for one user or for all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallScope {
    /// navtrace's data directory, with the extension and the record of the installation.
    pub(crate) share: PathBuf,
    /// `None` for all users, because each has directories of their own.
    pub(crate) runtime: Option<RuntimeDirectories>,
    /// All locations that browsers read.
    pub(crate) locations: Vec<ManifestLocation>,
    /// Who may read the installed files.
    pub(crate) readers: Readers,
}

impl InstallScope {
    /// Describes the installation for one user in the data directory `share`.
    pub(crate) fn of_user(os: Os, homes: &Homes, share: PathBuf, runtime: Option<RuntimeDirectories>) -> Self {
        let locations = BROWSERS.iter().map(|browser| ManifestLocation::of_user(browser, os, homes)).collect();
        Self { share, runtime, locations, readers: Readers::User }
    }

    /// Describes the installation for all users below `root`, which is `/` except in tests.
    pub(crate) fn of_system(os: Os, root: &Path) -> Self {
        let share = match os {
            Os::Linux => "usr/local/share/navtrace",
            Os::MacOs => "Library/Application Support/navtrace",
        };
        let locations = unique(BROWSERS.iter().map(|browser| ManifestLocation::of_system(browser, os, root)));
        Self { share: root.join(share), runtime: None, locations, readers: Readers::Everybody }
    }

    /// Returns the folder that the extension is unpacked into.
    pub(crate) fn extension(&self) -> PathBuf {
        self.share.join("extension")
    }

    /// Returns whether this is the installation for all users.
    pub(crate) fn is_system(&self) -> bool {
        self.readers == Readers::Everybody
    }
}

/// Removes duplicates, keeping the order.
pub(crate) fn unique(locations: impl IntoIterator<Item = ManifestLocation>) -> Vec<ManifestLocation> {
    locations.into_iter().fold(Vec::new(), |mut unique, location| {
        if !unique.contains(&location) {
            unique.push(location);
        }
        unique
    })
}

/// Returns navtrace's data directory, or `None` if there is no home.
///
/// The path is the same for every version, so that a browser keeps the extension that it has loaded from there.
pub(crate) fn user_share(os: Os, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match os {
        Os::Linux => {
            let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
            Some(data.join("navtrace"))
        }
        Os::MacOs => Some(absolute("HOME")?.join("Library/Application Support/dev.navtrace.navtrace")),
    }
}

/// Joins names as a sentence does: `a, b and c`.
pub(crate) fn join_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    match names.pop() {
        Some(last) if names.is_empty() => last.to_owned(),
        Some(last) => format!("{} and {last}", names.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn table(scope: &InstallScope) -> String {
        let mut text = format!("{:?} {}\n", scope.readers, scope.extension().display());
        for location in &scope.locations {
            let _ = writeln!(text, "{} for {}", location.path.display(), location.browsers);
        }
        text
    }

    #[test]
    fn a_user_has_a_location_for_each_browser() {
        let homes = Homes { home: "/home/me".into(), config: "/home/me/.config".into() };
        insta::assert_snapshot!(table(&InstallScope::of_user(Os::Linux, &homes, "/share".into(), None)), @r"
        User /share/extension
        /home/me/.config/chromium/NativeMessagingHosts/dev.navtrace.host.json for Chromium
        /home/me/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json for Google Chrome
        /home/me/.config/google-chrome-for-testing/NativeMessagingHosts/dev.navtrace.host.json for Chrome for Testing
        /home/me/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts/dev.navtrace.host.json for Brave
        /home/me/.config/microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json for Microsoft Edge
        /home/me/.config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json for Vivaldi
        ");
    }

    #[test]
    fn browsers_that_share_a_location_are_named_together() {
        insta::assert_snapshot!(table(&InstallScope::of_system(Os::Linux, Path::new("/"))), @r"
        Everybody /usr/local/share/navtrace/extension
        /etc/chromium/native-messaging-hosts/dev.navtrace.host.json for Chromium
        /etc/opt/chrome/native-messaging-hosts/dev.navtrace.host.json for Google Chrome, Brave and Vivaldi
        /etc/opt/chrome_for_testing/native-messaging-hosts/dev.navtrace.host.json for Chrome for Testing
        /etc/opt/edge/native-messaging-hosts/dev.navtrace.host.json for Microsoft Edge
        ");
        insta::assert_snapshot!(table(&InstallScope::of_system(Os::MacOs, Path::new("/"))), @r"
        Everybody /Library/Application Support/navtrace/extension
        /Library/Application Support/Chromium/NativeMessagingHosts/dev.navtrace.host.json for Chromium
        /Library/Google/Chrome/NativeMessagingHosts/dev.navtrace.host.json for Google Chrome, Brave and Vivaldi
        /Library/Google/ChromeForTesting/NativeMessagingHosts/dev.navtrace.host.json for Chrome for Testing
        /Library/Microsoft/Edge/NativeMessagingHosts/dev.navtrace.host.json for Microsoft Edge
        ");
    }

    #[test]
    fn the_environment_names_the_data_directory() {
        let share = |os, given: &[(&str, &str)]| {
            user_share(os, |name| given.iter().find(|(of, _)| *of == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(share(Os::Linux, &[("HOME", "/h")]), Some("/h/.local/share/navtrace".into()));
        assert_eq!(share(Os::Linux, &[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]), Some("/x/navtrace".into()));
        assert_eq!(share(Os::Linux, &[("HOME", "h"), ("XDG_DATA_HOME", "x")]), None);
        let macos = "/h/Library/Application Support/dev.navtrace.navtrace";
        assert_eq!(share(Os::MacOs, &[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]), Some(macos.into()));
        assert_eq!(share(Os::MacOs, &[]), None);
    }
}
