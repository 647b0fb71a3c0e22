//! Looks at what is there.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use crate::base::files::{self, Readers};
use crate::install::plan::{Condition, Present};
use crate::install::scope::Place;
use crate::launch::manifest;

/// Looks at what stands in the place of the manifest that is to name `binary`, and would be `rendered`.
pub(super) fn look(place: &Place, binary: &Path, rendered: &str, readers: Readers) -> Present {
    let path = &place.manifest;
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        // Where a file stands in the place of the directory, there is no manifest.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Present::Nothing;
        }
        Err(error) => return Present::Hidden(error.to_string()),
    };
    if data.is_symlink() {
        return Present::Foreign("a symbolic link");
    }
    if data.is_dir() {
        return Present::Foreign("a directory");
    }
    if !data.is_file() {
        return Present::Foreign("not a plain file");
    }
    match files::read(path, manifest::LIMIT) {
        Ok(bytes) => manifest::program(&bytes).map_or(Present::Foreign("something else's"), |program| {
            let current = files::is_written(path, rendered.as_bytes(), readers);
            Present::Ours { condition: condition(&program, binary), program, current }
        }),
        Err(error) => Present::Hidden(error.to_string()),
    }
}

fn condition(program: &Path, binary: &Path) -> Condition {
    if fs::canonicalize(program).is_ok_and(|program| program == binary) {
        Condition::This
    } else if program.is_file() {
        Condition::Other
    } else {
        Condition::Gone
    }
}

/// What keeps a directory from being written to.
#[derive(Debug)]
pub(super) struct Obstacle {
    path: PathBuf,
    error: io::Error,
}

impl Obstacle {
    /// Takes down what went wrong with a path.
    pub(super) fn new(path: &Path, error: io::Error) -> Self {
        Self { path: path.into(), error }
    }

    /// Whether somebody else may do it.
    pub(super) fn is_permission(&self) -> bool {
        self.error.kind() == ErrorKind::PermissionDenied
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be written: {}", self.path.display(), self.error)
    }
}

/// Finds out whether files can be put into a directory, which is made if need be: whether the nearest one that exists can be written to.
pub(super) fn obstacle(dir: &Path) -> Result<(), Obstacle> {
    let mut nearest = dir;
    while fs::symlink_metadata(nearest).is_err() {
        let Some(parent) = nearest.parent() else { break };
        nearest = parent;
    }
    let refused = |errno: Errno| Obstacle::new(nearest, errno.into());
    if !nearest.is_dir() {
        return Err(refused(Errno::NOTDIR));
    }
    rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).map_err(refused)
}
