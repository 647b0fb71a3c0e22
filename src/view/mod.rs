//! Step 8, view: shows traces, as a waterfall in the terminal and as a page.
//!
//! [`trace`] is what both show; nothing in it depends on where a trace was read from or how it is shown.

pub mod link;
pub mod trace;
