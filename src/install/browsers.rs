//! Data about each browser: its folders, programs and policy files. One row per browser.
//!
//! Host manifests: <https://developer.chrome.com/docs/extensions/develop/concepts/native-messaging#native-messaging-host-location>. Brave and
//! Vivaldi read Chrome's folder for all users.
//!
//! Policies: `components/policy/core/common/policy_paths.cc` of Chromium, and Brave's `brave_main_delegate.cc`. Vivaldi does not document
//! its folder. On macOS policies are managed preferences, not files.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::launch::find::{is_ourselves, look_up};
use crate::launch::manifest;

/// An operating system whose browsers navtrace knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Os {
    /// Linux, and systems that place files as Linux does.
    Linux,
    MacOs,
}

impl Os {
    /// The system that this program was built for.
    pub(crate) const CURRENT: Self = if cfg!(target_os = "macos") { Self::MacOs } else { Self::Linux };
}

/// A browser that the host can be registered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Browser {
    /// The name on the command line.
    pub(crate) id: &'static str,
    /// The name in messages.
    pub(crate) name: &'static str,
    /// The names of the program on `PATH`.
    programs: &'static [&'static str],
    /// The default user data directory, below [`Homes::config`].
    user_data: &'static str,
    /// The directory for all users.
    etc: &'static str,
    /// The directories of policies, which Brave and Vivaldi keep elsewhere.
    policy_etc: &'static [&'static str],
    /// The name of the application on macOS.
    mac_app: &'static str,
    /// The default user data directory on macOS, below `Library/Application Support`.
    mac_user_data: &'static str,
    /// The directory for all users on macOS.
    mac_library: &'static str,
}

/// All browsers that navtrace knows.
pub(crate) static BROWSERS: [Browser; 6] = [
    Browser {
        id: "chromium",
        name: "Chromium",
        programs: &["chromium", "chromium-browser", "ungoogled-chromium"],
        user_data: "chromium",
        etc: "/etc/chromium",
        policy_etc: &["/etc/chromium"],
        mac_app: "Chromium",
        mac_user_data: "Chromium",
        mac_library: "/Library/Application Support/Chromium",
    },
    Browser {
        id: "chrome",
        name: "Google Chrome",
        programs: &["google-chrome-stable", "google-chrome"],
        user_data: "google-chrome",
        etc: "/etc/opt/chrome",
        policy_etc: &["/etc/opt/chrome"],
        mac_app: "Google Chrome",
        mac_user_data: "Google/Chrome",
        mac_library: "/Library/Google/Chrome",
    },
    Browser {
        id: "chrome-for-testing",
        name: "Chrome for Testing",
        programs: &["google-chrome-for-testing"],
        user_data: "google-chrome-for-testing",
        etc: "/etc/opt/chrome_for_testing",
        policy_etc: &["/etc/opt/chrome_for_testing"],
        mac_app: "Google Chrome for Testing",
        mac_user_data: "Google/ChromeForTesting",
        mac_library: "/Library/Google/ChromeForTesting",
    },
    Browser {
        id: "brave",
        name: "Brave",
        programs: &["brave-browser", "brave"],
        user_data: "BraveSoftware/Brave-Browser",
        etc: "/etc/opt/chrome",
        policy_etc: &["/etc/brave"],
        mac_app: "Brave Browser",
        mac_user_data: "BraveSoftware/Brave-Browser",
        mac_library: "/Library/Google/Chrome",
    },
    Browser {
        id: "edge",
        name: "Microsoft Edge",
        programs: &["microsoft-edge-stable", "microsoft-edge"],
        user_data: "microsoft-edge",
        etc: "/etc/opt/edge",
        policy_etc: &["/etc/opt/edge"],
        mac_app: "Microsoft Edge",
        mac_user_data: "Microsoft Edge",
        mac_library: "/Library/Microsoft/Edge",
    },
    Browser {
        id: "vivaldi",
        name: "Vivaldi",
        programs: &["vivaldi-stable", "vivaldi"],
        user_data: "vivaldi",
        etc: "/etc/opt/chrome",
        policy_etc: &["/etc/vivaldi", "/etc/chromium"],
        mac_app: "Vivaldi",
        mac_user_data: "Vivaldi",
        mac_library: "/Library/Google/Chrome",
    },
];

/// The directories of a user that contain the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Homes {
    pub(crate) home: PathBuf,
    /// The configuration directory on Linux: `CHROME_CONFIG_HOME`, `XDG_CONFIG_HOME`, or `.config` at home.
    pub(crate) config: PathBuf,
}

impl Homes {
    /// Finds the directories by the environment. Returns `None` if there is no home.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME")?;
        let config = absolute("CHROME_CONFIG_HOME")
            .or_else(|| absolute("XDG_CONFIG_HOME"))
            .unwrap_or_else(|| home.join(".config"));
        Some(Self { home, config })
    }
}

impl Browser {
    pub(crate) fn by_id(id: &str) -> Option<&'static Self> {
        BROWSERS.iter().find(|browser| browser.id == id)
    }

    /// Finds the browser that has a program of this name.
    pub(crate) fn of_program(program: &Path, os: Os) -> Option<&'static Self> {
        let has_name = |name: &String| Path::new(name).file_name() == program.file_name();
        BROWSERS.iter().find(|browser| browser.programs(os).iter().any(has_name))
    }

    /// Returns the names of the program on `PATH`, or its absolute path.
    pub(crate) fn programs(&self, os: Os) -> Vec<String> {
        match os {
            Os::Linux => self.programs.iter().map(|name| (*name).to_owned()).collect(),
            Os::MacOs => vec![format!("/Applications/{0}.app/Contents/MacOS/{0}", self.mac_app)],
        }
    }

    /// Returns the user data directory that the browser uses by default.
    pub(crate) fn user_data(&self, os: Os, homes: &Homes) -> PathBuf {
        match os {
            Os::Linux => homes.config.join(self.user_data),
            Os::MacOs => homes.home.join("Library/Application Support").join(self.mac_user_data),
        }
    }

    /// Returns the folder of host manifests for all users.
    pub(crate) fn system_hosts(&self, os: Os) -> PathBuf {
        match os {
            Os::Linux => Path::new(self.etc).join("native-messaging-hosts"),
            Os::MacOs => Path::new(self.mac_library).join(manifest::PROFILE_FOLDER),
        }
    }

    /// Returns the folders of JSON files with mandatory policies on Linux.
    pub(crate) fn policies(&self) -> impl Iterator<Item = PathBuf> {
        self.policy_etc.iter().map(|etc| Path::new(etc).join("policies/managed"))
    }

    /// Returns the folder of host manifests for one user.
    pub(crate) fn user_hosts(&self, os: Os, homes: &Homes) -> PathBuf {
        self.user_data(os, homes).join(manifest::PROFILE_FOLDER)
    }

    /// Returns whether the browser has been started before, or is installed at one of its usual paths.
    pub(crate) fn is_found(&self, os: Os, homes: Option<&Homes>, search_path: &OsStr) -> bool {
        homes.is_some_and(|homes| self.user_data(os, homes).is_dir()) || self.has_program(os, search_path)
    }

    /// Returns whether the browser is installed at one of its usual paths.
    pub(crate) fn has_program(&self, os: Os, search_path: &OsStr) -> bool {
        self.programs(os).iter().any(|name| {
            // The name may be a link to navtrace, which is then the browser.
            look_up(Path::new(name), search_path).is_some_and(|path| !is_ourselves(&path))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn table(os: Os, homes: &Homes) -> String {
        BROWSERS.iter().fold(String::new(), |mut text, browser| {
            let user = browser.user_hosts(os, homes);
            let _ = writeln!(
                text,
                "{:<18}  {}\n{:<18}  {}",
                browser.id,
                user.display(),
                "",
                browser.system_hosts(os).display()
            );
            text
        })
    }

    #[test]
    fn every_browser_has_its_folders_on_linux() {
        let homes = Homes { home: "/home/me".into(), config: "/home/me/.config".into() };
        insta::assert_snapshot!(table(Os::Linux, &homes), @r"
        chromium            /home/me/.config/chromium/NativeMessagingHosts
                            /etc/chromium/native-messaging-hosts
        chrome              /home/me/.config/google-chrome/NativeMessagingHosts
                            /etc/opt/chrome/native-messaging-hosts
        chrome-for-testing  /home/me/.config/google-chrome-for-testing/NativeMessagingHosts
                            /etc/opt/chrome_for_testing/native-messaging-hosts
        brave               /home/me/.config/BraveSoftware/Brave-Browser/NativeMessagingHosts
                            /etc/opt/chrome/native-messaging-hosts
        edge                /home/me/.config/microsoft-edge/NativeMessagingHosts
                            /etc/opt/edge/native-messaging-hosts
        vivaldi             /home/me/.config/vivaldi/NativeMessagingHosts
                            /etc/opt/chrome/native-messaging-hosts
        ");
    }

    #[test]
    fn every_browser_has_its_folders_on_macos() {
        let homes = Homes { home: "/Users/me".into(), config: "/Users/me/.config".into() };
        insta::assert_snapshot!(table(Os::MacOs, &homes), @r"
        chromium            /Users/me/Library/Application Support/Chromium/NativeMessagingHosts
                            /Library/Application Support/Chromium/NativeMessagingHosts
        chrome              /Users/me/Library/Application Support/Google/Chrome/NativeMessagingHosts
                            /Library/Google/Chrome/NativeMessagingHosts
        chrome-for-testing  /Users/me/Library/Application Support/Google/ChromeForTesting/NativeMessagingHosts
                            /Library/Google/ChromeForTesting/NativeMessagingHosts
        brave               /Users/me/Library/Application Support/BraveSoftware/Brave-Browser/NativeMessagingHosts
                            /Library/Google/Chrome/NativeMessagingHosts
        edge                /Users/me/Library/Application Support/Microsoft Edge/NativeMessagingHosts
                            /Library/Microsoft/Edge/NativeMessagingHosts
        vivaldi             /Users/me/Library/Application Support/Vivaldi/NativeMessagingHosts
                            /Library/Google/Chrome/NativeMessagingHosts
        ");
    }

    #[test]
    fn the_environment_names_the_homes() {
        let homes = |given: &[(&str, &str)]| {
            Homes::find(|name| given.iter().find(|(of, _)| *of == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(homes(&[]), None);
        assert_eq!(homes(&[("HOME", "relative")]), None);
        for (given, config) in [
            (&[("HOME", "/h")][..], "/h/.config"),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")], "/x"),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")], "/h/.config"),
            (&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("CHROME_CONFIG_HOME", "/c")], "/c"),
        ] {
            assert_eq!(homes(given), Some(Homes { home: "/h".into(), config: config.into() }));
        }
    }

    #[test]
    fn a_browser_is_found_by_its_profile_or_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes { home: dir.path().into(), config: dir.path().join("config") };
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let found = || {
            let is_found = |browser: &&Browser| browser.is_found(Os::Linux, Some(&homes), bin.as_os_str());
            BROWSERS.iter().filter(is_found).map(|browser| browser.id).collect::<Vec<_>>()
        };
        assert_eq!(found(), [""; 0]);
        fs::create_dir_all(homes.config.join("BraveSoftware/Brave-Browser")).unwrap();
        fs::write(bin.join("vivaldi-stable"), "").unwrap();
        symlink(std::env::current_exe().unwrap(), bin.join("chromium")).unwrap();
        assert_eq!(found(), ["brave"]);
        fs::set_permissions(bin.join("vivaldi-stable"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(), ["brave", "vivaldi"]);
    }
}
