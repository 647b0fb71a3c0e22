//! Step 7, collect: receives OTLP over HTTP where the user has no collector, and keeps it as OTLP JSON lines.
//!
//! [`body`] reads what a request carries (pure), [`store`] writes it to the trace file and knows what is in there, and [`receiver`] is the server.

mod answer;
pub(crate) mod body;
pub(crate) mod receiver;
pub(crate) mod store;
