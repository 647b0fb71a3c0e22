//! Passes the browser's standard error on to the client.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::base::stdio;
use crate::launch::relay::endpoint::{Endpoint, EndpointFilter};
use crate::launch::relay::poll::{Poll, PollEvent};

/// Output in bytes that is kept for a client that does not read. Above that the browser has to wait.
const MAX_PENDING: usize = 1024 * 1024;

/// Time that the browser waits for a client to read. Then its output is dropped, so that such a client cannot stop it.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that a writable pipe takes without blocking (`PIPE_BUF` on Linux).
const CHUNK: usize = 4096;

/// Most reads of the remaining output once the browser has ended.
const FINAL_READS: usize = 64;

/// Time for writing the remaining output once the browser has ended.
const FINAL_WRITE_TIMEOUT: Duration = Duration::from_millis(300);

/// The browser's standard error on its way to the client.
#[derive(Debug)]
pub(in crate::launch) struct BrowserOutput {
    browser: OwnedFd,
    last_read: LastRead,
    filter: EndpointFilter,
    pending: VecDeque<u8>,
    /// Time of the client's last read, or when there was first something to read.
    last_progress: Option<Instant>,
    is_client_gone: bool,
}

/// The result of the last read of the browser's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastRead {
    Data,
    Nothing,
    End,
}

impl BrowserOutput {
    /// Takes the reading end of the browser's standard error, whether the relay needs the endpoint, and the port of a client that chose one.
    pub(in crate::launch) fn new(browser: OwnedFd, needs_endpoint: bool, client_port: Option<u16>) -> Self {
        // After the browser's end, reading goes on until nothing is left.
        let _ = rustix::io::ioctl_fionbio(&browser, true);
        Self {
            browser,
            last_read: LastRead::Nothing,
            filter: EndpointFilter::new(needs_endpoint, client_port),
            pending: VecDeque::new(),
            last_progress: None,
            is_client_gone: false,
        }
    }

    /// Returns whether the endpoint's line is still held back.
    pub(super) fn is_held(&self) -> bool {
        !self.filter.is_released()
    }

    pub(super) fn release(&mut self) {
        let mut lines = Vec::new();
        self.filter.release(&mut lines);
        self.append(&lines);
    }

    /// See [`EndpointFilter::endpoint`].
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.filter.endpoint()
    }

    pub(super) fn register<'fd>(&'fd self, poll: &mut Poll<'fd>) {
        if self.is_full() && !self.is_given_up() {
            poll.limit(READ_TIMEOUT);
        } else if self.last_read != LastRead::End {
            poll.add(PollEvent::OutputReadable, self.browser.as_fd(), PollFlags::IN);
        }
        if !self.pending.is_empty() {
            poll.add(PollEvent::OutputWritable, rustix::stdio::stderr(), PollFlags::OUT);
        }
    }

    /// Returns whether the browser has to wait for the client.
    fn is_full(&self) -> bool {
        self.pending.len() > MAX_PENDING
    }

    /// Returns whether the client has not read for so long that the browser no longer waits for it.
    fn is_given_up(&self) -> bool {
        self.last_progress.is_some_and(|time| time.elapsed() >= READ_TIMEOUT)
    }

    /// Inserts a message of navtrace's own between the browser's lines.
    pub(super) fn say(&mut self, sentence: &str) {
        self.append(stdio::line(sentence).as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        // From now on the client is expected to read.
        if self.pending.is_empty() {
            self.last_progress = Some(Instant::now());
        }
        self.pending.extend(bytes);
    }

    /// Reads a piece of the browser's output, and drops it if the client has stopped reading.
    pub(super) fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        self.last_read = match rustix::io::read(&self.browser, &mut buffer) {
            Ok(0) => LastRead::End,
            Ok(length) => {
                // Even dropped output goes through the filter, because it may name the endpoint.
                let mut lines = Vec::new();
                self.filter.feed(&buffer[..length], &mut lines);
                if !(self.is_client_gone || self.is_full() && self.is_given_up()) {
                    self.append(&lines);
                }
                LastRead::Data
            }
            Err(Errno::INTR | Errno::AGAIN) => LastRead::Nothing,
            Err(_) => LastRead::End,
        };
    }

    /// Writes as much as the client takes without blocking.
    pub(super) fn write(&mut self) {
        while !self.pending.is_empty() && wait_writable(Duration::ZERO) {
            let (chunk, _) = self.pending.as_slices();
            match rustix::io::write(rustix::stdio::stderr(), &chunk[..chunk.len().min(CHUNK)]) {
                Ok(written) => {
                    drop(self.pending.drain(..written));
                    self.last_progress = Some(Instant::now());
                }
                Err(Errno::INTR | Errno::AGAIN) => return,
                Err(_) => {
                    self.is_client_gone = true;
                    self.pending.clear();
                }
            }
        }
    }

    /// Passes on the remaining output, as far as the client reads it within [`FINAL_WRITE_TIMEOUT`].
    pub(super) fn finish(mut self) {
        // Does not wait for further output of the browser's children, which outlive it by a moment only.
        for _ in 0..FINAL_READS {
            self.read();
            if self.last_read != LastRead::Data {
                break;
            }
        }
        let mut lines = Vec::new();
        self.filter.finish(&mut lines);
        self.append(&lines);
        let deadline = Instant::now() + FINAL_WRITE_TIMEOUT;
        while !self.pending.is_empty() && wait_writable(deadline.saturating_duration_since(Instant::now())) {
            self.write();
        }
    }
}

/// Waits until standard error is writable. Returns whether it became so within the timeout.
fn wait_writable(timeout: Duration) -> bool {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let timeout = Timespec::try_from(timeout).ok();
    rustix::event::poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}
