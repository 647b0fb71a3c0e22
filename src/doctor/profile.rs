//! Reads what a profile has loaded. Chromium writes that some seconds after a change, and when it ends.
//!
//! Chromium 156 on Linux keeps everything in `Preferences`. Elsewhere extensions are in `Secure Preferences`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use crate::base::files;
use crate::launch::extension;
use crate::launch::profile::MAX_PREFERENCES;

const MAX_PROFILES: usize = 100;

/// Profiles of the browser itself.
const INTERNAL: [&str; 2] = ["Guest Profile", "System Profile"];

/// A profile in a user data directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// The name of its folder.
    pub(super) name: String,
    pub(super) developer_mode: bool,
    /// The preferences about navtrace's extension.
    pub(super) extension: Option<LoadedExtension>,
    /// The reason why preferences could not be read.
    pub(super) problem: Option<String>,
}

/// An extension as the preferences describe it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoadedExtension {
    /// Its folder. `None` if it is not loaded and only settings are kept.
    pub(super) path: Option<PathBuf>,
    pub(super) origin: LoadOrigin,
    /// Chromium's bits for why it is turned off. Empty if it is on.
    pub(super) disable_reasons: BTreeSet<u64>,
    /// Whether it is allowed in Incognito.
    pub(super) off_the_record: bool,
}

/// The way an extension came into a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadOrigin {
    /// Loaded from a folder by hand.
    Unpacked,
    /// Loaded from a folder by an argument of the browser, until the browser ends.
    Argument,
    Other,
}

/// Turned off by the user.
pub(super) const USER: u64 = 1;
/// Asks for more permissions than it was granted.
pub(super) const PERMISSIONS: u64 = 1 << 1;
/// Being loaded again.
pub(super) const RELOAD: u64 = 1 << 2;
/// Has changed files.
pub(super) const CORRUPTED: u64 = 1 << 10;
/// Forbidden by a policy.
pub(super) const POLICY: u64 = 1 << 16;
/// Unpacked, while developer mode is off.
pub(super) const DEVELOPER_MODE: u64 = 1 << 24;

impl Profile {
    /// Returns whether navtrace's extension is loaded, even if it is turned off.
    pub(super) fn has_loaded(&self) -> bool {
        self.extension.as_ref().is_some_and(|extension| extension.path.is_some())
    }
}

/// Reads the profiles in a user data directory.
pub(super) fn read_all(user_data: &Path) -> Vec<Profile> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    if let Ok(Some(state)) = files::read_json(&user_data.join("Local State"), MAX_PREFERENCES) {
        let known = state["profile"]["info_cache"].as_object();
        names.extend(known.into_iter().flat_map(Map::keys).cloned());
    }
    let entries = fs::read_dir(user_data).into_iter().flatten().flatten();
    names.extend(entries.take(10_000).filter_map(|entry| entry.file_name().into_string().ok()));
    let is_profile = |name: &String| {
        let is_inside = matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        is_inside && !INTERNAL.contains(&name.as_str()) && user_data.join(name).join("Preferences").is_file()
    };
    let profiles = names.into_iter().filter(is_profile).take(MAX_PROFILES);
    profiles.map(|name| read(&user_data.join(&name), name)).collect()
}

fn read(folder: &Path, name: String) -> Profile {
    let mut profile = Profile { name, developer_mode: false, extension: None, problem: None };
    for file in ["Preferences", "Secure Preferences"] {
        let path = folder.join(file);
        match files::read_json(&path, MAX_PREFERENCES) {
            Ok(Some(preferences)) => {
                profile.developer_mode |= preferences["extensions"]["ui"]["developer_mode"] == true;
                if !profile.has_loaded() {
                    profile.extension = parse(&preferences, extension::ID, folder).or(profile.extension);
                }
            }
            Ok(None) => {}
            Err(error) => profile.problem = Some(format!("{} can't be read: {error}", path.display())),
        }
    }
    profile
}

/// Reads the preferences about the extension with this id.
fn parse(preferences: &Value, id: &str, folder: &Path) -> Option<LoadedExtension> {
    let entry = preferences["extensions"]["settings"].get(id)?;
    let path = entry["path"].as_str().filter(|path| !path.is_empty());
    Some(LoadedExtension {
        // The path is relative if Chromium keeps the files itself.
        path: path.map(|path| folder.join("Extensions").join(path)),
        origin: match entry["location"].as_u64() {
            Some(4) => LoadOrigin::Unpacked,
            Some(8) => LoadOrigin::Argument,
            _ => LoadOrigin::Other,
        },
        disable_reasons: disable_reasons(entry),
        off_the_record: entry["incognito"] == true,
    })
}

/// Reads the reasons: a list of bits since Chromium 134, one number with all bits before.
fn disable_reasons(entry: &Value) -> BTreeSet<u64> {
    let mut reasons: BTreeSet<u64> = match &entry["disable_reasons"] {
        Value::Array(bits) => bits.iter().filter_map(Value::as_u64).collect(),
        Value::Number(bits) => {
            let bits = bits.as_u64().unwrap_or(0);
            (0..64).map(|bit| 1 << bit).filter(|bit| bits & bit != 0).collect()
        }
        _ => BTreeSet::new(),
    };
    reasons.remove(&0);
    if reasons.is_empty() && entry["state"] == 0 {
        reasons.insert(USER);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<Profile>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let profiles = read_all(dir.path());
        (dir, profiles)
    }

    #[test]
    fn an_extension_is_read_as_chromium_156_writes_it() {
        let preferences: Value = serde_json::from_str(
            r#"{"extensions":{"settings":{
            "a":{"location":4,"path":"/ext","disable_reasons":[16777216,1],"incognito":true},
            "b":{"location":1,"path":"b/1.2_0","disable_reasons":[],"manifest":{"name":"B"}},
            "c":{"location":8,"path":"/ext","disable_reasons":65537},
            "d":{"location":5,"state":0},
            "e":{"incognito":true}
        }}}"#,
        )
        .unwrap();
        let of = |id| parse(&preferences, id, Path::new("/p")).unwrap();
        let (both, packed, argument, component, kept) = (of("a"), of("b"), of("c"), of("d"), of("e"));
        assert_eq!(both.disable_reasons, BTreeSet::from([USER, DEVELOPER_MODE]));
        assert!(both.off_the_record && both.origin == LoadOrigin::Unpacked && both.path == Some("/ext".into()));
        assert_eq!(packed.path, Some("/p/Extensions/b/1.2_0".into()));
        assert!(packed.disable_reasons.is_empty() && !packed.off_the_record && packed.origin == LoadOrigin::Other);
        assert_eq!(argument.disable_reasons, BTreeSet::from([USER, POLICY]));
        assert_eq!((argument.origin, component.origin), (LoadOrigin::Argument, LoadOrigin::Other));
        assert_eq!(component.disable_reasons, BTreeSet::from([USER]));
        assert!(kept.path.is_none() && kept.disable_reasons.is_empty() && kept.off_the_record);
        assert_eq!(parse(&preferences, "f", Path::new("/p")), None);
    }

    #[test]
    fn a_profile_has_its_name_and_developer_mode() {
        let preferences = r#"{"extensions":{"ui":{"developer_mode":true}}}"#;
        let (_dir, profiles) = profiles(&[("Default/Preferences", preferences), ("Default/Secure Preferences", "{}")]);
        let [profile] = &profiles[..] else { panic!("{profiles:?}") };
        assert!(profile.developer_mode && profile.problem.is_none() && profile.name == "Default");
        assert_eq!(profile.extension, None);
    }

    #[test]
    fn profiles_are_found_by_preferences_and_local_state() {
        let names =
            |files: &[(&str, &str)]| profiles(files).1.into_iter().map(|profile| profile.name).collect::<Vec<_>>();
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(
            names(&[
                ("Local State", r#"{"profile":{"info_cache":{"..":{},"gone":{},"/etc":{},"":{},"Work":3}}}"#),
                ("Preferences", "{}"),
                ("Default/Preferences", "{}"),
                ("Profile 1/Preferences", "{}"),
                ("System Profile/Preferences", "{}"),
                ("Work/Preferences", "{}"),
                ("Crashpad/settings.dat", ""),
            ]),
            ["Default", "Profile 1", "Work"]
        );
        assert_eq!(names(&[("Local State", "[]"), ("Default/Preferences", "{}")]), ["Default"]);
    }

    #[test]
    fn odd_preferences_are_ignored() {
        for odd in [
            "[]",
            "null",
            r#"{"extensions":[]}"#,
            r#"{"extensions":{"settings":[1]}}"#,
            r#"{"extensions":{"settings":null,"ui":{"developer_mode":"yes"}}}"#,
        ] {
            let (_dir, profiles) = profiles(&[("Default/Preferences", odd)]);
            assert_eq!(profiles[0].extension, None, "{odd}");
            assert!(!profiles[0].developer_mode && profiles[0].problem.is_none(), "{odd}");
        }
        for odd in [
            "3",
            "{}",
            r#"{"path":3,"location":"4","disable_reasons":["x",-1,0,1.5],"incognito":1,"manifest":[]}"#,
            r#"{"path":"","disable_reasons":-1}"#,
        ] {
            let preferences = format!(r#"{{"extensions":{{"settings":{{"{}":{odd}}}}}}}"#, extension::ID);
            let (_dir, profiles) = profiles(&[("Default/Preferences", &preferences)]);
            let read = profiles[0].extension.as_ref().unwrap();
            assert!(read.path.is_none() && read.disable_reasons.is_empty() && !read.off_the_record, "{odd}: {read:?}");
        }
        let (_dir, profiles) = profiles(&[("Default/Preferences", "{\"half")]);
        assert!(profiles[0].problem.as_ref().unwrap().contains("Default/Preferences can't be read: it is not JSON"));
    }

    #[test]
    fn the_extension_may_be_in_either_file() {
        let preferences = |entry: &str| format!(r#"{{"extensions":{{"settings":{{"{}":{entry}}}}}}}"#, extension::ID);
        let (_dir, profiles) = profiles(&[
            ("Default/Preferences", &preferences(r#"{"incognito":true}"#)),
            ("Default/Secure Preferences", &preferences(r#"{"path":"/ext","location":4}"#)),
        ]);
        assert_eq!(profiles[0].extension.as_ref().unwrap().path, Some("/ext".into()));
    }
}
