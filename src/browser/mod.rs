//! Step 1, the launch: prepares the profile, starts Chromium with the extension, and holds the `DevTools` endpoint back until the
//! extension is armed.

pub mod extension;
pub mod find;
pub mod flags;
pub mod gate;
pub mod in_use;
mod inherited;
pub mod installed;
pub mod k6;
pub mod latch;
pub mod locations;
pub mod manifest;
pub mod private;
pub mod process;
pub mod profile;
mod read;
pub mod registration;
mod relay;
