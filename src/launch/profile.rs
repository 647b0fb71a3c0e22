//! Prepares a profile: permissions for the extension, and the registration of the host.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::launch::{extension, manifest};

/// The largest preferences file that is read, in bytes.
pub(crate) const MAX_PREFERENCES: u64 = 64 * 1024 * 1024;

/// Preferences that were moved aside because they could not be merged. Displays as a sentence for the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PreferencesBackup {
    original: PathBuf,
    backup: PathBuf,
}

impl fmt::Display for PreferencesBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (original, backup) = (self.original.display(), self.backup.display());
        write!(f, "{original} is not a valid preferences file: it was moved to {backup} and replaced")
    }
}

/// Prepares the user data directory `dir` for the host at `host`, if there is one, and the profile in it (by default `Default`) for the
/// extension.
///
/// Returns the backup if the existing preferences could not be used.
pub(crate) fn prepare(
    dir: &Path,
    profile: Option<&OsStr>,
    host: Option<&Path>,
) -> Result<Option<PreferencesBackup>, Failure> {
    let failed = |action: &'static str, path: &Path| {
        let message = format!("the profile {} can't be prepared: {action} {}", dir.display(), path.display());
        let failure = Failure::new(ExitCode::Failure, message).hint("name a profile that you may write to");
        move |error: io::Error| failure.because(error)
    };
    let make = |folder: &Path| files::make_directory(folder).map_err(failed("can't create", folder));
    if let Some(binary) = host {
        let hosts = dir.join(manifest::PROFILE_FOLDER);
        make(&hosts)?;
        let path = hosts.join(manifest::file_name());
        let rendered = manifest::render(binary).ok_or_else(|| {
            failed("can't name the host in", &path)(io::Error::other(format!("{} is not UTF-8", binary.display())))
        })?;
        files::write_if_changed(&path, rendered.as_bytes()).map_err(failed("can't write", &path))?;
    }

    let folder = dir.join(profile.unwrap_or(OsStr::new("Default")));
    make(&folder)?;
    let path = folder.join("Preferences");
    let existing = match files::read(&path, MAX_PREFERENCES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => b"{}".to_vec(),
        Err(error) => return Err(failed("can't read", &path)(error)),
    };
    let (preferences, backup) = match allow_extension(&existing) {
        Merge::Unchanged => return Ok(None),
        Merge::Changed(preferences) => (preferences, None),
        Merge::Impossible => {
            let backup = move_aside(&path).map_err(failed("can't keep aside", &path))?;
            let Merge::Changed(preferences) = allow_extension(b"{}") else { return Ok(None) };
            (preferences, Some(PreferencesBackup { original: path.clone(), backup }))
        }
    };
    files::write_if_changed(&path, preferences.to_string().as_bytes()).map_err(failed("can't write", &path))?;
    Ok(backup)
}

/// The result of adding the extension's permissions to preferences.
enum Merge {
    Unchanged,
    Changed(Value),
    /// The preferences are not what Chromium writes.
    Impossible,
}

/// Allows the extension in Incognito, and turns developer mode on unless the user has turned it off: without it Chromium
/// disables an unpacked extension when it is reloaded.
fn allow_extension(preferences: &[u8]) -> Merge {
    let Ok(Value::Object(mut preferences)) = serde_json::from_slice(preferences) else {
        return Merge::Impossible;
    };
    let Some(settings) = member(&mut preferences, &["extensions", "settings", extension::ID]) else {
        return Merge::Impossible;
    };
    let allowed = settings.insert("incognito".to_owned(), Value::Bool(true));
    let Some(ui) = member(&mut preferences, &["extensions", "ui"]) else {
        return Merge::Impossible;
    };
    let is_chosen = ui.contains_key("developer_mode");
    ui.entry("developer_mode").or_insert(Value::Bool(true));
    if is_chosen && allowed == Some(Value::Bool(true)) {
        return Merge::Unchanged;
    }
    Merge::Changed(Value::Object(preferences))
}

/// Returns the object at a path, creating missing objects. Returns `None` if the path contains a value that is not an object.
fn member<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(object, |object, key| object.entry(*key).or_insert_with(|| Value::Object(Map::new())).as_object_mut())
}

/// Links a file to a second, unused name, before the first is written anew. Returns the second.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let backup = path.with_file_name(format!("Preferences.kept-{number}"));
        match fs::hard_link(path, &backup) {
            Ok(()) => return Ok(backup),
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

    fn prepared(preferences: &str) -> (tempfile::TempDir, Option<PreferencesBackup>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("Default")).unwrap();
        fs::write(dir.path().join("Default/Preferences"), preferences).unwrap();
        let kept = prepare(dir.path(), None, Some(Path::new(BINARY))).unwrap();
        (dir, kept)
    }

    const SEEDED: &str = r#"{"extensions":{"settings":{"aalhdoofknlgjgclnnkjbegphicaohme":{"incognito":true}},"ui":{"developer_mode":true}}}"#;

    #[test]
    fn an_empty_profile_gets_both_files_with_private_modes() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("new/profile");
        assert_eq!(prepare(&profile, None, Some(Path::new(BINARY))).unwrap(), None);
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
    fn the_named_profile_gets_the_permission() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path(), Some(OsStr::new("Work")), Some(Path::new(BINARY))).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("Work/Preferences")).unwrap(), SEEDED);
        assert!(!dir.path().join("Default").exists());
    }

    #[test]
    fn an_earlier_backup_is_not_overwritten() {
        let (dir, _) = prepared("{one");
        fs::write(dir.path().join("Default/Preferences"), "{two").unwrap();
        prepare(dir.path(), None, Some(Path::new(BINARY))).unwrap();
        let kept = |number| fs::read_to_string(dir.path().join(format!("Default/Preferences.kept-{number}"))).unwrap();
        assert_eq!((kept(1), kept(2)), ("{one".to_owned(), "{two".to_owned()));
    }

    #[test]
    fn existing_preferences_are_merged() {
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
    fn unusable_preferences_are_backed_up() {
        for broken in ["{\"homepage\":", "[]", "", r#"{"extensions":[]}"#, "\u{0}"] {
            let (dir, kept) = prepared(broken);
            let backup = kept.unwrap().backup;
            assert_eq!(backup, dir.path().join("Default/Preferences.kept-1"));
            assert_eq!(fs::read_to_string(&backup).unwrap(), broken);
            assert_eq!(preferences(dir.path()), SEEDED);
        }
    }

    #[test]
    fn unchanged_preferences_are_not_written_again() {
        let (dir, _) = prepared("{}");
        let written = fs::metadata(dir.path().join("Default/Preferences")).unwrap().modified().unwrap();
        prepare(dir.path(), None, Some(Path::new(BINARY))).unwrap();
        let after = fs::metadata(dir.path().join("Default/Preferences")).unwrap().modified().unwrap();
        assert_eq!(written, after);
        assert_eq!(fs::read_dir(dir.path().join("Default")).unwrap().count(), 1);
    }

    #[test]
    fn a_profile_that_is_a_file_is_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = prepare(file.path(), None, Some(Path::new(BINARY))).unwrap_err().to_string();
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
