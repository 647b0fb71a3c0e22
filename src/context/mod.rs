//! Step 3, the context: what a `traceparent` header carries, and who issues it.

pub mod ids;
pub mod issuer;
pub mod sampler;
