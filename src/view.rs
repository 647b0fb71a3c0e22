//! Step 8, view: shows traces, as a waterfall in the terminal and as a page.
//!
//! [`read`] goes through a file of one of the formats (`otlp_json`, `jaeger_json`), learns which traces there are ([`index`]) and has those that
//! are wanted built (`build`, `critical`). A [`trace`] is what both [`terminal`] and [`page`] show, and does not depend on where it was read from.

mod build;
mod critical;
pub(crate) mod error;
pub(crate) mod index;
mod jaeger_json;
pub(crate) mod link;
mod otlp_json;
pub mod page;
mod raw;
pub(crate) mod read;
pub(crate) mod serve;
pub(crate) mod terminal;
pub mod trace;
mod walk;
