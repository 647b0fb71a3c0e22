//! Tests the collector of `navtrace collect` and `navtrace run`: what it stores, what it refuses, and its memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/navtrace.rs"]
mod navtrace;

mod collector;

mod bodies;
mod files;
mod grpc;
mod json;
mod memory;
mod output;
mod pages;
mod run;
mod signals;
