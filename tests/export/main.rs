//! Tests the export of spans without a browser: the real host, a collector, and everything that can go wrong between them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/collector.rs"]
mod collector;
#[path = "../support/navtrace.rs"]
mod navtrace;
#[path = "../support/reserved_port.rs"]
mod reserved_port;

mod host;
mod observations;
mod reports;
mod setup;
mod tree;

mod faults;
mod flush;
mod locks;
mod memory;
mod received;
mod resume;
mod run;
mod spans;
mod state;
mod static_mode;
mod succession;
mod test_runner;
mod threads;
