//! Step 3, the context: what requests carry, in which headers, and who issues it.

pub mod ids;
pub mod issuer;
pub mod policy;
pub mod propagators;
pub mod sampler;
pub mod targets;
