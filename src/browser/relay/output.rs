//! The browser's standard error on its way to the client: what is held back, what waits, what is dropped.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::say;

/// What a client waits for on the browser's standard error.
const DEVTOOLS_LINE: &[u8] = b"DevTools listening on ";

/// A line that is longer than this is passed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;

/// Output that a client has not read is kept up to this size; then the browser waits for it.
const MOST_PENDING: usize = 1024 * 1024;

/// How long the browser waits for a client to read. Then its output is dropped, so that a client that never reads can't stop it.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A pipe that is ready takes this much without blocking (`PIPE_BUF` on Linux).
const CHUNK: usize = 4096;

/// What one read of the browser's standard error found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Some,
    NothingNow,
    End,
}

/// The browser's standard error on its way to the client.
#[derive(Debug, Default)]
pub(super) struct Output {
    held: Hold,
    pending: VecDeque<u8>,
    /// When the client took something last, once there was something to take.
    taken: Option<Instant>,
    client_gone: bool,
}

impl Output {
    pub(super) fn is_shut(&self) -> bool {
        !self.held.open
    }

    pub(super) fn open(&mut self) {
        let mut lines = Vec::new();
        self.held.open(&mut lines);
        self.append(&lines);
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Tells whether the browser has to wait for a client that is reading, if slowly.
    pub(super) fn is_full(&self) -> bool {
        let waited = self.taken.map_or(Duration::ZERO, |taken| taken.elapsed());
        self.pending.len() > MOST_PENDING && waited < PATIENCE
    }

    /// Puts a line of navtrace's own between the browser's.
    pub(super) fn say(&mut self, sentence: &str) {
        self.append(say::line(sentence).as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        // From here on the client is expected to read.
        if self.pending.is_empty() {
            self.taken = Some(Instant::now());
        }
        self.pending.extend(bytes);
    }

    /// Takes a piece of what the browser has written. It is dropped when the client has not read for long.
    pub(super) fn take_from(&mut self, browser_stderr: &OwnedFd) -> Taken {
        let mut buffer = [0; 16 * 1024];
        let length = match rustix::io::read(browser_stderr, &mut buffer) {
            Ok(0) => return Taken::End,
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Taken::NothingNow,
            Err(_) => return Taken::End,
        };
        if !self.client_gone && self.pending.len() <= MOST_PENDING {
            let mut lines = Vec::new();
            self.held.feed(&buffer[..length], &mut lines);
            self.append(&lines);
        }
        Taken::Some
    }

    /// Writes for as long as the client takes more at once.
    pub(super) fn write(&mut self) {
        while self.has_pending() && takes_more(Duration::ZERO) {
            let (chunk, _) = self.pending.as_slices();
            match rustix::io::write(rustix::stdio::stderr(), &chunk[..chunk.len().min(CHUNK)]) {
                Ok(written) => {
                    drop(self.pending.drain(..written));
                    self.taken = Some(Instant::now());
                }
                Err(Errno::INTR | Errno::AGAIN) => return,
                Err(_) => {
                    self.client_gone = true;
                    self.pending.clear();
                }
            }
        }
    }
}

/// Holds the line back that a client starts on. Other lines pass.
#[derive(Debug, Default)]
struct Hold {
    open: bool,
    line: Vec<u8>,
    held: Vec<u8>,
}

impl Hold {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.open {
            out.extend_from_slice(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            let complete = self.line.ends_with(b"\n");
            if complete && self.line.starts_with(DEVTOOLS_LINE) {
                self.held.append(&mut self.line);
            } else if complete || self.line.len() > LONGEST_LINE {
                out.append(&mut self.line);
            }
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        self.open = true;
        out.append(&mut self.held);
        out.append(&mut self.line);
    }
}

/// Waits until the client's end of standard error takes more.
pub(super) fn takes_more(at_most: Duration) -> bool {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let timeout = Timespec::try_from(at_most).ok();
    rustix::event::poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "DevTools listening on ws://127.0.0.1:9222/devtools/browser/x\n";

    fn fed(hold: &mut Hold, text: &str) -> String {
        let mut out = Vec::new();
        hold.feed(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn opened(hold: &mut Hold) -> String {
        let mut out = Vec::new();
        hold.open(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_devtools_line_is_held() {
        let mut hold = Hold::default();
        let text = format!("\nfirst\n{LINE}last\n");
        assert_eq!(fed(&mut hold, &text), "\nfirst\nlast\n");
        assert_eq!(opened(&mut hold), LINE);
        assert_eq!(fed(&mut hold, LINE), LINE);
    }

    #[test]
    fn the_line_is_recognised_in_pieces() {
        let mut hold = Hold::default();
        for piece in ["Dev", "Tools listening", " on ws://x\nmo"] {
            assert_eq!(fed(&mut hold, piece), "");
        }
        assert_eq!(fed(&mut hold, "re\nrest"), "more\n");
        assert_eq!(opened(&mut hold), "DevTools listening on ws://x\nrest");
    }

    #[test]
    fn a_line_without_end_is_not_kept_for_ever() {
        let mut hold = Hold::default();
        let long = "x".repeat(LONGEST_LINE);
        assert_eq!(fed(&mut hold, &long), "");
        assert_eq!(fed(&mut hold, "y"), long + "y");
    }
}
