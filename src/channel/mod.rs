//! Step 2, the channel: how the extension and the host talk. PROTOCOL.md is its specification.

pub mod frame;
pub mod lasting;
pub mod message;
pub mod serve;
