//! Step 2, the channel: how the extension and the host talk. PROTOCOL.md is its specification.

pub(crate) mod frame;
pub(crate) mod lasting;
pub(crate) mod message;
pub(crate) mod serve;
