//! Standard streams: messages to the user go to standard error, since standard output belongs to commands and frames, and streams that a
//! reader waits for can be closed.

use std::fs::File;
use std::io::Write;

/// Says one sentence. One that can't be written, since the stream is closed or its disk full, stops nothing.
pub(crate) fn say(sentence: &str) {
    // One write call, so that lines of several processes do not mix.
    let _ = std::io::stderr().write_all(line(sentence).as_bytes());
}

/// Gives a sentence as the line by which it is said.
pub(crate) fn line(sentence: &str) -> String {
    format!("navtrace: {sentence}\n")
}

/// Points standard input at nothing.
pub(crate) fn silence_input() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

/// Points standard output at nothing.
pub(crate) fn silence_output() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Points standard error at nothing.
pub(crate) fn silence_errors() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Without /dev/null the stream stays as it is, which costs a reader its patience and nothing else.
fn null() -> Option<File> {
    File::options().read(true).write(true).open("/dev/null").ok()
}
