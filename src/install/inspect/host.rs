//! A registered host: what a manifest says, and whether what it names can be started and is navtrace.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::files;
use crate::launch::find::{self, is_executable, is_ourselves};
use crate::launch::manifest;

/// What is registered in one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The manifest's path.
    pub(crate) manifest: PathBuf,
    /// What is there.
    pub(crate) state: State,
}

/// What stands in the place of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Missing,
    /// What can't be read, and why.
    Unreadable(String),
    /// Something that is not navtrace's.
    Foreign,
    /// navtrace's manifest.
    Ours {
        /// The program that it names.
        program: PathBuf,
        /// What that is.
        binary: Binary,
    },
}

/// What a manifest's program is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// The one that runs here.
    This,
    /// Another navtrace, of the named version.
    Other(String),
    /// Not there.
    Gone,
    /// Not an absolute path, which is all that Chromium takes.
    Relative,
    /// Not an executable file.
    NotExecutable,
    /// A program that does not say that it is navtrace.
    Stranger,
    /// A program that was not asked, because another user could have named or changed it.
    Unasked,
}

impl Registration {
    /// Looks at a manifest, and asks the program that it names for its version.
    pub(crate) fn look(path: &Path) -> Self {
        let state = match files::read(path, manifest::LIMIT) {
            Ok(bytes) => manifest::program(&bytes).map_or(State::Foreign, |program| {
                let binary = Binary::look(&program, path);
                State::Ours { program, binary }
            }),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => State::Missing,
            Err(error) => State::Unreadable(error.to_string()),
        };
        Self { manifest: path.into(), state }
    }

    /// The version of the host that would be started; `None` when none would be.
    pub(crate) fn version(&self) -> Option<&str> {
        match &self.state {
            State::Ours { binary: Binary::This, .. } => Some(env!("CARGO_PKG_VERSION")),
            State::Ours { binary: Binary::Other(version), .. } => Some(version),
            _ => None,
        }
    }

    /// Finds what keeps other users from this registration: a file that they can't read or start, or a directory that they can't enter.
    pub(crate) fn hidden_from_others(&self) -> Option<&Path> {
        let State::Ours { program, .. } = &self.state else { return None };
        files::hidden_from_others(&self.manifest, 0o004).or_else(|| files::hidden_from_others(program, 0o001))
    }
}

impl Binary {
    fn look(program: &Path, manifest: &Path) -> Self {
        if !program.is_absolute() {
            Self::Relative
        } else if is_ourselves(program) {
            Self::This
        } else if !program.exists() {
            Self::Gone
        } else if !is_executable(program) {
            Self::NotExecutable
        } else if ![program, manifest].into_iter().all(is_in_good_hands) {
            Self::Unasked
        } else {
            // `--version` of navtrace prints its name and the version.
            let line = find::version(program);
            let version = line.as_deref().and_then(|line| line.strip_prefix("navtrace "));
            version.map_or(Self::Stranger, |version| Self::Other(version.to_owned()))
        }
    }
}

/// Whether nobody but this user and root can change a file: what others name is not to be started, least of all by root.
fn is_in_good_hands(path: &Path) -> bool {
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
    fn what_a_manifest_names_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        let binary = |program: &Path| {
            fs::write(&path, manifest::render(program).unwrap()).unwrap();
            match Registration::look(&path).state {
                State::Ours { binary, .. } => binary,
                state => panic!("{state:?}"),
            }
        };
        assert_eq!(binary(&std::env::current_exe().unwrap()), Binary::This);
        assert_eq!(binary(&program(dir.path(), "other", "echo navtrace 9.8", 0o755)), Binary::Other("9.8".to_owned()));
        assert_eq!(binary(&program(dir.path(), "silent", "", 0o755)), Binary::Stranger);
        assert_eq!(binary(&program(dir.path(), "fails", "echo a browser; exit 3", 0o755)), Binary::Stranger);
        assert_eq!(binary(&program(dir.path(), "everybodys", "echo navtrace 9.8", 0o777)), Binary::Unasked);
        assert_eq!(binary(&program(dir.path(), "text", "", 0o644)), Binary::NotExecutable);
        assert_eq!(binary(dir.path()), Binary::NotExecutable);
        assert_eq!(binary(&dir.path().join("gone")), Binary::Gone);
        assert_eq!(binary(Path::new("navtrace")), Binary::Relative);
    }

    #[test]
    fn what_is_no_manifest_of_navtraces_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        assert_eq!(Registration::look(&path).state, State::Missing);
        for foreign in ["", "{", "[]", r#"{"name":"dev.navtrace.host","path":"/bin/true","allowed_origins":["*"]}"#] {
            fs::write(&path, foreign).unwrap();
            assert_eq!(Registration::look(&path).state, State::Foreign, "{foreign}");
        }
        fs::write(&path, vec![b' '; 100_000]).unwrap();
        assert_eq!(Registration::look(&path).state, State::Unreadable("it has more than 65536 bytes".to_owned()));
        assert_eq!(Registration::look(dir.path()).state, State::Unreadable("it is not a plain file".to_owned()));
    }

    #[test]
    fn what_is_for_every_user_must_be_open_to_every_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.navtrace.host.json");
        let binary = program(dir.path(), "navtrace", "echo navtrace 9.8", 0o755);
        fs::write(&path, manifest::render(&binary).unwrap()).unwrap();
        let registration = Registration::look(&path);
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
