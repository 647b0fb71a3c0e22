//! Locks on files, which end with the process that has them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Opens a file to lock it. Some file systems, such as NFS, need a writable file for an exclusive lock and a readable one for a shared lock.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Locks a file without waiting. Returns `false` if another process has it locked. An error says that the file system has no locks.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match rustix::io::retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks a file or folder until the file is dropped. Waits while another process has it locked.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive))?)
}

/// Locks a file together with others that do the same.
pub(crate) fn lock_shared(file: &File) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockShared))?)
}

/// Removes a file that no other process has locked. It stays locked until it is gone.
pub(crate) fn remove_unused(file: &File, path: &Path) {
    // Another process may have removed it, and a third one made a new file, before this lock.
    if try_lock(file).unwrap_or(false) && is_at(file, path) {
        // A file that can't be removed stays.
        let _ = std::fs::remove_file(path);
    }
}

/// Returns whether an open file is still the one at `path`.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}
