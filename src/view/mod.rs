//! Step 8, view: shows traces, as a waterfall in the terminal and as a page.
//!
//! [`read`] goes through a file of one of the formats ([`otlp_json`], [`jaeger_json`]) and has the traces that are wanted built ([`build`]): a
//! [`trace`] is what both [`terminal`] and [`page`] show, and does not depend on where it was read from.

mod build;
mod critical;
mod jaeger_json;
pub mod link;
mod otlp_json;
pub mod page;
mod raw;
pub mod read;
pub mod serve;
pub mod terminal;
pub mod trace;
