//! Tests the whole chain with the real k6 and the real Chromium, by what a server receives.
//!
//! Two tests run at a time, since each of them waits for something most of the time. See [`browser_test::beside_others`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/navtrace.rs"]
mod navtrace;

mod activations;
mod browser;
mod browser_contexts;
mod browser_test;
mod caches;
mod clients;
mod closing;
mod collected;
mod contexts;
mod control;
mod conversation;
mod coverage;
mod doctor;
mod documents;
mod exchanges;
mod exporting;
mod faults;
mod foreign_contexts;
mod http2;
mod installed;
mod k6_spans;
mod killed;
mod machines;
mod module;
mod navigations;
mod other_hosts;
mod overlap;
mod page;
mod plain;
mod playwright_test;
mod policy;
mod popup;
mod privacy;
mod profiles;
mod propagation;
mod resources;
mod server_timing;
mod soak;
mod spans;
mod static_mode;
mod steering;
mod stopped;
mod traces;
mod webdriver;
mod worker;
