//! Step 5, observe: what the extension observed becomes finished spans. Pure: no I/O, and time comes with the observations.

pub(crate) mod observation;
pub(crate) mod redact;
pub(crate) mod session;
pub(crate) mod span;
pub(crate) mod tally;
