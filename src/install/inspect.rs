//! What a browser that navtrace does not start itself has of navtrace: which host is registered, what its profiles have loaded, what else there
//! sets the same headers, and which policies hold. It is looked at only; `cli::doctor` has the words.
//!
//! Everything that is read here was written by others, so it may be of any size and shape: what is read is bounded, and what does not have the
//! expected shape counts as not there.

pub(crate) mod host;
pub(crate) mod policies;
pub(crate) mod profile;
pub(crate) mod rivals;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::install::find::has_program;
use crate::install::inspect::host::{Registration, State};
use crate::install::inspect::policies::Policies;
use crate::install::inspect::profile::Profile;
use crate::launch::{extension, manifest};

/// The computer, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Computer {
    /// Its operating system.
    pub(crate) os: Os,
    /// The user's directories; none without a home.
    pub(crate) homes: Option<Homes>,
    /// Below which everything stands that is for every user: `/` but in tests.
    pub(crate) root: PathBuf,
    /// Where programs are looked for, as `PATH` says it.
    pub(crate) search_path: OsString,
}

/// A user data directory and what holds for the browser that uses it.
#[derive(Debug)]
pub(crate) struct Place {
    /// The browser.
    pub(crate) browser: &'static Browser,
    /// Its user data directory.
    pub(crate) user_data: PathBuf,
    /// What is registered for this user.
    pub(crate) user: Registration,
    /// What is registered for every user.
    pub(crate) system: Registration,
    /// The profiles in the user data directory.
    pub(crate) profiles: Vec<Profile>,
    /// The policies that the browser obeys, as far as they are files.
    pub(crate) policies: Policies,
}

impl Place {
    /// Looks at a user data directory.
    pub(crate) fn look(computer: &Computer, browser: &'static Browser, user_data: &Path) -> Self {
        let places = browser.places(computer.os);
        let system = computer.below_root(places.system_hosts).join(manifest::file_name());
        let policies: Vec<_> = places.policies.iter().map(|dir| computer.below_root(dir)).collect();
        Self {
            browser,
            user_data: user_data.into(),
            user: Registration::look(&user_data.join(manifest::PROFILE_FOLDER).join(manifest::file_name())),
            system: Registration::look(&system),
            profiles: profile::look(user_data),
            policies: Policies::read(&policies),
        }
    }

    /// The registration that the browser goes by: a manifest of the user's comes first, whatever is in it, unless a policy rules such out.
    pub(crate) fn effective(&self) -> &Registration {
        let user_counts = self.policies.allows_user_hosts() && self.user.state != State::Missing;
        if user_counts { &self.user } else { &self.system }
    }

    /// Whether there is anything of navtrace's. What is registered for every user counts where the browser is.
    fn has_something(&self, computer: &Computer) -> bool {
        let loaded = |profile: &Profile| profile.extension(extension::ID).is_some_and(|loaded| loaded.path.is_some());
        self.user.state != State::Missing
            || self.profiles.iter().any(loaded)
            || (self.system.state != State::Missing
                && (self.user_data.is_dir() || has_program(self.browser, computer.os, &computer.search_path)))
    }
}

impl Computer {
    /// Looks at every browser, and gives those that have something of navtrace's.
    pub(crate) fn places(&self) -> Vec<Place> {
        let Some(homes) = &self.homes else { return Vec::new() };
        let places = BROWSERS.iter().map(|browser| Place::look(self, browser, &browser.user_data(self.os, homes)));
        places.filter(|place| place.has_something(self)).collect()
    }

    fn below_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn computer(root: &Path) -> Computer {
        let homes = Homes { home: root.join("home"), config: root.join("home/.config") };
        Computer { os: Os::Linux, homes: Some(homes), root: root.into(), search_path: OsString::new() }
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn ids(computer: &Computer) -> Vec<&'static str> {
        computer.places().iter().map(|place| place.browser.id).collect()
    }

    #[test]
    fn browsers_with_nothing_of_navtraces_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let computer = computer(dir.path());
        assert_eq!(ids(&computer), [""; 0]);
        let config = dir.path().join("home/.config");
        fs::create_dir_all(config.join("vivaldi/Default")).unwrap();
        assert_eq!(ids(&computer), [""; 0]);
        write(&config.join("microsoft-edge/NativeMessagingHosts/dev.navtrace.host.json"), "{}");
        write(
            &config.join("chromium/Default/Preferences"),
            r#"{"extensions":{"settings":{"aalhdoofknlgjgclnnkjbegphicaohme":{"path":"/ext"}}}}"#,
        );
        assert_eq!(ids(&computer), ["chromium", "edge"]);
        // One place for three browsers, of which one has been started.
        write(&dir.path().join("etc/opt/chrome/native-messaging-hosts/dev.navtrace.host.json"), "{}");
        assert_eq!(ids(&computer), ["chromium", "edge", "vivaldi"]);
        assert_eq!(ids(&Computer { homes: None, ..computer }), [""; 0]);
    }

    #[test]
    fn the_users_manifest_comes_first_unless_a_policy_rules_it_out() {
        let dir = tempfile::tempdir().unwrap();
        let computer = computer(dir.path());
        let chromium = Browser::by_id("chromium").unwrap();
        let effective = || {
            let place = Place::look(&computer, chromium, &dir.path().join("profile"));
            place.effective().manifest.strip_prefix(dir.path()).unwrap().to_owned()
        };
        let system = Path::new("etc/chromium/native-messaging-hosts/dev.navtrace.host.json");
        let user = Path::new("profile/NativeMessagingHosts/dev.navtrace.host.json");
        assert_eq!(effective(), system);
        write(&dir.path().join(user), "broken");
        assert_eq!(effective(), user);
        write(
            &dir.path().join("etc/chromium/policies/managed/some.json"),
            r#"{"NativeMessagingUserLevelHosts": false}"#,
        );
        assert_eq!(effective(), system);
    }
}
