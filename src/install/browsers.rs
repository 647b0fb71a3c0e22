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

/// The places of a browser on one operating system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BrowserPaths {
    /// The default user data directory, below [`Homes::config`] on Linux and [`Homes::home`] on macOS.
    pub(crate) user_data: &'static str,
    /// The folder of host manifests for all users.
    pub(crate) system_hosts: &'static str,
    /// The names of the program on `PATH`, or its paths.
    pub(crate) programs: &'static [&'static str],
}

/// A browser that the host can be registered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Browser {
    /// The name on the command line.
    pub(crate) id: &'static str,
    /// The name in messages.
    pub(crate) name: &'static str,
    /// The folders of JSON files with mandatory policies on Linux.
    pub(crate) linux_policies: &'static [&'static str],
    linux: BrowserPaths,
    macos: BrowserPaths,
}

/// All browsers that navtrace knows.
pub(crate) static BROWSERS: [Browser; 6] = [
    Browser {
        id: "chromium",
        name: "Chromium",
        linux_policies: &["/etc/chromium/policies/managed"],
        linux: BrowserPaths {
            user_data: "chromium",
            system_hosts: "/etc/chromium/native-messaging-hosts",
            programs: &["chromium", "chromium-browser", "ungoogled-chromium"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/Chromium",
            system_hosts: "/Library/Application Support/Chromium/NativeMessagingHosts",
            programs: &["/Applications/Chromium.app/Contents/MacOS/Chromium"],
        },
    },
    Browser {
        id: "chrome",
        name: "Google Chrome",
        linux_policies: &["/etc/opt/chrome/policies/managed"],
        linux: BrowserPaths {
            user_data: "google-chrome",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["google-chrome-stable", "google-chrome"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/Google/Chrome",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"],
        },
    },
    Browser {
        id: "chrome-for-testing",
        name: "Chrome for Testing",
        linux_policies: &["/etc/opt/chrome_for_testing/policies/managed"],
        linux: BrowserPaths {
            user_data: "google-chrome-for-testing",
            system_hosts: "/etc/opt/chrome_for_testing/native-messaging-hosts",
            programs: &["google-chrome-for-testing"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/Google/ChromeForTesting",
            system_hosts: "/Library/Google/ChromeForTesting/NativeMessagingHosts",
            programs: &["/Applications/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing"],
        },
    },
    Browser {
        id: "brave",
        name: "Brave",
        linux_policies: &["/etc/brave/policies/managed"],
        linux: BrowserPaths {
            user_data: "BraveSoftware/Brave-Browser",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["brave-browser", "brave"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/BraveSoftware/Brave-Browser",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Brave Browser.app/Contents/MacOS/Brave Browser"],
        },
    },
    Browser {
        id: "edge",
        name: "Microsoft Edge",
        linux_policies: &["/etc/opt/edge/policies/managed"],
        linux: BrowserPaths {
            user_data: "microsoft-edge",
            system_hosts: "/etc/opt/edge/native-messaging-hosts",
            programs: &["microsoft-edge-stable", "microsoft-edge"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/Microsoft Edge",
            system_hosts: "/Library/Microsoft/Edge/NativeMessagingHosts",
            programs: &["/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"],
        },
    },
    Browser {
        id: "vivaldi",
        name: "Vivaldi",
        linux_policies: &["/etc/vivaldi/policies/managed", "/etc/chromium/policies/managed"],
        linux: BrowserPaths {
            user_data: "vivaldi",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["vivaldi-stable", "vivaldi"],
        },
        macos: BrowserPaths {
            user_data: "Library/Application Support/Vivaldi",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Vivaldi.app/Contents/MacOS/Vivaldi"],
        },
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
        let has_name = |name: &&str| Path::new(name).file_name() == program.file_name();
        BROWSERS.iter().find(|browser| browser.paths(os).programs.iter().any(has_name))
    }

    pub(crate) fn paths(&self, os: Os) -> &BrowserPaths {
        match os {
            Os::Linux => &self.linux,
            Os::MacOs => &self.macos,
        }
    }

    /// Returns the user data directory that the browser uses by default.
    pub(crate) fn user_data(&self, os: Os, homes: &Homes) -> PathBuf {
        let base = match os {
            Os::Linux => &homes.config,
            Os::MacOs => &homes.home,
        };
        base.join(self.paths(os).user_data)
    }

    /// Returns the folder of host manifests for one user.
    pub(crate) fn user_hosts(&self, os: Os, homes: &Homes) -> PathBuf {
        self.user_data(os, homes).join(manifest::PROFILE_FOLDER)
    }

    /// Tells whether the browser has been started before, or is installed at one of its usual paths.
    pub(crate) fn is_found(&self, os: Os, homes: Option<&Homes>, search_path: &OsStr) -> bool {
        homes.is_some_and(|homes| self.user_data(os, homes).is_dir()) || self.has_program(os, search_path)
    }

    /// Tells whether the browser is installed at one of its usual paths.
    pub(crate) fn has_program(&self, os: Os, search_path: &OsStr) -> bool {
        self.paths(os).programs.iter().any(|name| {
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
                browser.paths(os).system_hosts
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
