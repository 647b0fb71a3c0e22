//! The user's directories for what must outlive a process.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use rustix::fs::Access;

use crate::base::{files, temporary};

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("dev", "navtrace", "navtrace")
}

/// Returns the path of the user's cache directory, which may not exist yet; `None` when the user has no home.
pub(crate) fn cache() -> Option<PathBuf> {
    Some(writable(project()?.cache_dir(), "cache"))
}

/// Returns `dir`, or a folder of this user in the temporary directory if `dir` can't be created, as in a container with a read-only root.
fn writable(dir: &Path, kind: &str) -> PathBuf {
    let is_closed =
        |path: &Path| path.is_dir() && rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_err();
    if !dir.ancestors().find(|path| path.exists()).is_some_and(is_closed) {
        return dir.to_owned();
    }
    match private_in(&temporary::root()) {
        Ok(private) => private.join(kind).join("navtrace"),
        // The message for the user names the usual directory.
        Err(error) => {
            tracing::debug!("the temporary directory can't replace {}: {error}", dir.display());
            dir.to_owned()
        }
    }
}

/// Returns a folder that only this user can change. Creates it if it does not exist.
fn private_in(root: &Path) -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let dir = root.join(format!("navtrace-{user}"));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Another user may have made it before.
    let data = fs::symlink_metadata(&dir)?;
    if data.is_dir() && data.uid() == user && data.mode() & 0o777 == 0o700 {
        Ok(dir)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not private"))
    }
}

/// Paths of the folders in a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateDirectory {
    sessions: PathBuf,
    spool: PathBuf,
    traces: PathBuf,
    profiles: PathBuf,
}

impl StateDirectory {
    /// Finds the user's state directory (`XDG_STATE_HOME`) and creates it.
    pub(crate) fn of_user() -> io::Result<Self> {
        let dir =
            Self::path().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the user has no home directory"))?;
        Self::in_directory(&dir)
    }

    /// Returns the path of the user's state directory, which may not exist yet; `None` when the user has no home.
    pub(crate) fn path() -> Option<PathBuf> {
        let dirs = project()?;
        Some(writable(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()), "state"))
    }

    /// Uses `dir` and creates the folders for journals and for the spool in it.
    pub(crate) fn in_directory(dir: &Path) -> io::Result<Self> {
        let [sessions, spool, traces, profiles] =
            ["sessions", "spool", "traces", "profiles"].map(|name| dir.join(name));
        let state = Self { sessions, spool, traces, profiles };
        files::make_directory(&state.sessions)?;
        files::make_directory(&state.spool)?;
        Ok(state)
    }

    /// Folder of the sessions' journals.
    pub(crate) fn sessions(&self) -> &Path {
        &self.sessions
    }

    /// Folder of the spans that are still to be sent.
    pub(crate) fn spool(&self) -> &Path {
        &self.spool
    }

    /// Folder of the browser profiles that navtrace keeps for clients. Does not create it.
    pub(crate) fn profiles(&self) -> &Path {
        &self.profiles
    }

    /// Creates the folder of trace files that have no other place, and returns its path.
    pub(crate) fn traces(&self) -> io::Result<PathBuf> {
        files::make_directory(&self.traces)?;
        Ok(self.traces.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_can_change_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let dir = private_in(root.path()).unwrap();
        assert_eq!(private_in(root.path()).unwrap(), dir);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(private_in(root.path()).unwrap_err().to_string(), "it is not private");
        fs::remove_dir(&dir).unwrap();
        symlink(root.path(), &dir).unwrap();
        assert_eq!(private_in(root.path()).unwrap_err().to_string(), "it is not private");
    }
}
