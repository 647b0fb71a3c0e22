//! Checks a registered host: the manifest, and the program that it names.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::files;
use crate::doctor::CheckStatus;
use crate::launch::find::{self, is_executable, is_ourselves};
use crate::launch::manifest;

/// The registration in one location.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// The manifest's path.
    pub(super) manifest: PathBuf,
    pub(super) state: ManifestState,
}

/// The content of a manifest's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ManifestState {
    Missing,
    /// The path cannot be read, for this reason.
    Unreadable(String),
    /// Something that is not navtrace's.
    Foreign,
    Ours {
        program: PathBuf,
        host: HostProgram,
    },
}

/// The program that a manifest names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HostProgram {
    /// This navtrace.
    This,
    /// Another navtrace, of this version.
    Other(String),
    Missing,
    /// Not an absolute path, which Chromium refuses.
    Relative,
    NotExecutable,
    /// A program that does not identify itself as navtrace.
    Unknown,
    /// A program that was not started, because another user could have named or changed it.
    Unsafe,
}

impl Registration {
    /// Reads a manifest, and asks the program that it names for its version.
    pub(super) fn read(path: &Path) -> Self {
        let state = match files::read(path, manifest::MAX_SIZE) {
            Ok(bytes) => manifest::program(&bytes).map_or(ManifestState::Foreign, |program| {
                let host = HostProgram::identify(&program, path);
                ManifestState::Ours { program, host }
            }),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                ManifestState::Missing
            }
            Err(error) => ManifestState::Unreadable(error.to_string()),
        };
        Self { manifest: path.into(), state }
    }

    /// Returns the version of the host that would be started, or `None` if none would be.
    pub(super) fn version(&self) -> Option<&str> {
        match &self.state {
            ManifestState::Ours { host: HostProgram::This, .. } => Some(env!("CARGO_PKG_VERSION")),
            ManifestState::Ours { host: HostProgram::Other(version), .. } => Some(version),
            _ => None,
        }
    }

    /// Finds a file that other users cannot read or start, or a directory that they cannot enter.
    pub(super) fn hidden_from_others(&self) -> Option<&Path> {
        let ManifestState::Ours { program, .. } = &self.state else { return None };
        files::hidden_from_others(&self.manifest, 0o004).or_else(|| files::hidden_from_others(program, 0o001))
    }

    /// Describes the registration and how to repair it with the command `repair`. Returns `None` if there is none.
    pub(super) fn describe(&self, repair: &str) -> Option<(CheckStatus, String)> {
        let manifest = self.manifest.display();
        let (program, host) = match &self.state {
            ManifestState::Missing => return None,
            ManifestState::Unreadable(error) => {
                let text = format!("{manifest} can't be read: {error}: move that file away, then run `{repair}`");
                return Some((CheckStatus::Fail, text));
            }
            ManifestState::Foreign => {
                let text = format!(
                    "{manifest} is not navtrace's, so the extension has no host: move that file away, then run `{repair}`"
                );
                return Some((CheckStatus::Fail, text));
            }
            ManifestState::Ours { program, host } => (program.display(), host),
        };
        let own = env!("CARGO_PKG_VERSION");
        let (status, text) = match host {
            HostProgram::This => (CheckStatus::Ok, format!(", which is this navtrace ({own})")),
            HostProgram::Other(version) if version == own => (CheckStatus::Ok, format!(" ({version})")),
            HostProgram::Other(version) => (
                CheckStatus::Warn,
                format!(
                    " is navtrace {version}, and this one is {own}: run `{repair}` with the version that you want to use"
                ),
            ),
            HostProgram::Missing => (CheckStatus::Fail, format!(" is not there any more: run `{repair}`")),
            HostProgram::Relative => (CheckStatus::Fail, format!(" is not an absolute path: run `{repair}`")),
            HostProgram::NotExecutable => {
                (CheckStatus::Fail, format!(" is not an executable file: make it one, or run `{repair}`"))
            }
            HostProgram::Unsafe => {
                let text = " can be changed by other users, so its version was not checked";
                (CheckStatus::Warn, text.to_owned())
            }
            HostProgram::Unknown => {
                (CheckStatus::Fail, format!(" does not say by `--version` that it is navtrace: run `{repair}`"))
            }
        };
        Some((status, format!("{program}{text}")))
    }
}

impl HostProgram {
    /// Identifies the program that a manifest names.
    fn identify(program: &Path, manifest: &Path) -> Self {
        if !program.is_absolute() {
            Self::Relative
        } else if is_ourselves(program) {
            Self::This
        } else if !program.exists() {
            Self::Missing
        } else if !is_executable(program) {
            Self::NotExecutable
        } else if ![program, manifest].into_iter().all(is_protected) {
            Self::Unsafe
        } else {
            let line = find::version(program);
            let version = line.as_deref().and_then(|line| line.strip_prefix("navtrace "));
            version.map_or(Self::Unknown, |version| Self::Other(version.to_owned()))
        }
    }
}

/// Returns whether only this user and root can change a file. Doctor starts no other program, least of all as root.
fn is_protected(path: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::metadata(path).is_ok_and(|data| [0, user].contains(&data.uid()) && data.mode() & 0o002 == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(dir: &Path, name: &str, script: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_kinds_of_programs_are_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        let host = |program: &Path| {
            fs::write(&path, manifest::render(program).unwrap()).unwrap();
            match Registration::read(&path).state {
                ManifestState::Ours { host, .. } => host,
                state => panic!("{state:?}"),
            }
        };
        assert_eq!(host(&std::env::current_exe().unwrap()), HostProgram::This);
        assert_eq!(
            host(&program(dir.path(), "other", "echo navtrace 9.8", 0o755)),
            HostProgram::Other("9.8".to_owned())
        );
        assert_eq!(host(&program(dir.path(), "silent", "", 0o755)), HostProgram::Unknown);
        assert_eq!(host(&program(dir.path(), "fails", "echo a browser; exit 3", 0o755)), HostProgram::Unknown);
        assert_eq!(host(&program(dir.path(), "everybodys", "echo navtrace 9.8", 0o777)), HostProgram::Unsafe);
        assert_eq!(host(&program(dir.path(), "text", "", 0o644)), HostProgram::NotExecutable);
        assert_eq!(host(dir.path()), HostProgram::NotExecutable);
        assert_eq!(host(&dir.path().join("gone")), HostProgram::Missing);
        assert_eq!(host(Path::new("navtrace")), HostProgram::Relative);
    }

    #[test]
    fn other_files_are_not_taken_for_a_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        assert_eq!(Registration::read(&path).state, ManifestState::Missing);
        for foreign in ["", "{", "[]", r#"{"name":"dev.navtrace.host","path":"/bin/true","allowed_origins":["*"]}"#] {
            fs::write(&path, foreign).unwrap();
            assert_eq!(Registration::read(&path).state, ManifestState::Foreign, "{foreign}");
        }
        fs::write(&path, vec![b' '; 100_000]).unwrap();
        assert_eq!(
            Registration::read(&path).state,
            ManifestState::Unreadable("it has more than 65536 bytes".to_owned())
        );
        assert_eq!(
            Registration::read(dir.path()).state,
            ManifestState::Unreadable("it is not a plain file".to_owned())
        );
    }

    #[test]
    fn files_that_other_users_cannot_reach_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        let binary = program(dir.path(), "navtrace", "echo navtrace 9.8", 0o755);
        fs::write(&path, manifest::render(&binary).unwrap()).unwrap();
        let registration = Registration::read(&path);
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(&path, 0o644);
        set(dir.path(), 0o700);
        assert_eq!(registration.hidden_from_others(), Some(dir.path()));
        set(dir.path(), 0o755);
        assert_eq!(registration.hidden_from_others(), None);
        set(&binary, 0o750);
        assert_eq!(registration.hidden_from_others(), Some(&*binary));
        set(&path, 0o600);
        assert_eq!(registration.hidden_from_others(), Some(&*path));
    }
}
