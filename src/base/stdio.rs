//! Messages to the user on standard error, and redirection of the standard streams.
//!
//! Standard output belongs to `navtrace run`'s command and to the host's frames.

use std::fs::File;
use std::io::Write;

use crate::base::text::{clean, shortened};

/// The longest sentence, in characters: several paths of any length and what is said about them.
const MAX_SENTENCE: usize = 10_000;

/// Writes one sentence to standard error. Ignores errors: the stream may be closed or its disk full.
pub(crate) fn say(sentence: &str) {
    // One write call, so that lines of several processes do not mix.
    let _ = std::io::stderr().write_all(line(sentence).as_bytes());
}

/// Formats a sentence as one line for standard error. It may quote pages, services and files, which could control a terminal or add lines.
pub(crate) fn line(sentence: &str) -> String {
    format!("navtrace: {}\n", clean(&shortened(sentence, MAX_SENTENCE)))
}

/// Redirects standard input to `/dev/null`.
pub(crate) fn silence_input() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

/// Redirects standard output to `/dev/null`, so that its reader sees the end.
pub(crate) fn silence_output() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Redirects standard error to `/dev/null`, so that its reader sees the end.
pub(crate) fn silence_errors() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Opens `/dev/null`. Without it a stream stays as it is, and its reader waits until this process ends.
fn null() -> Option<File> {
    File::options().read(true).write(true).open("/dev/null").ok()
}
