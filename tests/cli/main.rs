//! What a user meets without a browser: sentences, exit codes, and what is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/navtrace.rs"]
mod navtrace;

mod host;
mod install;
mod launch;
mod run;
mod usage;
