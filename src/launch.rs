//! Step 1, the launch: prepares the profile, starts Chromium with the extension, and holds the `DevTools` endpoint back until the
//! extension is armed.

pub(crate) mod extension;
pub(crate) mod find;
pub(crate) mod flags;
pub(crate) mod gate;
pub(crate) mod in_use;
mod inherited;
pub(crate) mod k6;
pub(crate) mod latch;
pub(crate) mod manifest;
pub(crate) mod profile;
mod relay;
pub(crate) mod start;
