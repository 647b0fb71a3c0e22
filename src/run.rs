//! What `navtrace run` does besides running its command: it hears launchers and hosts, and says what was traced.

pub(crate) mod collector;
mod ledger;
pub(crate) mod progress;
pub mod reports;
pub(crate) mod summary;
