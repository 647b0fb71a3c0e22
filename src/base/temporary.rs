//! Temporary directories. Each is locked by the processes that use it, so that a later start can remove what killed processes have left behind.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use tempfile::{Builder, TempDir};

use crate::base::file_lock;

/// Longest parent of a directory for sockets, in bytes.
///
/// A socket's path has 103 bytes at most on macOS (107 on Linux). The directory's name and the socket's take the rest.
const MAX_PARENT: usize = 60;

/// Directory for temporary files when TMPDIR names no absolute path.
const FALLBACK: &str = "/tmp";

/// The beginning of every directory's name.
const PREFIX: &str = "navtrace-";

/// The lowest file descriptor that the browser may have of a lock. The lower ones can have a meaning for it.
const FIRST_COPY: RawFd = 10;

/// The file in a directory that its users keep locked. Only directories that have one are swept.
const LOCK: &str = ".navtrace-lock";

/// A directory with mode 0700, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    dir: TempDir,
    /// `None` where the file system has no locks.
    lock: Option<File>,
}

impl TemporaryDirectory {
    /// Creates a directory whose path is short enough for sockets in it. `kind` becomes part of its name.
    ///
    /// Its parent is `XDG_RUNTIME_DIR` (private, usually in memory) if that is usable, else the temporary directory.
    pub(crate) fn create(kind: &str) -> io::Result<Self> {
        for parent in parents() {
            if let Ok(dir) = Self::create_in(&parent, kind) {
                return Ok(dir);
            }
        }
        Self::create_in(Path::new(FALLBACK), kind)
    }

    /// Creates a directory in `parent`.
    pub(crate) fn create_in(parent: &Path, kind: &str) -> io::Result<Self> {
        loop {
            let mut builder = Builder::new();
            let prefix = format!("{PREFIX}{kind}-");
            let dir = builder.prefix(&prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)?;
            let path = dir.path().join(LOCK);
            let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            match made.and_then(|file| Ok((file_lock::try_lock(&file)?, file))) {
                // Between its creation and its lock another process may have swept the directory.
                Ok((true, file)) if file.metadata()?.nlink() > 0 => return Ok(Self { dir, lock: Some(file) }),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::debug!("{} can't be locked, so it is not swept: {error}", dir.path().display());
                    let _ = fs::remove_file(path);
                    return Ok(Self { dir, lock: None });
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Removes the directory, and retries until `timeout` is over, since a browser may still be writing there.
    pub(crate) fn remove(self, timeout: Duration) {
        let dir = self.dir.keep();
        let deadline = Instant::now() + timeout;
        while remove(&dir).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Leaves the removal to the forked process that has the same directory. This process, which is about to become the browser, keeps it locked
    /// as well, for as long as the browser runs.
    pub(crate) fn leave(self) {
        let _ = self.dir.keep();
        // Without a copy that survives exec, the directory may be removed if the other process is killed.
        let copy = self.lock.as_ref().map(|lock| rustix::io::fcntl_dupfd_cloexec(lock, FIRST_COPY));
        if let Some(Ok(copy)) = copy {
            let _ = rustix::io::fcntl_setfd(&copy, FdFlags::empty());
            std::mem::forget(copy);
        }
    }
}

/// Returns TMPDIR, or `/tmp` when TMPDIR is unset, empty or relative.
pub(crate) fn root() -> PathBuf {
    let named = std::env::temp_dir();
    if named.is_absolute() { named } else { PathBuf::from(FALLBACK) }
}

/// Returns whether a path has the name of a temporary directory of this kind.
pub(crate) fn has_kind(path: &Path, kind: &str) -> bool {
    let name = path.file_name().map_or(&[][..], |name| name.as_encoded_bytes());
    name.starts_with(format!("{PREFIX}{kind}-").as_bytes())
}

/// Returns whether a path leads to a temporary directory of this kind in which nobody else can change anything.
pub(crate) fn is_private(path: &Path, kind: &str) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let is_ours = |data: fs::Metadata| data.is_dir() && data.uid() == user && data.mode() & 0o777 == 0o700;
    has_kind(path, kind) && fs::symlink_metadata(path).is_ok_and(is_ours)
}

/// Removes the directories that no process uses.
pub(crate) fn sweep() {
    // Their locks are kept until they are removed.
    for (dir, _lock) in abandoned() {
        if let Err(error) = remove(&dir) {
            tracing::debug!("{} can't be removed: {error}", dir.display());
        }
    }
}

/// Returns the directories that no process uses, each with its lock.
pub(crate) fn abandoned() -> Vec<(PathBuf, File)> {
    let user = rustix::process::geteuid().as_raw();
    let mut roots: Vec<PathBuf> = parents().chain([root()]).collect();
    roots.sort();
    roots.dedup();
    let entries = roots.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten()).filter_map(Result::ok);
    let ours = entries.filter(|entry| {
        entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == user)
    });
    let unused = ours.filter_map(|entry| {
        let lock = file_lock::open(&entry.path().join(LOCK)).ok()?;
        file_lock::try_lock(&lock).is_ok_and(|is_free| is_free).then(|| (entry.path(), lock))
    });
    unused.collect()
}

/// Returns the usable parents for directories with sockets, the best first.
fn parents() -> impl Iterator<Item = PathBuf> {
    let fits = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() <= MAX_PARENT;
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    [runtime_dir, Some(root())].into_iter().flatten().filter(fits)
}

/// Removes a directory, its lock last: without one it would never be swept.
fn remove(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        let removed =
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_locked_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let dir = TemporaryDirectory::create_in(parent.path(), "test").unwrap();
        let path = dir.path().to_owned();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with("navtrace-test-"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let other = file_lock::open(&path.join(LOCK)).unwrap();
        assert!(!file_lock::try_lock(&other).unwrap());
        fs::create_dir(path.join("folder")).unwrap();
        dir.remove(Duration::ZERO);
        assert!(!path.exists());
        let dropped = TemporaryDirectory::create_in(parent.path(), "test").unwrap().path().to_owned();
        assert!(!dropped.exists());
    }
}
