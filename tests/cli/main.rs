//! Tests the command line without a browser: messages, exit codes, and cleanup.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/navtrace.rs"]
mod navtrace;
#[path = "../support/reserved_port.rs"]
mod reserved_port;

mod browser_paths;
mod check;
mod compare;
mod config;
mod containers;
mod doctor;
mod gated;
mod host;
mod install;
mod launch;
mod leftovers;
mod machine;
mod manual;
mod occupied;
mod pipe;
mod plain;
mod playwright_registry;
mod port;
mod port_file;
mod registered;
mod run;
mod static_mode;
mod usage;
mod view;
mod wrapper;
