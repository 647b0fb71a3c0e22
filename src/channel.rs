//! Channel: how the extension and the host talk. PROTOCOL.md is its specification.

pub(crate) mod conversation;
pub(crate) mod frame;
pub(crate) mod host;
pub(crate) mod message;
mod test_worker;
