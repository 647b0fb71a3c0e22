//! Collect: receives OTLP over HTTP and gRPC if the user has no collector, and writes it to a trace file.
//!
//! [`receiver`] is the server, [`expected`] knows which spans are still to come, [`body`] decodes requests with [`protobuf`] and [`json`], and
//! [`store`] writes the trace file divided into [`lines`], and counts what is in it ([`contents`]) and what could not be written ([`unwritten`]).

mod body;
pub(crate) mod contents;
pub(crate) mod expected;
mod json;
mod lines;
mod protobuf;
pub(crate) mod receiver;
mod response;
pub(crate) mod store;
mod unwritten;
