//! What a profile has loaded, as Chromium last wrote it: it writes some seconds after a change, and when it ends.
//!
//! Chromium 156 on Linux has it all in `Preferences`; elsewhere extensions stand in `Secure Preferences`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use crate::base::files;
use crate::launch::profile::LIMIT;

/// The most profiles that are looked at.
const MOST_PROFILES: usize = 100;

/// Profiles that are nobody's.
const INTERNAL: [&str; 2] = ["Guest Profile", "System Profile"];

/// A profile below a user data directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The name of its folder.
    pub(crate) name: String,
    /// Whether developer mode is on: it is off where nothing is said.
    pub(crate) developer_mode: bool,
    /// What is loaded, ordered by id.
    pub(crate) extensions: Vec<Extension>,
    /// Why the preferences say less than they might.
    pub(crate) problem: Option<String>,
}

/// An extension as the preferences describe it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Its id.
    pub(crate) id: String,
    /// Its folder. None where only settings of it are kept.
    pub(crate) path: Option<PathBuf>,
    /// How it came there.
    pub(crate) origin: Origin,
    /// Why it is turned off, by Chromium's bits; empty when it is on.
    pub(crate) off: BTreeSet<u64>,
    /// Whether it may act in off-the-record windows.
    pub(crate) off_the_record: bool,
    /// What it is called, where the preferences say it.
    pub(crate) name: Option<String>,
}

/// How an extension came into a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From a folder, by hand.
    Unpacked,
    /// From a folder, by an argument of the browser: that lasts as long as the browser.
    Argument,
    /// With the browser.
    Component,
    /// From a store or by a policy.
    Other,
}

impl Profile {
    /// Finds an extension by its id.
    pub(crate) fn extension(&self, id: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.id == id)
    }
}

/// Looks at the profiles in a user data directory.
pub(crate) fn look(user_data: &Path) -> Vec<Profile> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    if let Ok(Some(state)) = files::read_json(&user_data.join("Local State"), LIMIT) {
        let known = state["profile"]["info_cache"].as_object();
        names.extend(known.into_iter().flat_map(Map::keys).cloned());
    }
    let entries = fs::read_dir(user_data).into_iter().flatten().flatten();
    names.extend(entries.take(10_000).filter_map(|entry| entry.file_name().into_string().ok()));
    let is_profile = |name: &String| {
        let inside = matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        inside && !INTERNAL.contains(&name.as_str()) && user_data.join(name).join("Preferences").is_file()
    };
    let profiles = names.into_iter().filter(is_profile).take(MOST_PROFILES);
    profiles.map(|name| look_at_one(&user_data.join(&name), name)).collect()
}

fn look_at_one(folder: &Path, name: String) -> Profile {
    let mut problem = None;
    let mut developer_mode = false;
    let mut extensions = BTreeMap::new();
    for file in ["Preferences", "Secure Preferences"] {
        let path = folder.join(file);
        match files::read_json(&path, LIMIT) {
            Ok(Some(preferences)) => {
                developer_mode |= preferences["extensions"]["ui"]["developer_mode"] == true;
                for extension in parse(&preferences, folder) {
                    let known: Option<&Extension> = extensions.get(&extension.id);
                    if known.is_none_or(|known| known.path.is_none()) {
                        extensions.insert(extension.id.clone(), extension);
                    }
                }
            }
            Ok(None) => {}
            Err(error) => problem = Some(format!("{} can't be read: {error}", path.display())),
        }
    }
    Profile { name, developer_mode, extensions: extensions.into_values().collect(), problem }
}

fn parse(preferences: &Value, folder: &Path) -> Vec<Extension> {
    let settings = preferences["extensions"]["settings"].as_object();
    let of_one = |(id, entry): (&String, &Value)| Extension {
        id: id.clone(),
        // Relative, where Chromium keeps it itself.
        path: entry["path"].as_str().filter(|path| !path.is_empty()).map(|path| folder.join("Extensions").join(path)),
        origin: match entry["location"].as_u64() {
            Some(4) => Origin::Unpacked,
            Some(8) => Origin::Argument,
            Some(5 | 10) => Origin::Component,
            _ => Origin::Other,
        },
        off: off(entry),
        off_the_record: entry["incognito"] == true,
        name: entry["manifest"]["name"].as_str().map(str::to_owned),
    };
    settings.into_iter().flatten().map(of_one).collect()
}

/// Reads why an extension is off: a list of bits since Chromium 134, one number of all bits before.
fn off(entry: &Value) -> BTreeSet<u64> {
    let mut off: BTreeSet<u64> = match &entry["disable_reasons"] {
        Value::Array(reasons) => reasons.iter().filter_map(Value::as_u64).collect(),
        Value::Number(reasons) => {
            let reasons = reasons.as_u64().unwrap_or(0);
            (0..64).map(|bit| 1 << bit).filter(|bit| reasons & bit != 0).collect()
        }
        _ => BTreeSet::new(),
    };
    off.remove(&0);
    if off.is_empty() && entry["state"] == 0 {
        off.insert(USER);
    }
    off
}

/// The bit of an extension that the user turned off.
pub(crate) const USER: u64 = 1;
/// The bit of an extension that wants more permissions than it was granted.
pub(crate) const PERMISSIONS: u64 = 1 << 1;
/// The bit of an extension that is being loaded again.
pub(crate) const RELOAD: u64 = 1 << 2;
/// The bit of an extension whose files were changed.
pub(crate) const CORRUPTED: u64 = 1 << 10;
/// The bit of an extension that a policy rules out.
pub(crate) const POLICY: u64 = 1 << 16;
/// The bit of an unpacked extension while developer mode is off.
pub(crate) const DEVELOPER_MODE: u64 = 1 << 24;

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
        let profiles = look(dir.path());
        (dir, profiles)
    }

    #[test]
    fn an_extension_is_read_as_chromium_156_writes_it() {
        let preferences = r#"{"extensions":{"settings":{
            "a":{"location":4,"path":"/ext","disable_reasons":[16777216,1],"incognito":true},
            "b":{"location":1,"path":"b/1.2_0","disable_reasons":[],"manifest":{"name":"B"}},
            "c":{"location":8,"path":"/ext","disable_reasons":65537},
            "d":{"location":5,"state":0},
            "e":{"incognito":true}
        },"ui":{"developer_mode":true}}}"#;
        let (dir, profiles) = profiles(&[("Default/Preferences", preferences), ("Default/Secure Preferences", "{}")]);
        let [profile] = &profiles[..] else { panic!("{profiles:?}") };
        assert!(profile.developer_mode && profile.problem.is_none() && profile.name == "Default");
        let of = |id| profile.extension(id).unwrap();
        let (both, packed, argument, component, kept) = (of("a"), of("b"), of("c"), of("d"), of("e"));
        assert_eq!(both.off, BTreeSet::from([USER, DEVELOPER_MODE]));
        assert!(both.off_the_record && both.origin == Origin::Unpacked && both.path == Some("/ext".into()));
        assert_eq!(packed.path, Some(dir.path().join("Default/Extensions/b/1.2_0")));
        assert!(
            packed.off.is_empty()
                && !packed.off_the_record
                && packed.name.as_deref() == Some("B")
                && packed.origin == Origin::Other
        );
        assert_eq!(argument.off, BTreeSet::from([USER, POLICY]));
        assert_eq!((argument.origin, component.origin), (Origin::Argument, Origin::Component));
        assert_eq!(component.off, BTreeSet::from([USER]));
        assert!(kept.path.is_none() && kept.off.is_empty() && kept.off_the_record);
        assert_eq!(profile.extension("f"), None);
    }

    #[test]
    fn profiles_are_found_by_their_preferences_and_the_browsers_list() {
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
    fn odd_preferences_say_nothing_and_do_no_harm() {
        for odd in [
            "[]",
            "null",
            r#"{"extensions":[]}"#,
            r#"{"extensions":{"settings":[1]}}"#,
            r#"{"extensions":{"settings":null,"ui":{"developer_mode":"yes"}}}"#,
        ] {
            let (_dir, profiles) = profiles(&[("Default/Preferences", odd)]);
            assert_eq!(profiles[0].extensions, [], "{odd}");
            assert!(!profiles[0].developer_mode && profiles[0].problem.is_none(), "{odd}");
        }
        for odd in [
            "3",
            "{}",
            r#"{"path":3,"location":"4","disable_reasons":["x",-1,0,1.5],"incognito":1,"manifest":[]}"#,
            r#"{"path":"","disable_reasons":-1}"#,
        ] {
            let preferences = format!(r#"{{"extensions":{{"settings":{{"a":{odd}}}}}}}"#);
            let (_dir, profiles) = profiles(&[("Default/Preferences", &preferences)]);
            let a = &profiles[0].extensions[0];
            assert!(a.path.is_none() && a.off.is_empty() && !a.off_the_record && a.name.is_none(), "{odd}: {a:?}");
        }
        let (_dir, profiles) = profiles(&[("Default/Preferences", "{\"half")]);
        assert!(profiles[0].problem.as_ref().unwrap().contains("Default/Preferences can't be read: it is not JSON"));
    }

    #[test]
    fn extensions_may_stand_in_either_file() {
        let (_dir, profiles) = profiles(&[
            ("Default/Preferences", r#"{"extensions":{"settings":{"a":{"incognito":true}}}}"#),
            ("Default/Secure Preferences", r#"{"extensions":{"settings":{"a":{"path":"/ext","location":4}}}}"#),
        ]);
        assert_eq!(profiles[0].extension("a").unwrap().path, Some("/ext".into()));
    }
}
