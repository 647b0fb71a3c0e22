//! Tells when the browser has ended.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Pid;

/// Interval for checking whether the browser still runs, where no file descriptor tells.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// Tells when the browser, the parent of the process that watches, has ended.
#[derive(Debug)]
pub(super) struct BrowserWatch {
    pid: Pid,
    pidfd: Option<OwnedFd>,
}

impl BrowserWatch {
    /// Watches the calling process, which is about to fork the process that watches and become the browser.
    pub(super) fn this_process() -> Self {
        let pid = rustix::process::getpid();
        #[cfg(target_os = "linux")]
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok();
        #[cfg(not(target_os = "linux"))]
        let pidfd = None;
        Self { pid, pidfd }
    }

    /// Returns a file descriptor that is readable once the browser has ended, if the system has one.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn has_ended(&self) -> bool {
        rustix::process::getppid() != Some(self.pid)
    }

    /// Waits until the browser has ended.
    pub(super) fn wait(&self) {
        let interval = Timespec::try_from(WATCH_INTERVAL).ok();
        while !self.has_ended() {
            match self.fd() {
                Some(fd) => drop(rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], None)),
                None => drop(rustix::event::poll(&mut [], interval.as_ref())),
            }
        }
    }
}
