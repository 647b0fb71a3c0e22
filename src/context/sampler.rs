//! Decides whether a trace is sampled. The header is always sent; the decision travels in its flags.

use super::ids::Flags;

/// A sampler of the OpenTelemetry specification, named by `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sampler {
    /// Every trace is sampled.
    #[default]
    AlwaysOn,
    /// No trace is sampled.
    AlwaysOff,
}

impl Sampler {
    /// Finds a sampler by the name that the specification gives it.
    ///
    /// A session has no parent of its own, so the parent-based forms decide as their root does.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "always_on" | "parentbased_always_on" => Some(Self::AlwaysOn),
            "always_off" | "parentbased_always_off" => Some(Self::AlwaysOff),
            _ => None,
        }
    }

    /// Decides for a new trace.
    #[must_use]
    pub fn flags(self) -> Flags {
        match self {
            Self::AlwaysOn => Flags::SAMPLED,
            Self::AlwaysOff => Flags::NOT_SAMPLED,
        }
    }
}
