//! The test runner under `navtrace run`: hears of its tests from a reporter, and makes and sends their spans.

pub(crate) mod attempts;
pub(crate) mod export;
pub(crate) mod messages;
pub(crate) mod reporter;
pub(crate) mod summary;
