//! Decides whether a trace is sampled. Headers are sent in any case; their flags carry the decision.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration>

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};

use crate::context::ids::Flags;

/// The setting that names the sampler.
pub(crate) const SETTING: &str = "OTEL_TRACES_SAMPLER";

/// A sampler of the OpenTelemetry specification, described by the two properties in which samplers differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sampler {
    /// The share of new traces to sample, from 0 to 1.
    pub(crate) ratio: f64,
    /// Whether a continued trace keeps its parent's decision.
    pub(crate) parent_based: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { ratio: 1.0, parent_based: true }
    }
}

/// Name, whether the sampler is parent-based, and its ratio if that is fixed.
const NAMES: [(&str, bool, Option<f64>); 6] = [
    ("always_on", false, Some(1.0)),
    ("always_off", false, Some(0.0)),
    ("traceidratio", false, None),
    ("parentbased_always_on", true, Some(1.0)),
    ("parentbased_always_off", true, Some(0.0)),
    ("parentbased_traceidratio", true, None),
];

impl Sampler {
    /// Returns the sampler that has this name in the specification; `argument` is the ratio if the name leaves it open.
    pub(crate) fn parse(name: &str, argument: Option<&str>) -> Result<Self, SamplerError> {
        let found = NAMES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name.trim()));
        let (_, parent_based, fixed) = found.ok_or(SamplerError::UnknownName)?;
        let ratio = match (fixed, argument) {
            (Some(ratio), _) => *ratio,
            (None, None) => 1.0,
            (None, Some(text)) => ratio(text).ok_or(SamplerError::InvalidRatio)?,
        };
        Ok(Self { ratio, parent_based: *parent_based })
    }

    /// Returns the names that [`Sampler::parse`] accepts.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }

    /// Decides for a trace or a part of it; `parent` has the flags of the context that it continues, if any. Draws a random number, because the bits
    /// of a trace id are not always random.
    pub(crate) fn decide(self, parent: Option<Flags>, rng: &mut impl CryptoRng) -> bool {
        match parent {
            Some(flags) if self.parent_based => flags.is_sampled(),
            // The number is below 1, so a ratio of 0 never samples and 1 always does.
            _ => rng.random::<f64>() < self.ratio,
        }
    }
}

/// Reads a ratio from 0 to 1.
pub(crate) fn ratio(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SamplerError {
    UnknownName,
    InvalidRatio,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_specification_is_known() {
        let parse = |name, argument| Sampler::parse(name, argument).unwrap();
        assert_eq!(parse("always_on", None), Sampler { ratio: 1.0, parent_based: false });
        assert_eq!(parse("ALWAYS_OFF", Some("0.5")), Sampler { ratio: 0.0, parent_based: false });
        assert_eq!(parse("traceidratio", Some(" 0.25 ")), Sampler { ratio: 0.25, parent_based: false });
        assert_eq!(parse("traceidratio", None), Sampler { ratio: 1.0, parent_based: false });
        assert_eq!(parse("parentbased_always_on", None), Sampler::default());
        assert_eq!(parse("parentbased_always_off", None), Sampler { ratio: 0.0, parent_based: true });
        assert_eq!(parse("parentbased_traceidratio", Some("1e-3")), Sampler { ratio: 0.001, parent_based: true });
        assert_eq!(Sampler::parse("jaeger_remote", None), Err(SamplerError::UnknownName));
        for argument in ["1.1", "-0.1", "ten", "NaN", ""] {
            assert_eq!(Sampler::parse("traceidratio", Some(argument)), Err(SamplerError::InvalidRatio));
        }
    }

    #[test]
    fn parent_based_samplers_follow_their_parent_every_time() {
        let mut rng = rand::rng();
        for ratio in [0.0, 0.5, 1.0] {
            for (flags, sampled) in [(Flags::SAMPLED, true), (Flags::new(false, false), false)] {
                let parent_based = Sampler { ratio, parent_based: true };
                assert!((0..1000).all(|_| parent_based.decide(Some(flags), &mut rng) == sampled));
            }
        }
        assert!(
            (0..1000)
                .all(|_| Sampler { ratio: 1.0, parent_based: false }.decide(Some(Flags::new(false, false)), &mut rng))
        );
        assert!((0..1000).all(|_| !Sampler { ratio: 0.0, parent_based: false }.decide(Some(Flags::SAMPLED), &mut rng)));
    }
}
