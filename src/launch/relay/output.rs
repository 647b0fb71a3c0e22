//! The browser's standard error on its way to the client: what is held back, what waits, what is dropped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::base::stdio;
use crate::launch::relay::hold::Hold;
use crate::launch::relay::wait::{Event, Wait};

/// Output that a client has not read is kept up to this size; then the browser waits for it.
const MOST_PENDING: usize = 1024 * 1024;

/// How long the browser waits for a client to read. Then its output is dropped, so that a client that never reads can't stop it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pipe that is ready takes this much without blocking (`PIPE_BUF` on Linux).
const CHUNK: usize = 4096;

/// How many reads what is left of the output may take once the browser has ended.
const LAST_READS: usize = 64;

/// How long what is left of the output may take to write once the browser has ended.
const FINAL_OUTPUT: Duration = Duration::from_millis(300);

/// The browser's standard error on its way to the client.
#[derive(Debug)]
pub(in crate::launch) struct Output {
    browser: OwnedFd,
    /// Whether there may be more to read at once, later, or never again.
    taken: Taken,
    hold: Hold,
    pending: VecDeque<u8>,
    /// When the client took something last, once there was something to take.
    progress: Option<Instant>,
    client_gone: bool,
}

/// What one read of the browser's standard error found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Some,
    NothingNow,
    End,
}

impl Output {
    /// `browser` is the reading end of the browser's standard error; `promised` as in [`Hold::new`].
    pub(in crate::launch) fn new(browser: OwnedFd, promised: Option<u16>) -> Self {
        // The last reads, once the browser has ended, go on until nothing is there.
        let _ = rustix::io::ioctl_fionbio(&browser, true);
        Self {
            browser,
            taken: Taken::NothingNow,
            hold: Hold::new(promised),
            pending: VecDeque::new(),
            progress: None,
            client_gone: false,
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        !self.hold.is_open()
    }

    pub(super) fn open(&mut self) {
        let mut lines = Vec::new();
        self.hold.open(&mut lines);
        self.append(&lines);
    }

    /// As [`Hold::endpoint`].
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        self.hold.endpoint()
    }

    pub(super) fn wait<'fd>(&'fd self, wait: &mut Wait<'fd>) {
        if self.is_full() && !self.is_given_up() {
            wait.at_most(PATIENCE);
        } else if self.taken != Taken::End {
            wait.on(Event::OutputToRead, self.browser.as_fd(), PollFlags::IN);
        }
        if !self.pending.is_empty() {
            wait.on(Event::OutputToWrite, rustix::stdio::stderr(), PollFlags::OUT);
        }
    }

    /// Tells whether the browser has to wait for the client.
    fn is_full(&self) -> bool {
        self.pending.len() > MOST_PENDING
    }

    /// Tells whether the client has read nothing for so long that the browser waits no longer.
    fn is_given_up(&self) -> bool {
        self.progress.is_some_and(|progress| progress.elapsed() >= PATIENCE)
    }

    /// Puts a line of navtrace's own between the browser's.
    pub(super) fn say(&mut self, sentence: &str) {
        self.append(stdio::line(sentence).as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        // From here on the client is expected to read.
        if self.pending.is_empty() {
            self.progress = Some(Instant::now());
        }
        self.pending.extend(bytes);
    }

    /// Takes a piece of what the browser has written. It is dropped when the client has not read for long.
    pub(super) fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        self.taken = match rustix::io::read(&self.browser, &mut buffer) {
            Ok(0) => Taken::End,
            Ok(length) => {
                // What is dropped is read all the same: it may tell where the browser listens.
                let mut lines = Vec::new();
                self.hold.feed(&buffer[..length], &mut lines);
                if !(self.client_gone || self.is_full() && self.is_given_up()) {
                    self.append(&lines);
                }
                Taken::Some
            }
            Err(Errno::INTR | Errno::AGAIN) => Taken::NothingNow,
            Err(_) => Taken::End,
        };
    }

    /// Writes for as long as the client takes more at once.
    pub(super) fn write(&mut self) {
        while !self.pending.is_empty() && takes_more(Duration::ZERO) {
            let (chunk, _) = self.pending.as_slices();
            match rustix::io::write(rustix::stdio::stderr(), &chunk[..chunk.len().min(CHUNK)]) {
                Ok(written) => {
                    drop(self.pending.drain(..written));
                    self.progress = Some(Instant::now());
                }
                Err(Errno::INTR | Errno::AGAIN) => return,
                Err(_) => {
                    self.client_gone = true;
                    self.pending.clear();
                }
            }
        }
    }

    /// Passes on what is left, as far as the client takes it within [`FINAL_OUTPUT`].
    pub(super) fn finish(mut self) {
        // What the browser's children still write is not waited for: they outlive it by a moment only.
        for _ in 0..LAST_READS {
            self.read();
            if self.taken != Taken::Some {
                break;
            }
        }
        let mut lines = Vec::new();
        self.hold.end(&mut lines);
        self.append(&lines);
        let deadline = Instant::now() + FINAL_OUTPUT;
        while !self.pending.is_empty() && takes_more(deadline.saturating_duration_since(Instant::now())) {
            self.write();
        }
    }
}

/// Waits until the client's end of standard error takes more.
fn takes_more(at_most: Duration) -> bool {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let timeout = Timespec::try_from(at_most).ok();
    rustix::event::poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}
