//! Messages to the user on standard error, and redirection of the standard streams.
//!
//! Standard output belongs to `navtrace run`'s command and to the host's frames.

use std::fs::File;
use std::io::Write;

/// Writes one sentence to standard error. Ignores errors: the stream may be closed or its disk full.
pub(crate) fn say(sentence: &str) {
    // One write call, so that lines of several processes do not mix.
    let _ = std::io::stderr().write_all(line(sentence).as_bytes());
}

/// Formats a sentence as a line for standard error.
pub(crate) fn line(sentence: &str) -> String {
    format!("navtrace: {sentence}\n")
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
