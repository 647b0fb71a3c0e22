//! What the real-browser tests share.
//!
//! Every test binary uses a part of this only, hence the `allow`s: an unused helper is not dead, it belongs to another binary.
#![allow(dead_code, unreachable_pub, clippy::expect_used)]

pub mod collector;
pub mod jaeger;
pub mod reserved_port;
pub mod sdk;
pub mod site;
