//! One wait for everything that the relay has to do with.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A link was reported on the gate.
    Link,
    /// The browser has ended.
    BrowserEnded,
    /// The browser has written to its standard error, or closed it.
    OutputToRead,
    /// The client takes more of the browser's standard error.
    OutputToWrite,
    /// The client has sent commands into its pipe, or closed it.
    CommandsToRead,
    /// The browser takes more commands.
    CommandsToWrite,
    /// The browser has closed its end of the pipe for commands.
    CommandsUnwanted,
    /// A client has connected to the port and is to be forwarded to where the browser listens.
    Connection(SocketAddr),
}

/// What is waited for, and for how long.
#[derive(Debug, Default)]
pub(super) struct Wait<'fd> {
    events: Vec<Event>,
    fds: Vec<PollFd<'fd>>,
    at_most: Option<Duration>,
}

impl<'fd> Wait<'fd> {
    /// Waits for one of `flags`, an error or the end of the file, and calls each of them `event`.
    pub(super) fn on(&mut self, event: Event, fd: BorrowedFd<'fd>, flags: PollFlags) {
        self.events.push(event);
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Waits no longer than this.
    pub(super) fn at_most(&mut self, time: Duration) {
        self.at_most = Some(self.at_most.map_or(time, |other| other.min(time)));
    }

    /// Gives what has happened: nothing, when the time is over or a signal came between.
    pub(super) fn events(mut self) -> Vec<Event> {
        let timeout = self.at_most.and_then(|time| Timespec::try_from(time).ok());
        if rustix::event::poll(&mut self.fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let happened = self.fds.iter().zip(self.events).filter(|(fd, _)| !fd.revents().is_empty());
        happened.map(|(_, event)| event).collect()
    }
}
