//! Passes on the commands of a client that starts the browser with `--remote-debugging-pipe`, once the gate is open.
//!
//! Chromium reads commands from one file and writes answers to another, both inherited from the client. The relay intercepts only the
//! commands; the browser writes its answers directly to the client.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::PollFlags;
use rustix::io::{Errno, FdFlags};
use rustix::pipe::PipeFlags;

use crate::launch::relay::poll::{Poll, PollEvent};

/// The file descriptor from which Chromium reads commands.
const COMMANDS: RawFd = 3;

/// The file descriptor to which Chromium writes answers.
const ANSWERS: RawFd = 4;

/// Capacity of a pipe on Linux, in bytes. No more is read from the client before the browser has taken it.
const BUFFER: usize = 64 * 1024;

/// The pipe for commands. By default it is closed, for a client that sends none this way.
#[derive(Debug, Default)]
pub(in crate::launch) struct CommandPipe {
    /// Closed once the client has closed its end. Stays in blocking mode, because the client's own files may share its flags, so it is read
    /// only when it is readable.
    client: Option<OwnedFd>,
    /// Closed once everything is written. In non-blocking mode.
    browser: Option<OwnedFd>,
    buffer: Vec<u8>,
    /// The part of the buffer that the browser has not taken yet.
    pending: Range<usize>,
}

impl CommandPipe {
    /// Puts a pipe in place of the client's, in this process, which is about to become the browser.
    ///
    /// Changes nothing if the client has not passed both files: Chromium then reports that itself.
    pub(in crate::launch) fn take_over() -> io::Result<Self> {
        if !(is_inherited(COMMANDS) && is_inherited(ANSWERS)) {
            return Ok(Self::default());
        }
        // SAFETY: the descriptor is open (checked above), and this process has no other code that could close it during the call.
        let commands = unsafe { BorrowedFd::borrow_raw(COMMANDS) };
        let client = rustix::io::fcntl_dupfd_cloexec(commands, ANSWERS + 1)?;
        let (read_end, browser) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&browser, true)?;
        // SAFETY: no value in this process owns the descriptor that is replaced. Like that one, the copy survives exec.
        if unsafe { libc::dup2(read_end.as_raw_fd(), COMMANDS) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { client: Some(client), browser: Some(browser), buffer: vec![0; BUFFER], pending: 0..0 })
    }

    /// Registers the next events. Must not be called before the gate is open.
    pub(super) fn register<'fd>(&'fd self, poll: &mut Poll<'fd>) {
        let Some(browser) = &self.browser else {
            return;
        };
        if !self.pending.is_empty() {
            poll.add(PollEvent::CommandsWritable, browser.as_fd(), PollFlags::OUT);
            return;
        }
        poll.add(PollEvent::CommandsClosed, browser.as_fd(), PollFlags::empty());
        if let Some(client) = &self.client {
            poll.add(PollEvent::CommandsReadable, client.as_fd(), PollFlags::IN);
        }
    }

    /// Reads commands from the client, which must be readable, and writes as much as the browser takes.
    pub(super) fn read(&mut self) {
        let Some(client) = &self.client else {
            return;
        };
        match rustix::io::read(client, &mut self.buffer) {
            Ok(length) if length > 0 => self.pending = 0..length,
            Err(Errno::INTR | Errno::AGAIN) => return,
            _ => self.client = None,
        }
        self.write();
    }

    /// Writes as much as the browser takes without blocking.
    pub(super) fn write(&mut self) {
        let Some(browser) = &self.browser else {
            return;
        };
        while !self.pending.is_empty() {
            match rustix::io::write(browser, &self.buffer[self.pending.clone()]) {
                Ok(written) => self.pending.start += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.close(),
            }
        }
        if self.client.is_none() {
            self.close();
        }
    }

    /// Closes both ends, so that each side notices.
    pub(super) fn close(&mut self) {
        self.client = None;
        self.browser = None;
        self.pending = 0..0;
    }
}

/// Returns whether the descriptor is open and was inherited from the client: navtrace opens all of its own files with close-on-exec.
fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: the descriptor is only used in this call, which returns an error if it is not open.
    let flags = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) });
    flags.is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// Closes all inherited files except the standard streams.
pub(in crate::launch) fn close_inherited() {
    let Ok(entries) = fs::read_dir("/dev/fd") else {
        return;
    };
    let open: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > libc::STDERR_FILENO && is_inherited(*fd)) {
        // SAFETY: no value in this process owns an inherited descriptor.
        unsafe { libc::close(fd) };
    }
}
