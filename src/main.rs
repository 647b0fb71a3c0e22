//! The `navtrace` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    navtrace::main(std::env::args_os())
}
