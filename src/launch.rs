//! Launch: prepares the profile, starts Chromium with the extension, and keeps the client waiting until the extension is armed.

pub(crate) mod client_variables;
pub(crate) mod devtools;
pub(crate) mod extension;
pub(crate) mod find;
pub(crate) mod flags;
mod fork;
pub(crate) mod gate;
pub(crate) mod in_use;
pub(crate) mod k6;
pub(crate) mod latch;
pub(crate) mod machine;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod profile;
mod relay;
pub(crate) mod start;
pub(crate) mod static_mode;
mod watch;
pub(crate) mod worker_order;
