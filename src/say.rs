//! navtrace's own words to the user, on standard error: standard output belongs to commands and frames.

use std::io::Write;

/// Says one sentence. One that can't be written, since the stream is closed or its disk full, stops nothing.
pub fn say(sentence: &str) {
    // One write call, so that lines of several processes do not mix.
    let _ = std::io::stderr().write_all(line(sentence).as_bytes());
}

/// Gives a sentence as the line by which it is said.
#[must_use]
pub fn line(sentence: &str) -> String {
    format!("navtrace: {sentence}\n")
}
