//! Lets go of standard streams: whoever reads one of them to its end then no longer waits for this process.

use std::fs::File;

/// Points standard input at nothing.
pub fn silence_input() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

/// Points standard output at nothing.
pub fn silence_output() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// Points standard error at nothing.
pub fn silence_errors() {
    if let Some(null) = null() {
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

/// Without /dev/null the stream stays as it is, which costs a reader its patience and nothing else.
fn null() -> Option<File> {
    File::options().read(true).write(true).open("/dev/null").ok()
}
