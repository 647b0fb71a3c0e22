//! Context: issues the trace context that requests carry and names the headers that carry it.

pub(crate) mod baggage;
pub(crate) mod foreign;
pub(crate) mod headers;
pub(crate) mod ids;
pub(crate) mod issuer;
pub(crate) mod mode;
pub(crate) mod policy;
pub(crate) mod propagator;
pub(crate) mod redaction;
pub(crate) mod resources;
pub(crate) mod sampler;
pub(crate) mod targets;
pub(crate) mod traceparent;
pub(crate) mod tracestate;
