//! View: shows traces as a waterfall in the terminal and as an HTML page.
//!
//! [`trace_files`] scans files ([`sources`], [`scan`]) in one of the formats ([`document`]), lists the traces in them ([`trace_index`]) and
//! loads the selected ones as trees of spans ([`tree`], from [`parents`], [`times`] and [`clocks`]). [`terminal`] and [`page`] show a [`trace`],
//! whatever format it came from. [`run`] adds up all traces of several files.

mod clocks;
mod document;
mod jaeger_json;
pub(crate) mod link;
mod otlp_json;
pub mod page;
mod parents;
pub(crate) mod parsed;
mod readable;
pub(crate) mod run;
mod scan;
pub(crate) mod serve;
mod shorten;
pub(crate) mod sources;
pub(crate) mod terminal;
mod times;
pub mod trace;
pub(crate) mod trace_files;
mod trace_index;
pub(crate) mod tree;
mod zipkin_json;
