//! Step 3, the context: what requests carry, in which headers, and who issues it.

pub(crate) mod ids;
pub(crate) mod issuer;
pub(crate) mod mode;
pub(crate) mod policy;
pub(crate) mod propagators;
pub(crate) mod sampler;
pub(crate) mod targets;
