//! navtrace lets any Chromium that a test drives carry distributed-trace context on every request that it makes, with no change to the
//! test.
//!
//! It is one Rust binary and one Manifest V3 extension. The extension is thin and fast, the host decides, and no request ever waits for
//! the host. The modules follow the flow:
//!
//! 1. [`browser`] prepares the profile, starts Chromium with the extension, and holds the `DevTools` endpoint back until it is armed.
//! 2. [`channel`] is how the extension and the host talk: length-prefixed JSON frames (PROTOCOL.md).
//! 3. [`context`] issues trace ids, span ids and flags, per session and per navigation.
//! 4. The extension (`extension/`) puts them on every request.
//! 5. [`observe`] turns what the extension observes into finished spans.
//! 6. [`export`] sends them over OTLP, and keeps what can't be sent.
//! 7. [`collect`] receives OTLP where the user has no collector, and keeps it as OTLP JSON lines.
//! 8. [`view`] shows traces, in the terminal and as a page.
//!
//! Beside the flow: [`cli`] has one file per subcommand, [`config`] the settings, [`report`] what launchers and hosts tell
//! `navtrace run`, [`failure`] how everything fails, [`say`](mod@say) what speaks to the user, and [`stdio`] what lets go of standard
//! streams.

pub mod browser;
pub mod channel;
pub mod cli;
pub mod collect;
pub mod config;
pub mod context;
pub mod export;
pub mod failure;
pub mod observe;
pub mod report;
pub mod say;
pub mod stdio;
pub mod view;
