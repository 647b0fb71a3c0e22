//! Modules that the browser tests and the benchmarks share.
//!
//! Every test binary uses only a part of this, hence the `allow`s.
#![allow(dead_code, unreachable_pub, clippy::expect_used)]

pub mod collector;
pub mod jaeger;
pub mod otelcol;
pub mod reserved_port;
pub mod sdk;
pub mod site;
