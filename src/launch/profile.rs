//! Prepares a profile: what the extension may do there, and the host's registration.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::launch::{extension, manifest};

/// The most that preferences have.
pub(crate) const LIMIT: u64 = 64 * 1024 * 1024;

/// Why a profile can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the profile {} can't be prepared: {action} {}: {source}; name a profile that you may write to", .profile.display(), .path.display())]
pub(crate) struct ProfileError {
    profile: PathBuf,
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::new(ExitCode::Failure, error)
    }
}

/// What was kept aside because it could not be merged with, which the user is told of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptAside {
    /// Where it was.
    pub(crate) original: PathBuf,
    /// Where it is now.
    pub(crate) kept: PathBuf,
}

impl fmt::Display for KeptAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (original, kept) = (self.original.display(), self.kept.display());
        write!(f, "{original} was not what Chromium writes and has been kept as {kept}")
    }
}

/// Prepares the user data directory `dir`, of which the browser will use `profile` (`Default` unless it was told otherwise), for the host
/// at `binary`, and returns the preferences that had to be kept aside, if any.
///
/// # Errors
///
/// A [`ProfileError`] that names the file that could not be read or written.
pub(crate) fn prepare(dir: &Path, profile: Option<&OsStr>, binary: &Path) -> Result<Option<KeptAside>, ProfileError> {
    let within = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ProfileError { profile: dir.into(), action, path, source }
    };
    let hosts = dir.join(manifest::PROFILE_FOLDER);
    let folder = dir.join(profile.unwrap_or(OsStr::new("Default")));
    for folder in [&hosts, &folder] {
        files::make_directory(folder).map_err(within("can't create", folder))?;
    }

    let path = hosts.join(manifest::file_name());
    let rendered = manifest::render(binary).ok_or_else(|| {
        within("can't name the host in", &path)(io::Error::other(format!("{} is not UTF-8", binary.display())))
    })?;
    files::write_if_changed(&path, rendered.as_bytes()).map_err(within("can't write", &path))?;

    let path = folder.join("Preferences");
    let before = match files::read(&path, LIMIT) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(within("can't read", &path)(error)),
    };
    let (preferences, kept) = match before.as_deref().map_or_else(fresh, merge) {
        Merged::Already => return Ok(None),
        Merged::With(preferences) => (preferences, None),
        Merged::Impossible => {
            let kept = keep_aside(&path).map_err(within("can't keep aside", &path))?;
            let Merged::With(preferences) = fresh() else { return Ok(None) };
            (preferences, Some(KeptAside { original: path.clone(), kept }))
        }
    };
    files::write_if_changed(&path, preferences.to_string().as_bytes()).map_err(within("can't write", &path))?;
    Ok(kept)
}

/// What came of adding the permissions to preferences.
enum Merged {
    /// They were there.
    Already,
    /// They are there now, beside everything else.
    With(Value),
    /// The preferences are not what Chromium writes.
    Impossible,
}

fn fresh() -> Merged {
    allow(Map::new())
}

fn merge(bytes: &[u8]) -> Merged {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(preferences)) => allow(preferences),
        _ => Merged::Impossible,
    }
}

/// Lets the extension act in off-the-record contexts, and come back when it is reloaded: an unpacked one does so in developer mode alone,
/// which stays off where the user has turned it off.
fn allow(mut preferences: Map<String, Value>) -> Merged {
    let Some(settings) = member(&mut preferences, &["extensions", "settings", extension::ID]) else {
        return Merged::Impossible;
    };
    let allowed = settings.insert("incognito".to_owned(), Value::Bool(true));
    let Some(ui) = member(&mut preferences, &["extensions", "ui"]) else {
        return Merged::Impossible;
    };
    let chosen = ui.contains_key("developer_mode");
    ui.entry("developer_mode").or_insert(Value::Bool(true));
    if chosen && allowed == Some(Value::Bool(true)) {
        return Merged::Already;
    }
    Merged::With(Value::Object(preferences))
}

/// Finds the object at a path, and makes what is missing of it; `None` where something else stands.
fn member<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(object, |object, key| object.entry(*key).or_insert_with(|| Value::Object(Map::new())).as_object_mut())
}

/// Gives a file a second name that nothing had. The first one is about to be written anew.
fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let kept = path.with_file_name(format!("Preferences.kept-{number}"));
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BINARY: &str = "/usr/bin/navtrace";

    fn preferences(dir: &Path) -> String {
        fs::read_to_string(dir.join("Default/Preferences")).unwrap()
    }

    fn prepared(preferences: &str) -> (tempfile::TempDir, Option<KeptAside>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("Default")).unwrap();
        fs::write(dir.path().join("Default/Preferences"), preferences).unwrap();
        let kept = prepare(dir.path(), None, Path::new(BINARY)).unwrap();
        (dir, kept)
    }

    const SEEDED: &str = r#"{"extensions":{"settings":{"aalhdoofknlgjgclnnkjbegphicaohme":{"incognito":true}},"ui":{"developer_mode":true}}}"#;

    #[test]
    fn an_empty_profile_gets_both_files_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("new/profile");
        assert_eq!(prepare(&profile, None, Path::new(BINARY)).unwrap(), None);
        assert_eq!(preferences(&profile), SEEDED);
        let host = profile.join("NativeMessagingHosts/dev.navtrace.host.json");
        assert_eq!(fs::read_to_string(&host).unwrap(), manifest::render(Path::new(BINARY)).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&host), 0o600);
        assert_eq!(mode(&profile.join("Default/Preferences")), 0o600);
        assert_eq!(mode(&profile), 0o700);
        assert_eq!(mode(&profile.join("Default")), 0o700);
    }

    #[test]
    fn the_profile_that_the_browser_was_told_to_use_gets_the_permission() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path(), Some(OsStr::new("Work")), Path::new(BINARY)).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("Work/Preferences")).unwrap(), SEEDED);
        assert!(!dir.path().join("Default").exists());
    }

    #[test]
    fn what_was_kept_aside_stays() {
        let (dir, _) = prepared("{one");
        fs::write(dir.path().join("Default/Preferences"), "{two").unwrap();
        prepare(dir.path(), None, Path::new(BINARY)).unwrap();
        let kept = |number| fs::read_to_string(dir.path().join(format!("Default/Preferences.kept-{number}"))).unwrap();
        assert_eq!((kept(1), kept(2)), ("{one".to_owned(), "{two".to_owned()));
    }

    #[test]
    fn preferences_that_are_there_are_merged_with() {
        let (dir, kept) = prepared(
            r#"{"homepage":"http://h","extensions":{"settings":{"other":{"state":1}},"ui":{"developer_mode":false}}}"#,
        );
        assert_eq!(kept, None);
        assert_eq!(
            serde_json::from_str::<Value>(&preferences(dir.path())).unwrap(),
            serde_json::json!({
                "homepage": "http://h",
                "extensions": {
                    "ui": {"developer_mode": false},
                    "settings": {"other": {"state": 1}, extension::ID: {"incognito": true}},
                },
            })
        );
    }

    #[test]
    fn preferences_that_cannot_be_merged_with_are_kept_aside() {
        for broken in ["{\"homepage\":", "[]", "", r#"{"extensions":[]}"#, "\u{0}"] {
            let (dir, kept) = prepared(broken);
            let kept = kept.unwrap();
            assert_eq!(kept.kept, dir.path().join("Default/Preferences.kept-1"));
            assert_eq!(fs::read_to_string(&kept.kept).unwrap(), broken);
            assert_eq!(preferences(dir.path()), SEEDED);
        }
    }

    #[test]
    fn nothing_is_written_when_nothing_changes_and_nothing_half_written_stays() {
        let (dir, _) = prepared("{}");
        let written = fs::metadata(dir.path().join("Default/Preferences")).unwrap().modified().unwrap();
        prepare(dir.path(), None, Path::new(BINARY)).unwrap();
        let after = fs::metadata(dir.path().join("Default/Preferences")).unwrap().modified().unwrap();
        assert_eq!(written, after);
        assert_eq!(fs::read_dir(dir.path().join("Default")).unwrap().count(), 1);
    }

    #[test]
    fn a_profile_that_is_a_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = prepare(file.path(), None, Path::new(BINARY)).unwrap_err().to_string();
        let path = file.path().display();
        assert_eq!(
            error,
            format!(
                "the profile {path} can't be prepared: can't create {path}/NativeMessagingHosts: Not a directory (os error 20); name a profile \
                 that you may write to"
            )
        );
    }
}
