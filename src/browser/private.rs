//! Files and directories that are the user's alone.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
pub fn temporary_directory(prefix: &str) -> io::Result<TempDir> {
    let fits = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() <= LONGEST_PARENT;
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = [runtime_dir, Some(temporary_root())];
    for parent in candidates.into_iter().flatten().filter(fits) {
        if let Ok(dir) = temporary_directory_in(&parent, prefix) {
            return Ok(dir);
        }
    }
    temporary_directory_in(Path::new(FALLBACK), prefix)
}

/// The directory for what is temporary: TMPDIR, unless it is unset, empty or relative.
#[must_use]
pub fn temporary_root() -> PathBuf {
    let named = std::env::temp_dir();
    if named.is_absolute() { named } else { PathBuf::from(FALLBACK) }
}

/// Makes a directory with mode 0700 in `parent`.
///
/// # Errors
///
/// Whatever keeps the directory from being made.
pub fn temporary_directory_in(parent: &Path, prefix: &str) -> io::Result<TempDir> {
    Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
}

/// Finds what keeps other users from a file that they need `bit` of (of those for others: 4 to read it, 1 to start it): the file, or a
/// directory that they can't enter.
#[must_use]
pub fn hidden_from_others(path: &Path, bit: u32) -> Option<&Path> {
    let lacks = |path: &Path, bit| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & bit == 0);
    if lacks(path, bit) { Some(path) } else { path.ancestors().skip(1).find(|dir| lacks(dir, 0o001)) }
}

/// Makes a directory, and those above it, that only the user may enter.
///
/// # Errors
///
/// Whatever keeps it from being made.
pub fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Who may read what is written. Writing is for its owner in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// The user alone.
    User,
    /// Everybody on this machine.
    Everybody,
}

impl Readers {
    fn file_mode(self) -> u32 {
        if self == Self::User { 0o600 } else { 0o644 }
    }

    fn directory_mode(self) -> u32 {
        if self == Self::User { 0o700 } else { 0o755 }
    }
}

/// Makes a directory, and those above it, and adds those that were not there to `made`, the outermost first.
///
/// # Errors
///
/// Whatever keeps one from being made; `made` has those before it.
pub fn make_directories(dir: &Path, readers: Readers, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_directories(parent, readers, made)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        result => result?,
    }
    made.push(dir.into());
    // The mode of a new directory is less than was asked for where the umask says so.
    fs::set_permissions(dir, Permissions::from_mode(readers.directory_mode()))
}

/// Writes a file of the user's own in one step, so that nobody ever reads half of it.
///
/// # Errors
///
/// Whatever keeps it from being written; the file is then as it was.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_written(path, bytes, Readers::User) { Ok(()) } else { write(path, bytes, Readers::User) }
}

/// Tells whether a file has this content, and may be read by everybody who shall. What is no plain file is not opened: a pipe would be waited for.
#[must_use]
pub fn is_written(path: &Path, bytes: &[u8], readers: Readers) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let is_readable = readers == Readers::User || data.permissions().mode() & 0o777 == readers.file_mode();
    data.is_file() && is_readable && fs::read(path).is_ok_and(|current| current == bytes)
}

/// Writes a file in one step, so that nobody ever reads half of it.
///
/// # Errors
///
/// Whatever keeps it from being written; the file is then as it was.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file =
        Builder::new().prefix(".navtrace-").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(readers.file_mode()))?;
    file.persist(path)?;
    Ok(())
}

/// Removes a directory that a browser has just been using. Its processes may still be writing there, so it is tried again until `patience` is
/// at its end; what is left then stays.
pub fn remove_directory(dir: &Path, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return,
        }
    }
}
