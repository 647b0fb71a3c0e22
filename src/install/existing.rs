//! Reads the files and directories that an installation would change.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};
use crate::install::plan::{ExistingManifest, ManifestAction, NamedProgram};
use crate::install::scope::{InstallScope, ManifestLocation};
use crate::launch::manifest;

/// Reads the manifest at `path`. An installation would write `rendered`, which names the program `binary`.
pub(super) fn read_manifest(path: &Path, binary: &Path, rendered: &str, readers: Readers) -> ExistingManifest {
    if let Some(kind) = foreign_kind(path) {
        return ExistingManifest::Foreign(kind);
    }
    match files::read(path, manifest::MAX_SIZE) {
        Ok(bytes) => match manifest::program(&bytes) {
            Some(program) => {
                let is_current = files::is_written(path, rendered.as_bytes(), readers);
                ExistingManifest::Ours { names: named_program(&program, binary), program, is_current }
            }
            None => ExistingManifest::Foreign("a file of another program"),
        },
        // If a file is in place of the directory, there is no manifest.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            ExistingManifest::Missing
        }
        Err(error) => ExistingManifest::Unreadable(error.to_string()),
    }
}

/// Describes what is in place of a manifest, if it is not a plain file.
fn foreign_kind(path: &Path) -> Option<&'static str> {
    let data = fs::symlink_metadata(path).ok()?;
    if data.is_symlink() {
        Some("a symbolic link")
    } else if data.is_dir() {
        Some("a directory")
    } else {
        (!data.is_file()).then_some("not a plain file")
    }
}

fn named_program(program: &Path, binary: &Path) -> NamedProgram {
    if fs::canonicalize(program).is_ok_and(|program| program == binary) {
        NamedProgram::This
    } else if program.is_file() {
        NamedProgram::Other
    } else {
        NamedProgram::Missing
    }
}

/// An error about a path that cannot be written to.
#[derive(Debug)]
pub(super) struct WriteError {
    path: PathBuf,
    error: io::Error,
}

impl WriteError {
    pub(super) fn new(path: &Path, error: io::Error) -> Self {
        Self { path: path.into(), error }
    }

    /// Returns the failure of a command for all users that is not run as root.
    pub(super) fn needs_root(&self, scope: &InstallScope) -> Option<Failure> {
        (scope.is_system() && self.error.kind() == ErrorKind::PermissionDenied).then(|| {
            Failure::new(ExitCode::Failure, self)
                .hint("an installation for all users needs root: run this command as root")
        })
    }

    /// Returns the action for a manifest that this error keeps from being changed. `consequence` ends the sentence about the problem.
    pub(super) fn leave(&self, location: &ManifestLocation, consequence: &str) -> ManifestAction {
        ManifestAction::Leave(format!("for {}: {self}", location.browsers), format!("{self}, so {consequence}"))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be written: {}", self.path.display(), self.error)
    }
}

/// Replaces an action that would change a manifest, if the manifest's folder cannot be written to.
pub(super) fn check_action(
    action: ManifestAction,
    location: &ManifestLocation,
    scope: &InstallScope,
    consequence: &str,
) -> Result<ManifestAction, Failure> {
    match (&action, check_writable(location.folder())) {
        (ManifestAction::Write(..) | ManifestAction::Remove(_), Err(error)) => {
            error.needs_root(scope).map_or_else(|| Ok(error.leave(location, consequence)), Err)
        }
        _ => Ok(action),
    }
}

/// Checks that files can be created in a directory, or in the nearest existing directory above it.
pub(super) fn check_writable(dir: &Path) -> Result<(), WriteError> {
    let mut nearest = dir;
    while fs::symlink_metadata(nearest).is_err() {
        let Some(parent) = nearest.parent() else { break };
        nearest = parent;
    }
    let refused = |errno: Errno| WriteError::new(nearest, errno.into());
    if !nearest.is_dir() {
        return Err(refused(Errno::NOTDIR));
    }
    rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).map_err(refused)
}
