//! The user's state directory, which keeps what must outlive a process.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::files;

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
        let dirs = directories::ProjectDirs::from("dev", "navtrace", "navtrace")?;
        Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned())
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
