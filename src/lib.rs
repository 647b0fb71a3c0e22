//! navtrace adds distributed-trace context to every request of a Chromium that a test drives, with no change to the test.
//!
//! It is one Rust binary and one Manifest V3 extension. The extension is thin and fast, the host decides, and no request ever waits for
//! the host. ARCHITECTURE.md describes the modules; `tests/layout.rs` checks which may use which.

pub(crate) mod base;
pub(crate) mod channel;
pub(crate) mod check;
pub(crate) mod cli;
pub(crate) mod collect;
pub(crate) mod compare;
pub(crate) mod context;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod install;
pub(crate) mod launch;
pub(crate) mod observe;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod view;

pub use cli::main;

/// Items for navtrace's own integration tests. Not a public interface.
#[doc(hidden)]
pub mod testing {
    pub use crate::base::environment::RUN_SOCKET;
    pub use crate::channel::conversation::{Conversation, HostEvent, serve};
    pub use crate::channel::frame::{FrameError, MAX_FRAME};
    pub use crate::context::ids::SpanId;
    pub use crate::context::issuer::SessionContext;
    pub use crate::context::mode::WantedMode;
    pub use crate::context::policy::Policy;
    pub use crate::observe::observation::{FailureKind, NavigationStart, Observation, Response};
    pub use crate::observe::session::Session;
    pub use crate::run::reports;
    pub use crate::view::page;
    pub use crate::view::trace;
}
