//! Where what must outlive a process is kept: the state directory, which is the user's alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::files;

/// The directories of journals, of the spool, of trace files, and of browsers' profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    sessions: PathBuf,
    spool: PathBuf,
    traces: PathBuf,
    profiles: PathBuf,
}

impl State {
    /// Finds the user's state directory (`XDG_STATE_HOME`), and makes it.
    pub(crate) fn of_user() -> io::Result<Self> {
        let dir = Self::directory()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the user has no home directory"))?;
        Self::in_directory(&dir)
    }

    /// Where the user's state directory is or would be; `None` when the user has no home.
    pub(crate) fn directory() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("dev", "navtrace", "navtrace")?;
        Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned())
    }

    /// Uses a directory, and makes what is missing of it.
    pub(crate) fn in_directory(dir: &Path) -> io::Result<Self> {
        let [sessions, spool, traces, profiles] =
            ["sessions", "spool", "traces", "profiles"].map(|name| dir.join(name));
        let state = Self { sessions, spool, traces, profiles };
        files::make_directory(&state.sessions)?;
        files::make_directory(&state.spool)?;
        Ok(state)
    }

    /// Where the journals of sessions are.
    pub(crate) fn sessions(&self) -> &Path {
        &self.sessions
    }

    /// Where spans are that are still to be sent.
    pub(crate) fn spool(&self) -> &Path {
        &self.spool
    }

    /// Where profiles are that navtrace keeps for clients, one folder each. Not made here.
    pub(crate) fn profiles(&self) -> &Path {
        &self.profiles
    }

    /// Where the trace files of `navtrace run` are that have no other place. Made when it is asked for: most runs have a collector.
    pub(crate) fn traces(&self) -> io::Result<PathBuf> {
        files::make_directory(&self.traces)?;
        Ok(self.traces.clone())
    }
}
