//! Observe: turns the extension's observations into finished spans. Does no I/O and reads no clock: time comes with the observations.

pub(crate) mod counts;
pub(crate) mod observation;
pub(crate) mod privacy;
pub(crate) mod session;
pub(crate) mod span;
pub(crate) mod test_span;
