//! Files and directories that are the user's alone.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::{Builder, TempDir};

/// A Unix socket's path may have 107 bytes on Linux and 103 on macOS; a name of up to 16 comes after the directory's own.
const LONGEST_PARENT: usize = 60;

/// Where temporary files go when nothing else is named.
const FALLBACK: &str = "/tmp";

/// Makes a directory with mode 0700 whose path leaves room for a socket's name.
///
/// It stands in `XDG_RUNTIME_DIR` where there is one (a memory file system that is the user's alone), else in the temporary directory.
pub(crate) fn temporary_directory(prefix: &str) -> io::Result<TempDir> {
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
pub(crate) fn temporary_root() -> PathBuf {
    let named = std::env::temp_dir();
    if named.is_absolute() { named } else { PathBuf::from(FALLBACK) }
}

/// Makes a directory with mode 0700 in `parent`.
pub(crate) fn temporary_directory_in(parent: &Path, prefix: &str) -> io::Result<TempDir> {
    Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
}

/// Finds what keeps other users from a file that they need `bit` of (of those for others: 4 to read it, 1 to start it): the file, or a
/// directory that they can't enter.
pub(crate) fn hidden_from_others(path: &Path, bit: u32) -> Option<&Path> {
    let lacks = |path: &Path, bit| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & bit == 0);
    if lacks(path, bit) { Some(path) } else { path.ancestors().skip(1).find(|dir| lacks(dir, 0o001)) }
}

/// Makes a directory, and those above it, that only the user may enter.
pub(crate) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Who may read what is written. Writing is for its owner in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
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
pub(crate) fn make_directories(dir: &Path, readers: Readers, made: &mut Vec<PathBuf>) -> io::Result<()> {
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
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_written(path, bytes, Readers::User) { Ok(()) } else { write(path, bytes, Readers::User) }
}

/// Tells whether a file has this content, and may be read by everybody who shall. What is no plain file is not opened: a pipe would be waited for.
pub(crate) fn is_written(path: &Path, bytes: &[u8], readers: Readers) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let is_readable = readers == Readers::User || data.permissions().mode() & 0o777 == readers.file_mode();
    data.is_file() && is_readable && fs::read(path).is_ok_and(|current| current == bytes)
}

/// Writes a file in one step, so that nobody ever reads half of it.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
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
pub(crate) fn remove_directory(dir: &Path, patience: Duration) {
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

/// Reads a plain file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads JSON from a file of at most `limit` bytes; `None` when there is no such file.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(crate) fn read_json(path: &Path, limit: u64) -> Result<Option<Value>, String> {
    let bytes = match read(path, limit) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("it is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(read_json(&path, 10), Ok(None));
        assert_eq!(read_json(&path.join("below"), 10), Ok(None));
        fs::write(&path, "[1, 2, 3 ]").unwrap();
        assert_eq!(read_json(&path, 10), Ok(Some(serde_json::json!([1, 2, 3]))));
        assert_eq!(read_json(&path, 9), Err("it has more than 9 bytes".to_owned()));
        assert_eq!(read_json(dir.path(), 9), Err("it is not a plain file".to_owned()));
        assert_eq!(read_json(Path::new("/dev/zero"), 9), Err("it is not a plain file".to_owned()));
        fs::write(&path, "{").unwrap();
        assert!(read_json(&path, 9).unwrap_err().starts_with("it is not JSON: EOF"));
        fs::write(&path, "[".repeat(10_000)).unwrap();
        assert!(read_json(&path, 10_000).unwrap_err().starts_with("it is not JSON: recursion limit"));
    }
}
