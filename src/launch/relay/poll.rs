//! One `poll` for everything that the relay waits for.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// An event that the relay reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollEvent {
    /// The host has reported a stage to the gate.
    StageReported,
    BrowserEnded,
    /// The browser has written to its standard error, or closed it.
    OutputReadable,
    /// The client reads more of the browser's standard error.
    OutputWritable,
    /// The client has sent commands through its pipe, or closed it.
    CommandsReadable,
    /// The browser reads more commands.
    CommandsWritable,
    /// The browser has closed its end of the pipe for commands.
    CommandsClosed,
    /// A client has connected to the port. The connection goes to this address of the browser.
    Connection(SocketAddr),
}

/// The file descriptors to wait for, and the time limit.
#[derive(Debug, Default)]
pub(super) struct Poll<'fd> {
    events: Vec<PollEvent>,
    fds: Vec<PollFd<'fd>>,
    timeout: Option<Duration>,
}

impl<'fd> Poll<'fd> {
    /// Adds an event that comes with one of `flags`, an error, or the end of the file.
    pub(super) fn add(&mut self, event: PollEvent, fd: BorrowedFd<'fd>, flags: PollFlags) {
        self.events.push(event);
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Limits the time to wait, unless it is limited to less.
    pub(super) fn limit(&mut self, timeout: Duration) {
        self.timeout = Some(self.timeout.map_or(timeout, |other| other.min(timeout)));
    }

    /// Waits, and returns the events: none after a timeout or a signal.
    pub(super) fn wait(mut self) -> Vec<PollEvent> {
        let timeout = self.timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if rustix::event::poll(&mut self.fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let happened = self.fds.iter().zip(self.events).filter(|(fd, _)| !fd.revents().is_empty());
        happened.map(|(_, event)| event).collect()
    }
}
