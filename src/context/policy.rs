//! The user's choices about trace context: header formats, sampling, scope, targets.

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, TraceId, TraceIdFormat};
use crate::context::propagator::Propagator;
use crate::context::redaction::Redaction;
use crate::context::resources::{OtherResources, ResourceType, Resources};
use crate::context::sampler::Sampler;
use crate::context::targets::{self, MatchPattern};
use crate::context::traceparent::SpanContext;

/// The part of a browser session that shares a trace id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// The whole browser process.
    Session,
    /// A browser context.
    #[default]
    Context,
    /// All navigations of a tab.
    Tab,
    /// A single navigation.
    Navigation,
}

/// The unit for which sampling is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum SamplePer {
    /// A trace.
    #[default]
    Trace,
    /// A navigation. Its session is then sampled too, so that no parent is missing.
    Navigation,
}

/// How to treat a context that the page's own instrumentation has set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Existing {
    /// Replace it, and link our span to it.
    #[default]
    Override,
    /// Leave it alone.
    Keep,
}

/// How Incognito windows are treated, and other off-the-record contexts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Incognito {
    /// As all others: where test clients drive the browser, their pages may all be off the record.
    #[default]
    Shared,
    /// Requests carry contexts of traces apart, and nothing is observed.
    Headers,
    /// Requests carry contexts of traces apart.
    Export,
}

/// The user's choices.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub(crate) propagators: Vec<Propagator>,
    pub(crate) sampler: Sampler,
    pub(crate) sample_per: SamplePer,
    pub(crate) scope: Scope,
    /// Whether the client opens each page of a browser context in a window of its own.
    pub(crate) window_per_page: bool,
    pub(crate) id_format: TraceIdFormat,
    /// Whether to set the flag of W3C Trace Context level 2 for random trace ids.
    pub(crate) random_flag: bool,
    pub(crate) existing: Existing,
    pub(crate) incognito: Incognito,
    /// Addresses that get headers; all if empty.
    pub(crate) targets: Vec<MatchPattern>,
    /// Addresses that get no headers although they are targets.
    pub(crate) exclude: Vec<MatchPattern>,
    /// Addresses of the collector, to which pages may export too. They get no headers and no spans.
    pub(crate) collector: Vec<String>,
    /// Kinds of requests that have a span of their own.
    pub(crate) resources: Resources,
    /// What requests of other kinds carry.
    pub(crate) other_resources: OtherResources,
    /// Which parts of addresses are secret.
    pub(crate) redaction: Redaction,
    /// The span of another process that is the parent of the session.
    pub(crate) parent: Option<SpanContext>,
    /// The span of another process to which the session, whose trace is its own, has a link.
    pub(crate) linked: Option<SpanContext>,
    /// The `baggage` of every request; empty if there is none.
    pub(crate) baggage: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            propagators: Propagator::DEFAULT.to_vec(),
            sampler: Sampler::default(),
            sample_per: SamplePer::default(),
            scope: Scope::default(),
            window_per_page: false,
            id_format: TraceIdFormat::default(),
            random_flag: false,
            existing: Existing::default(),
            incognito: Incognito::default(),
            targets: Vec::new(),
            exclude: Vec::new(),
            collector: Vec::new(),
            resources: Resources::default(),
            other_resources: OtherResources::default(),
            redaction: Redaction::default(),
            parent: None,
            linked: None,
            baggage: String::new(),
        }
    }
}

/// The part of a [`Policy`] that the extension needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Propagation {
    /// The header formats, by the names of `OTEL_PROPAGATORS`.
    pub(crate) propagators: Vec<Propagator>,
    /// Decides for the traces that the extension begins or continues by itself.
    pub(crate) sampler: Sampler,
    pub(crate) sample_per: SamplePer,
    pub(crate) scope: Scope,
    /// Whether the session's trace is another process's, so that browser contexts have spans in it instead of traces of their own. An earlier host
    /// does not say.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub(crate) joined: bool,
    /// Whether the client opens each page of a browser context in a window of its own, as k6 does. An earlier host does not say.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub(crate) window_per_page: bool,
    /// Whether to set the flag of W3C Trace Context level 2 for random trace ids.
    pub(crate) random_flag: bool,
    pub(crate) existing: Existing,
    /// The `tracestate` of the session's trace; empty if there is none.
    pub(crate) tracestate: String,
    /// The `baggage` of the session; empty if there is none.
    pub(crate) baggage: String,
    /// Addresses that get headers, as regular expressions valid in RE2 and JavaScript; all if empty.
    pub(crate) targets: Vec<String>,
    /// Addresses that get no headers although they are targets, as regular expressions.
    pub(crate) exclude: Vec<String>,
    /// Addresses of the collector without a query, to which pages may export too: they get no headers and no spans. An earlier host does
    /// not say.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub(crate) collector: Vec<String>,
    /// Domains and IPv4 addresses that cover all targets, for filters of the browser; all hosts if empty.
    pub(crate) domains: Vec<String>,
    /// Kinds of requests that have a span of their own; all if empty.
    pub(crate) resources: Vec<ResourceType>,
    /// What requests of other kinds carry.
    pub(crate) other_resources: OtherResources,
    /// How Incognito windows are treated. An earlier host does not say.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<Incognito>"))]
    pub(crate) incognito: Incognito,
}

impl Policy {
    /// Returns the context that the environment names, whatever it is to the session.
    pub(crate) fn run_context(&self) -> Option<&SpanContext> {
        self.parent.as_ref().or(self.linked.as_ref())
    }

    /// Returns the scope in force: a session with a parent is part of one trace as a whole, in which browser contexts can have spans.
    pub(crate) fn scope(&self) -> Scope {
        match self.scope {
            Scope::Tab | Scope::Navigation if self.parent.is_some() => Scope::Session,
            scope => scope,
        }
    }

    /// Whether parts of a session have traces of their own.
    pub(crate) fn has_traces(&self) -> bool {
        self.parent.is_none() && self.scope != Scope::Session
    }

    /// Returns the unit of sampling in force: a session that follows its parent's decision takes none of its own.
    pub(crate) fn sample_per(&self) -> SamplePer {
        if self.parent.is_some() && self.sampler.parent_based { SamplePer::Trace } else { self.sample_per }
    }

    /// Whether parts of a session may be sampled although the session is not.
    pub(crate) fn samples_parts(&self) -> bool {
        let is_any_sampled = self.sampler.ratio > 0.0 || self.sampler.parent_based;
        is_any_sampled && (self.has_traces() || self.sample_per() == SamplePer::Navigation)
    }

    /// Returns the flags of a trace, or of a part of it, that begins here or continues a context with the flags `parent`.
    pub(crate) fn flags(&self, sampled: bool, parent: Option<Flags>) -> Flags {
        let random = match parent {
            Some(flags) => flags.is_random(),
            None => self.id_format == TraceIdFormat::Random,
        };
        Flags::new(sampled, self.random_flag && random)
    }

    /// Returns the policy with another sampling ratio, other targets and other resources, where given, or a sentence that says which value is
    /// invalid.
    pub(crate) fn with_choice(
        &self,
        ratio: Option<f64>,
        targets: Option<&[String]>,
        resources: Option<&[String]>,
    ) -> Result<Self, String> {
        let mut policy = self.clone();
        if let Some(ratio) = ratio {
            if !(0.0..=1.0).contains(&ratio) {
                return Err(format!("{ratio} is not a sampling ratio: expected a number from 0 to 1"));
            }
            policy.sampler.ratio = ratio;
        }
        if let Some(targets) = targets {
            policy.targets = targets::patterns(targets)?;
        }
        if let Some(resources) = resources {
            policy.resources =
                Resources::parse(resources).map_err(|name| format!("{name} is not a kind of request"))?;
        }
        Ok(policy)
    }

    /// Returns the part that the extension needs for a session in this trace.
    pub(crate) fn propagation(&self, trace_id: TraceId) -> Propagation {
        let parent = self.parent.as_ref().filter(|parent| parent.trace_id == trace_id);
        let regexes = |patterns: &[MatchPattern]| patterns.iter().flat_map(MatchPattern::regexes).cloned().collect();
        Propagation {
            propagators: self.propagators.clone(),
            sampler: self.sampler,
            sample_per: self.sample_per(),
            scope: self.scope(),
            joined: parent.is_some(),
            window_per_page: self.window_per_page,
            random_flag: self.random_flag,
            existing: self.existing,
            tracestate: parent.map(|parent| parent.tracestate.clone()).unwrap_or_default(),
            baggage: self.baggage.clone(),
            targets: regexes(&self.targets),
            exclude: regexes(&self.exclude),
            collector: self.collector.clone(),
            domains: MatchPattern::domains(&self.targets).unwrap_or_default(),
            resources: self.resources.kinds().to_vec(),
            other_resources: self.other_resources,
            incognito: self.incognito,
        }
    }
}
