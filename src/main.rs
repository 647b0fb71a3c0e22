//! The `navtrace` binary: hands its arguments to the library and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    navtrace::main(std::env::args_os())
}
