//! Reads and writes files safely: private modes, atomic writes, size limits.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tempfile::Builder;

use crate::base::{lock, lock_within};

/// Returns the path that denies other users access to `path`: the file itself or a directory above it. `None` when they have access.
///
/// `bit` is the permission that they need: 4 to read the file, 1 to execute it.
pub(crate) fn hidden_from_others(path: &Path, bit: u32) -> Option<&Path> {
    let lacks = |path: &Path, bit| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & bit == 0);
    if lacks(path, bit) { Some(path) } else { path.ancestors().skip(1).find(|dir| lacks(dir, 0o001)) }
}

/// Creates a directory and its parents with mode 0700.
pub(crate) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Who may read a file that navtrace writes. Only its owner may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone.
    User,
    /// Every user of the machine.
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

/// Creates a directory and its parents, and adds each new one to `made`, the outermost first.
pub(crate) fn make_directories(dir: &Path, readers: Readers, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_directories(parent, readers, made)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        // Another process created it meanwhile.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        result => result?,
    }
    made.push(dir.into());
    // The umask may have removed permissions from the new directory.
    fs::set_permissions(dir, Permissions::from_mode(readers.directory_mode()))
}

/// Writes a private file, atomically, unless it has this content already.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_written(path, bytes, Readers::User) { Ok(()) } else { write(path, bytes, Readers::User) }
}

/// Returns whether a file has this content and lets `readers` read it. Opens regular files only, since a pipe would block.
pub(crate) fn is_written(path: &Path, bytes: &[u8], readers: Readers) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let is_readable = readers == Readers::User || data.permissions().mode() & 0o777 == readers.file_mode();
    data.is_file() && is_readable && fs::read(path).is_ok_and(|current| current == bytes)
}

/// Held while a file is written, which has a temporary name until it is complete.
static WRITING: Mutex<()> = Mutex::new(());

/// Waits up to `timeout` until no file is being written, and lets none be written until this process ends.
pub(crate) fn stop_writing(timeout: Duration) {
    std::mem::forget(lock_within(&WRITING, timeout));
}

/// Errors of making a file in a folder, or of renaming it, that say nothing about the file that it would replace.
const CANNOT_REPLACE: [ErrorKind; 3] =
    [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::ResourceBusy];

/// Writes a file atomically: readers see the old content or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    write_with(path, readers, |file| file.write_all(bytes))
}

/// Writes a file atomically, with what `contents` writes.
pub(crate) fn write_with(
    path: &Path,
    readers: Readers,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let _writing = lock(&WRITING);
    let folder = folder_of(path);
    // What tempfile opens and writes itself has errors with the temporary path, which the user does not know.
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = Builder::new().prefix(".navtrace-").make_in(folder, create)?;
    let mut buffer = BufWriter::new(file.as_file());
    contents(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    file.as_file().set_permissions(Permissions::from_mode(readers.file_mode()))?;
    file.persist(path)?;
    Ok(())
}

/// Writes a file that the user names. A link is followed, and what is no regular file, such as a pipe or a device, is written to and stays. So does
/// a file that can't be replaced, which readers may then see half written.
pub(crate) fn write_named(
    path: &Path,
    readers: Readers,
    contents: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() => match write_with(&path.canonicalize()?, readers, &contents) {
            // Its folder can't be written, or it is mounted into a container.
            Err(error) if CANNOT_REPLACE.contains(&error.kind()) => {}
            result => return result,
        },
        Err(_) if !path.is_symlink() => return write_with(path, readers, contents),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(readers.file_mode()).open(path)?;
    let mut buffer = BufWriter::new(file);
    contents(&mut buffer)?;
    buffer.flush()
}

/// Returns whether writing one of the paths would replace what the other has. Pipes and devices are never replaced.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some((folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Err(_), Err(_)) => place(one).is_some_and(|one| Some(one) == place(other)),
        _ => false,
    }
}

/// Returns the folder in which a file is.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a regular file of at most `limit` bytes.
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

/// Reads JSON from a file of at most `limit` bytes; `None` when there is no such file. An error says what is wrong with the file.
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
    fn only_small_regular_files_with_json_are_read() {
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
