//! The policies that a browser obeys, as far as they are JSON files (Linux): which of them are in navtrace's way, and which give it more.
//!
//! <https://chromeenterprise.google/policies/>. None of these policies can be a recommendation, so only those that are mandatory are read. Which
//! wins over which was measured on Chromium 156: of a policy that stands in several files, the last file by name counts.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::files;
use crate::launch::extension;
use crate::launch::manifest::HOST_NAME;

/// The most that a file of policies has.
const LIMIT: u64 = 4 * 1024 * 1024;

/// What is called for everybody who is not named.
const ALL: &str = "*";

/// The policies of one browser.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// Each policy's value, and the file that it is from.
    values: BTreeMap<String, (Value, PathBuf)>,
    /// Files that can't be read, and why.
    pub(crate) problems: Vec<(PathBuf, String)>,
}

/// What a policy means for navtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The policy's name.
    pub(crate) policy: &'static str,
    /// The file that says it.
    pub(crate) file: PathBuf,
    /// What it does.
    pub(crate) kind: Kind,
}

/// What policies do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The host may not be started.
    HostBlocked,
    /// What is registered for one user alone does not count.
    UserHostsOff,
    /// The extension is turned off, and can't be installed.
    ExtensionBlocked,
    /// Extensions of any kind are turned off: those that are allowed by name, too.
    NoExtensions,
    /// The extension is removed.
    ExtensionRemoved,
    /// The extension is turned off for the sake of these of its permissions.
    PermissionsBlocked(Vec<String>),
    /// The extension does not get at these hosts.
    HostsBlocked(Vec<String>),
    /// Developer mode can't be turned on, without which there is no unpacked extension.
    NoDeveloperMode,
    /// All windows are off the record.
    AlwaysOffTheRecord,
    /// The extension is installed by policy, which is what lets it have a span for every request.
    Installed,
}

impl Policies {
    /// Reads the policies in directories.
    pub(crate) fn read(dirs: &[PathBuf]) -> Self {
        let mut policies = Self::default();
        for dir in dirs {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(1_000);
            let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
            files.sort();
            for file in files {
                policies.add(&file);
            }
        }
        policies
    }

    fn add(&mut self, file: &Path) {
        match files::read_json(file, LIMIT) {
            Ok(Some(Value::Object(values))) => {
                self.values.extend(values.into_iter().map(|(name, value)| (name, (value, file.to_owned()))));
            }
            Ok(Some(_)) => self.problems.push((file.to_owned(), "it is not a JSON object".to_owned())),
            Ok(None) => {}
            Err(error) => self.problems.push((file.to_owned(), error)),
        }
    }

    /// Whether what is registered for one user counts.
    pub(crate) fn allows_user_hosts(&self) -> bool {
        self.value("NativeMessagingUserLevelHosts") != &Value::Bool(false)
    }

    /// Gives what matters to navtrace.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        let host = self.lists("NativeMessagingBlocklist", &[HOST_NAME, ALL])
            && !self.lists("NativeMessagingAllowlist", &[HOST_NAME]);
        let host = host.then_some(("NativeMessagingBlocklist", Kind::HostBlocked));
        let user_hosts = (!self.allows_user_hosts()).then_some(("NativeMessagingUserLevelHosts", Kind::UserHostsOff));
        let installation = self.installation();
        let installed = installation.as_ref().is_some_and(|(_, kind)| *kind == Kind::Installed);
        let developer_mode = self.developer_mode().filter(|_| !installed).map(|name| (name, Kind::NoDeveloperMode));
        let no_extensions = match self.value("ExtensionAllowedTypes") {
            Value::Array(types) if !types.iter().any(|kind| kind == "extension") => {
                Some(("ExtensionAllowedTypes", Kind::NoExtensions)).filter(|_| !installed)
            }
            _ => None,
        };
        let settings = |key, kind: fn(Vec<String>) -> Kind| {
            let named = self.setting(extension::ID, key).or_else(|| self.setting(ALL, key));
            Some(strings(named?)).filter(|named| !named.is_empty()).map(|named| ("ExtensionSettings", kind(named)))
        };
        let permissions = settings("blocked_permissions", |mut named| {
            let own = extension::permissions();
            named.retain(|permission| own.contains(permission));
            Kind::PermissionsBlocked(named)
        });
        let permissions = permissions.filter(|(_, kind)| *kind != Kind::PermissionsBlocked(Vec::new()));
        let hosts = settings("runtime_blocked_hosts", Kind::HostsBlocked);
        let incognito = (self.value("IncognitoModeAvailability") == 2)
            .then_some(("IncognitoModeAvailability", Kind::AlwaysOffTheRecord));
        let found = [host, user_hosts, installation, no_extensions, developer_mode, permissions, hosts, incognito];
        let effect = |(policy, kind)| Effect { policy, file: self.file(policy), kind };
        found.into_iter().flatten().map(effect).collect()
    }

    /// Finds what decides about the installation of the extension. What is said of it comes before what is said of all; of the lists, what
    /// forces an extension wins over what blocks it, and that over what allows it.
    fn installation(&self) -> Option<(&'static str, Kind)> {
        let mode = |of| match self.setting(of, "installation_mode")?.as_str()? {
            "blocked" => Some(Some(Kind::ExtensionBlocked)),
            "removed" => Some(Some(Kind::ExtensionRemoved)),
            "force_installed" | "normal_installed" if of != ALL => Some(Some(Kind::Installed)),
            _ => Some(None),
        };
        if let Some(kind) = mode(extension::ID) {
            return kind.map(|kind| ("ExtensionSettings", kind));
        }
        let forced = strings(self.value("ExtensionInstallForcelist"))
            .iter()
            .any(|entry| entry.split(';').next() == Some(extension::ID));
        if forced {
            return Some(("ExtensionInstallForcelist", Kind::Installed));
        }
        if self.lists("ExtensionInstallBlocklist", &[extension::ID]) {
            return Some(("ExtensionInstallBlocklist", Kind::ExtensionBlocked));
        }
        if self.lists("ExtensionInstallAllowlist", &[extension::ID]) {
            return None;
        }
        if let Some(kind) = mode(ALL) {
            return kind.map(|kind| ("ExtensionSettings", kind));
        }
        let all = self.lists("ExtensionInstallBlocklist", &[ALL]);
        all.then_some(("ExtensionInstallBlocklist", Kind::ExtensionBlocked))
    }

    /// Names the policy that keeps developer mode off.
    fn developer_mode(&self) -> Option<&'static str> {
        match self.value("ExtensionDeveloperModeSettings").as_i64() {
            Some(1) => Some("ExtensionDeveloperModeSettings"),
            Some(_) => None,
            None => (self.value("DeveloperToolsAvailability") == 2).then_some("DeveloperToolsAvailability"),
        }
    }

    fn value(&self, name: &str) -> &Value {
        self.values.get(name).map_or(&Value::Null, |(value, _)| value)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.values.get(name).map(|(_, file)| file.clone()).unwrap_or_default()
    }

    /// What `ExtensionSettings` says of an extension. One key may name several.
    fn setting(&self, of: &str, key: &str) -> Option<&Value> {
        let settings = self.value("ExtensionSettings").as_object()?;
        settings.iter().find_map(|(named, setting)| {
            let found = named.split(',').any(|id| id.trim() == of);
            setting.get(key).filter(|_| found)
        })
    }

    fn lists(&self, name: &str, wanted: &[&str]) -> bool {
        strings(self.value(name)).iter().any(|entry| wanted.contains(&entry.as_str()))
    }
}

fn strings(value: &Value) -> Vec<String> {
    let entries = value.as_array().into_iter().flatten();
    entries.filter_map(Value::as_str).map(str::to_owned).collect()
}
