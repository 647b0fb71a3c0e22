//! The collector of `navtrace collect` and `navtrace run`: what it keeps, what it refuses, and what it takes in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/navtrace.rs"]
mod navtrace;

mod bench;

mod bodies;
mod files;
mod memory;
mod run;
