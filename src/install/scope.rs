//! For whom the host is registered, and where: for one user or for all. Pure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::files::Readers;
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::launch::manifest;

/// Where browsers look for the host manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The manifest's path.
    pub(crate) manifest: PathBuf,
    /// Who looks there, in words.
    pub(crate) reader: String,
}

impl Place {
    /// The one of a user data directory.
    ///
    /// Chromium and most others look there when they are started with `--user-data-dir`, and nowhere else for the user. Brave goes on looking
    /// where it does without.
    pub(crate) fn of_user_data(dir: &Path) -> Self {
        let manifest = dir.join(manifest::PROFILE_FOLDER).join(manifest::file_name());
        Self { manifest, reader: format!("the user data directory {}", dir.display()) }
    }

    /// The directory that the manifest is in.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("/"))
    }
}

/// Directories of navtrace's that it makes when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// Where hosts keep spans.
    pub(crate) state: PathBuf,
    /// Where launchers unpack the extension.
    pub(crate) cache: PathBuf,
}

/// One user's things, or those of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The folder of the extension and of the receipt.
    pub(crate) share: PathBuf,
    /// The directories that navtrace makes when it runs. `None` when every user has some of their own.
    pub(crate) own: Option<Own>,
    /// Every place that a browser looks into.
    pub(crate) places: Vec<Place>,
    /// Who may read what is put there.
    pub(crate) readers: Readers,
}

impl Scope {
    /// What one user has. `share` is navtrace's data directory.
    pub(crate) fn of_user(os: Os, homes: &Homes, share: PathBuf, own: Option<Own>) -> Self {
        let places = BROWSERS.iter().map(|browser| user_place(browser, os, homes)).collect();
        Self { share, own, places, readers: Readers::User }
    }

    /// What all users have, below `root`, which is `/` but in tests.
    pub(crate) fn of_system(os: Os, root: &Path) -> Self {
        let share = match os {
            Os::Linux => "usr/local/share/navtrace",
            Os::MacOs => "Library/Application Support/navtrace",
        };
        let mut places: Vec<Place> = Vec::new();
        for place in BROWSERS.iter().map(|browser| system_place(browser, os, root)) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Self { share: root.join(share), own: None, places, readers: Readers::Everybody }
    }

    /// Where the extension is unpacked.
    pub(crate) fn extension(&self) -> PathBuf {
        self.share.join("extension")
    }

    /// Whether this is what all users have.
    pub(crate) fn is_system(&self) -> bool {
        self.readers == Readers::Everybody
    }
}

/// Where a browser looks for one user.
pub(crate) fn user_place(browser: &Browser, os: Os, homes: &Homes) -> Place {
    let manifest = browser.user_hosts(os, homes).join(manifest::file_name());
    Place { manifest, reader: browser.name.to_owned() }
}

/// Where a browser looks for all users, with every browser that looks there too.
pub(crate) fn system_place(browser: &Browser, os: Os, root: &Path) -> Place {
    let folder = browser.system_hosts(os);
    let readers = BROWSERS.iter().filter(|reader| reader.system_hosts(os) == folder).map(|reader| reader.name);
    let below = folder.strip_prefix("/").unwrap_or(folder);
    Place { manifest: root.join(below).join(manifest::file_name()), reader: words(readers) }
}

/// navtrace's data directory: one path for every version, so that what was loaded from there stays loaded.
///
/// `None` when there is no home.
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

/// Names several things as a sentence does.
pub(crate) fn words<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
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

    fn table(scope: &Scope) -> String {
        let mut text = format!("{:?} {}\n", scope.readers, scope.extension().display());
        for place in &scope.places {
            let _ = writeln!(text, "{} for {}", place.manifest.display(), place.reader);
        }
        text
    }

    #[test]
    fn a_user_has_a_place_for_each_browser() {
        let homes = Homes { home: "/home/me".into(), config: "/home/me/.config".into() };
        insta::assert_snapshot!(table(&Scope::of_user(Os::Linux, &homes, "/share".into(), None)), @r"
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
    fn browsers_that_share_a_place_of_the_systems_are_named_together() {
        insta::assert_snapshot!(table(&Scope::of_system(Os::Linux, Path::new("/"))), @r"
        Everybody /usr/local/share/navtrace/extension
        /etc/chromium/native-messaging-hosts/dev.navtrace.host.json for Chromium
        /etc/opt/chrome/native-messaging-hosts/dev.navtrace.host.json for Google Chrome, Brave and Vivaldi
        /etc/opt/chrome_for_testing/native-messaging-hosts/dev.navtrace.host.json for Chrome for Testing
        /etc/opt/edge/native-messaging-hosts/dev.navtrace.host.json for Microsoft Edge
        ");
        insta::assert_snapshot!(table(&Scope::of_system(Os::MacOs, Path::new("/"))), @r"
        Everybody /Library/Application Support/navtrace/extension
        /Library/Application Support/Chromium/NativeMessagingHosts/dev.navtrace.host.json for Chromium
        /Library/Google/Chrome/NativeMessagingHosts/dev.navtrace.host.json for Google Chrome, Brave and Vivaldi
        /Library/Google/ChromeForTesting/NativeMessagingHosts/dev.navtrace.host.json for Chrome for Testing
        /Library/Microsoft/Edge/NativeMessagingHosts/dev.navtrace.host.json for Microsoft Edge
        ");
    }

    #[test]
    fn the_data_directory_is_where_the_environment_says() {
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
