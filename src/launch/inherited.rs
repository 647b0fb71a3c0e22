//! The files that this process was given by whoever started it, told apart from its own: whatever navtrace opens is closed on exec, and what
//! came through an exec can't be marked so.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::FdFlags;

/// Tells whether a file stands at this number and was given to this process.
pub(super) fn is_given(fd: RawFd) -> bool {
    // SAFETY: the number is looked up in this call alone, and one that is not in use is an error.
    let flags = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) });
    flags.is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// Closes everything that was given but the standard streams.
pub(super) fn close() {
    let Ok(entries) = fs::read_dir("/dev/fd") else {
        return;
    };
    let open: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > libc::STDERR_FILENO && is_given(*fd)) {
        // SAFETY: nothing here owns a file that was given.
        unsafe { libc::close(fd) };
    }
}
