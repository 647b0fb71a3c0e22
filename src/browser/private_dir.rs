//! Temporary directories that only the user may enter.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

/// A Unix socket's path may have 107 bytes on Linux and 103 on macOS; a name of up to 16 comes after the directory's own.
const LONGEST_PARENT: usize = 60;

/// Where temporary files go when nothing else is named.
const FALLBACK: &str = "/tmp";

/// Makes a directory with mode 0700 whose path leaves room for a socket's name.
///
/// It stands in `XDG_RUNTIME_DIR` where there is one (a memory file system that is the user's alone), else in the temporary directory.
///
/// # Errors
///
/// Whatever keeps the directory from being made.
pub fn create(prefix: &str) -> io::Result<TempDir> {
    let fits = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() <= LONGEST_PARENT;
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = [runtime_dir, Some(temporary())];
    for parent in candidates.into_iter().flatten().filter(fits) {
        if let Ok(dir) = create_in(&parent, prefix) {
            return Ok(dir);
        }
    }
    create_in(Path::new(FALLBACK), prefix)
}

/// The directory for what is temporary: TMPDIR, unless it is unset, empty or relative.
#[must_use]
pub fn temporary() -> PathBuf {
    let named = std::env::temp_dir();
    if named.is_absolute() { named } else { PathBuf::from(FALLBACK) }
}

/// Makes a directory with mode 0700 in `parent`.
///
/// # Errors
///
/// Whatever keeps the directory from being made.
pub fn create_in(parent: &Path, prefix: &str) -> io::Result<TempDir> {
    Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
}
