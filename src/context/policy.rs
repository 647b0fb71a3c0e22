//! How contexts are made and carried: everything that the user may choose of it.

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, TraceId, TraceIdFormat};
use crate::context::propagators::{Baggage, Name, SpanContext};
use crate::context::sampler::Sampler;
use crate::context::targets::{self, MatchPattern};

/// What shares a trace id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Everything in a browser process.
    #[default]
    Session,
    /// The navigations of a tab.
    Tab,
    /// One navigation.
    Navigation,
}

/// What a sampling decision is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum SamplePer {
    /// A whole trace.
    #[default]
    Trace,
    /// One navigation. What is above it is sampled then, so that no parent is missing.
    Navigation,
}

/// What becomes of a context that the page's own instrumentation has set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Existing {
    /// It gives way to ours, whose span has a link to it.
    #[default]
    Override,
    /// It stays.
    Keep,
}

/// How contexts are made and carried.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The formats of headers.
    pub(crate) propagators: Vec<Name>,
    /// Which traces are sampled.
    pub(crate) sampler: Sampler,
    /// What a decision is for.
    pub(crate) sample_per: SamplePer,
    /// What shares a trace id.
    pub(crate) scope: Scope,
    /// How trace ids are made.
    pub(crate) id_format: TraceIdFormat,
    /// Whether flags are those of W3C Trace Context level 2, which has one that tells of random trace ids.
    pub(crate) random_flag: bool,
    /// What becomes of contexts that requests have already.
    pub(crate) existing: Existing,
    /// Who gets headers; everybody when empty.
    pub(crate) targets: Vec<MatchPattern>,
    /// Who gets none all the same.
    pub(crate) exclude: Vec<MatchPattern>,
    /// The span of somebody else's that the session is part of, if it is.
    pub(crate) parent: Option<SpanContext>,
    /// What goes with every context of the session.
    pub(crate) baggage: Baggage,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            propagators: Name::DEFAULT.to_vec(),
            sampler: Sampler::default(),
            sample_per: SamplePer::default(),
            scope: Scope::default(),
            id_format: TraceIdFormat::default(),
            random_flag: false,
            existing: Existing::default(),
            targets: Vec::new(),
            exclude: Vec::new(),
            parent: None,
            baggage: Baggage::default(),
        }
    }
}

/// The part of a [`Policy`] that the extension needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Propagation {
    /// The formats of headers, by the names of `OTEL_PROPAGATORS`.
    pub(crate) propagators: Vec<Name>,
    /// Which traces are sampled, for those that the extension begins or continues itself.
    pub(crate) sampler: Sampler,
    /// What a decision is for.
    pub(crate) sample_per: SamplePer,
    /// What shares a trace id.
    pub(crate) scope: Scope,
    /// Whether flags are those of W3C Trace Context level 2.
    pub(crate) random_flag: bool,
    /// What becomes of contexts that requests have already.
    pub(crate) existing: Existing,
    /// The `tracestate` of the session's trace; empty if it has none.
    pub(crate) tracestate: String,
    /// The `baggage` of the session; empty if it has none.
    pub(crate) baggage: String,
    /// Who gets headers: regular expressions for addresses, as RE2 and JavaScript have them; everybody when empty.
    pub(crate) targets: Vec<String>,
    /// Who gets none all the same.
    pub(crate) exclude: Vec<String>,
}

impl Policy {
    /// The scope, which is the session's where that is part of somebody else's trace as a whole.
    pub(crate) fn scope(&self) -> Scope {
        if self.parent.is_some() { Scope::Session } else { self.scope }
    }

    /// What a decision is for: a session that follows its parent has none of its own to take.
    pub(crate) fn sample_per(&self) -> SamplePer {
        if self.parent.is_some() && self.sampler.parent_based { SamplePer::Trace } else { self.sample_per }
    }

    /// Whether parts of a session may be sampled although it is not.
    pub(crate) fn decides_on_parts(&self) -> bool {
        self.scope() != Scope::Session || self.sample_per() == SamplePer::Navigation
    }

    /// The flags of a trace, or a part of one, that begins here or continues `parent`.
    pub(crate) fn flags(&self, sampled: bool, parent: Option<Flags>) -> Flags {
        let random = match parent {
            Some(flags) => flags.is_random(),
            None => self.id_format == TraceIdFormat::Random,
        };
        Flags::new(sampled, self.random_flag && random)
    }

    /// The policy with another choice of the sampler's ratio and of who gets headers, each as it is here where there is none.
    ///
    /// # Errors
    ///
    /// A sentence that says what can't be chosen.
    pub(crate) fn with_choice(&self, ratio: Option<f64>, targets: Option<&[String]>) -> Result<Self, String> {
        let mut policy = self.clone();
        if let Some(ratio) = ratio {
            if !(0.0..=1.0).contains(&ratio) {
                return Err(format!("{ratio} is no share of traces to sample: expected a number from 0 to 1"));
            }
            policy.sampler.ratio = ratio;
        }
        if let Some(targets) = targets {
            policy.targets = targets::patterns(targets)?;
        }
        Ok(policy)
    }

    /// What the extension needs, in a session of this trace.
    pub(crate) fn propagation(&self, trace_id: TraceId) -> Propagation {
        let parent = self.parent.as_ref().filter(|parent| parent.trace_id == trace_id);
        let regexes = |patterns: &[MatchPattern]| patterns.iter().flat_map(MatchPattern::regexes).cloned().collect();
        Propagation {
            propagators: self.propagators.clone(),
            sampler: self.sampler,
            sample_per: self.sample_per(),
            scope: self.scope(),
            random_flag: self.random_flag,
            existing: self.existing,
            tracestate: parent.map(|parent| parent.tracestate.to_string()).unwrap_or_default(),
            baggage: self.baggage.to_string(),
            targets: regexes(&self.targets),
            exclude: regexes(&self.exclude),
        }
    }
}
