//! Where each browser keeps what navtrace has to know of it: data, one row per browser. Pure.
//!
//! Host manifests: <https://developer.chrome.com/docs/extensions/develop/concepts/native-messaging#native-messaging-host-location>. Brave and
//! Vivaldi read Chrome's folder for the system.
//!
//! Policies on Linux: `components/policy/core/common/policy_paths.cc` of Chromium, and Brave's `brave_main_delegate.cc`. Vivaldi does not say
//! which it reads. On macOS they are managed preferences, not files of JSON.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::launch::manifest;

/// An operating system that navtrace knows browsers of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Os {
    /// Linux, and whatever keeps its files as Linux does.
    Linux,
    /// macOS.
    MacOs,
}

impl Os {
    /// The one that this program was built for.
    pub(crate) const CURRENT: Self = if cfg!(target_os = "macos") { Self::MacOs } else { Self::Linux };
}

/// Where a browser keeps its things on one operating system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Its user data directory, below [`Homes::config`] on Linux and [`Homes::home`] on macOS.
    pub(crate) user_data: &'static str,
    /// Where it looks for host manifests that are for every user.
    pub(crate) system_hosts: &'static str,
    /// The names of its program on `PATH`, or the paths of it.
    pub(crate) programs: &'static [&'static str],
    /// Where it looks for the JSON files of policies that its users can't change.
    pub(crate) policies: &'static [&'static str],
}

/// A browser that can have a host registered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Browser {
    /// What it is called on the command line.
    pub(crate) id: &'static str,
    /// What it is called.
    pub(crate) name: &'static str,
    linux: Places,
    macos: Places,
}

/// Every browser that navtrace knows.
pub(crate) static BROWSERS: [Browser; 6] = [
    Browser {
        id: "chromium",
        name: "Chromium",
        linux: Places {
            user_data: "chromium",
            system_hosts: "/etc/chromium/native-messaging-hosts",
            programs: &["chromium", "chromium-browser", "ungoogled-chromium"],
            policies: &["/etc/chromium/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/Chromium",
            system_hosts: "/Library/Application Support/Chromium/NativeMessagingHosts",
            programs: &["/Applications/Chromium.app/Contents/MacOS/Chromium"],
            policies: &[],
        },
    },
    Browser {
        id: "chrome",
        name: "Google Chrome",
        linux: Places {
            user_data: "google-chrome",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["google-chrome-stable", "google-chrome"],
            policies: &["/etc/opt/chrome/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/Google/Chrome",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"],
            policies: &[],
        },
    },
    Browser {
        id: "chrome-for-testing",
        name: "Chrome for Testing",
        linux: Places {
            user_data: "google-chrome-for-testing",
            system_hosts: "/etc/opt/chrome_for_testing/native-messaging-hosts",
            programs: &["google-chrome-for-testing"],
            policies: &["/etc/opt/chrome_for_testing/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/Google/ChromeForTesting",
            system_hosts: "/Library/Google/ChromeForTesting/NativeMessagingHosts",
            programs: &["/Applications/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing"],
            policies: &[],
        },
    },
    Browser {
        id: "brave",
        name: "Brave",
        linux: Places {
            user_data: "BraveSoftware/Brave-Browser",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["brave-browser", "brave"],
            policies: &["/etc/brave/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/BraveSoftware/Brave-Browser",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Brave Browser.app/Contents/MacOS/Brave Browser"],
            policies: &[],
        },
    },
    Browser {
        id: "edge",
        name: "Microsoft Edge",
        linux: Places {
            user_data: "microsoft-edge",
            system_hosts: "/etc/opt/edge/native-messaging-hosts",
            programs: &["microsoft-edge-stable", "microsoft-edge"],
            policies: &["/etc/opt/edge/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/Microsoft Edge",
            system_hosts: "/Library/Microsoft/Edge/NativeMessagingHosts",
            programs: &["/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"],
            policies: &[],
        },
    },
    Browser {
        id: "vivaldi",
        name: "Vivaldi",
        linux: Places {
            user_data: "vivaldi",
            system_hosts: "/etc/opt/chrome/native-messaging-hosts",
            programs: &["vivaldi-stable", "vivaldi"],
            policies: &["/etc/vivaldi/policies/managed", "/etc/chromium/policies/managed"],
        },
        macos: Places {
            user_data: "Library/Application Support/Vivaldi",
            system_hosts: "/Library/Google/Chrome/NativeMessagingHosts",
            programs: &["/Applications/Vivaldi.app/Contents/MacOS/Vivaldi"],
            policies: &[],
        },
    },
];

/// The directories of a user that everything else is below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Homes {
    /// The home directory.
    pub(crate) home: PathBuf,
    /// Where programs keep their configuration on Linux: `XDG_CONFIG_HOME`, or `.config` at home. Chromium itself lets `CHROME_CONFIG_HOME` win.
    pub(crate) config: PathBuf,
}

impl Homes {
    /// Finds those of the user from what the environment says.
    ///
    /// `None` when there is no home.
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
    /// Finds a browser by its id.
    pub(crate) fn by_id(id: &str) -> Option<&'static Self> {
        BROWSERS.iter().find(|browser| browser.id == id)
    }

    /// Where it keeps its things.
    pub(crate) fn places(&self, os: Os) -> &Places {
        match os {
            Os::Linux => &self.linux,
            Os::MacOs => &self.macos,
        }
    }

    /// Its user data directory, unless it is started with another one.
    pub(crate) fn user_data(&self, os: Os, homes: &Homes) -> PathBuf {
        let base = match os {
            Os::Linux => &homes.config,
            Os::MacOs => &homes.home,
        };
        base.join(self.places(os).user_data)
    }

    /// Where it looks for host manifests of one user.
    pub(crate) fn user_hosts(&self, os: Os, homes: &Homes) -> PathBuf {
        self.user_data(os, homes).join(manifest::PROFILE_FOLDER)
    }

    /// Where it looks for host manifests for every user.
    pub(crate) fn system_hosts(&self, os: Os) -> &'static Path {
        Path::new(self.places(os).system_hosts)
    }

    /// Finds the one that a program belongs to, by the program's name.
    pub(crate) fn of_program(program: &Path, os: Os) -> Option<&'static Self> {
        let is_it = |name: &&str| Path::new(name).file_name() == program.file_name();
        BROWSERS.iter().find(|browser| browser.places(os).programs.iter().any(is_it))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

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
    fn every_browser_has_its_places_on_linux() {
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
    fn every_browser_has_its_places_on_macos() {
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
    fn the_environment_says_where_the_homes_are() {
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
}
