//! The commands of a client that started the browser with `--remote-debugging-pipe`, on their way to the browser.
//!
//! Chromium reads commands from one file and writes its answers to another, both given by the client. The relay stands in the way of the
//! commands; the answers are the browser's and the client's alone.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::launch::inherited;
use crate::launch::relay::wait::{Event, Wait};

/// Where Chromium reads commands.
const COMMANDS: RawFd = 3;

/// Where Chromium writes answers.
const ANSWERS: RawFd = 4;

/// What a pipe holds on Linux: more than this is not read from the client before the browser has taken it.
const BUFFER: usize = 64 * 1024;

/// The way of the commands: closed from the start for a client that sends none this way.
#[derive(Debug, Default)]
pub(in crate::launch) struct Pipe {
    /// Until the client has ended it. It may share its flags with files of the client's, so it stays in blocking mode and is read only when
    /// there is something to read.
    client: Option<OwnedFd>,
    /// Until there is nothing left to write. In non-blocking mode.
    browser: Option<OwnedFd>,
    buffer: Vec<u8>,
    /// What in the buffer the browser has not taken yet.
    pending: Range<usize>,
}

impl Pipe {
    /// Puts a pipe in the place of the client's, in this process, which is about to become the browser.
    ///
    /// Nothing is changed when the client has not given both files: Chromium then says so itself.
    pub(in crate::launch) fn take_over() -> io::Result<Self> {
        if !(inherited::is_given(COMMANDS) && inherited::is_given(ANSWERS)) {
            return Ok(Self::default());
        }
        // SAFETY: the file is there, and nothing here closes it during this call.
        let client = rustix::io::fcntl_dupfd_cloexec(unsafe { BorrowedFd::borrow_raw(COMMANDS) }, ANSWERS + 1)?;
        let (commands, browser) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&browser, true)?;
        // SAFETY: nothing in this process owns what stands in that place, and the copy may outlive an exec, as what stood there did.
        if unsafe { libc::dup2(commands.as_raw_fd(), COMMANDS) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { client: Some(client), browser: Some(browser), buffer: vec![0; BUFFER], pending: 0..0 })
    }

    /// To be called once the gate is open: before, nothing is read.
    pub(super) fn wait<'fd>(&'fd self, wait: &mut Wait<'fd>) {
        let Some(browser) = &self.browser else {
            return;
        };
        if !self.pending.is_empty() {
            wait.on(Event::CommandsToWrite, browser.as_fd(), PollFlags::OUT);
            return;
        }
        wait.on(Event::CommandsUnwanted, browser.as_fd(), PollFlags::empty());
        if let Some(client) = &self.client {
            wait.on(Event::CommandsToRead, client.as_fd(), PollFlags::IN);
        }
    }

    /// Takes commands from a client that has some, and gives the browser what it takes at once.
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

    /// Gives the browser what it takes at once.
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

    /// Lets go of both ends, so that each side finds the other's end closed.
    pub(super) fn close(&mut self) {
        self.client = None;
        self.browser = None;
        self.pending = 0..0;
    }
}
