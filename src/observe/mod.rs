//! Step 5, observe: what the extension observed becomes finished spans. Pure: no I/O, and time comes with the observations.

pub mod observation;
pub mod redact;
pub mod session;
pub mod span;
pub mod tally;
