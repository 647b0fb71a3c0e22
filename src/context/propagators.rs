//! Propagators: how a context is written into headers and read from them. `extension/context/propagators.js` is the same table; both sides are
//! held against the same fixtures (`tests/fixtures/propagation`). The extension reads and writes requests; what is read here is the environment.
//!
//! <https://opentelemetry.io/docs/specs/otel/context/api-propagators/>

mod b3;
mod baggage;
mod jaeger;
mod tracecontext;
mod tracestate;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};

pub(crate) use baggage::Baggage;
pub(crate) use tracestate::Tracestate;

/// A span of somebody else's, as headers name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanContext {
    /// Its trace.
    pub(crate) trace_id: TraceId,
    /// Its id.
    pub(crate) span_id: SpanId,
    /// Its trace flags as they were read; see [`Policy::flags`](super::policy::Policy::flags).
    pub(crate) flags: Flags,
    /// What other vendors say of the trace.
    pub(crate) tracestate: Tracestate,
}

/// Everything that headers carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// The span.
    pub(crate) span: Option<SpanContext>,
    /// The baggage.
    pub(crate) baggage: Baggage,
}

/// Why headers can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {reason}")]
pub(crate) struct Invalid {
    /// The header.
    pub(crate) header: &'static str,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl Invalid {
    fn new(header: &'static str, reason: impl Into<String>) -> Self {
        Self { header, reason: reason.into() }
    }
}

/// One format of headers.
pub(crate) trait Propagator: Sync {
    /// The headers that belong to it: whoever writes some of them takes the others away.
    fn fields(&self) -> &'static [&'static str];

    /// Hands the headers for a context to `set`.
    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String));

    /// Reads headers, which `get` finds by their lower-case names, into a context. What is not there changes nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when headers of this format are there and can't be used, or some part of them can't; the part that can be is taken.
    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid>;
}

/// The propagators there are, by the names of `OTEL_PROPAGATORS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// W3C Trace Context.
    Tracecontext,
    /// W3C Baggage.
    Baggage,
    /// B3 in one header.
    B3,
    /// B3 in several headers.
    B3multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
}

/// Every name, with `w3c`, which is k6's word for Trace Context.
const NAMES: [(&str, Name); 6] = [
    ("tracecontext", Name::Tracecontext),
    ("baggage", Name::Baggage),
    ("b3", Name::B3),
    ("b3multi", Name::B3multi),
    ("jaeger", Name::Jaeger),
    ("w3c", Name::Tracecontext),
];

impl Name {
    /// What OpenTelemetry uses unless told otherwise.
    pub(crate) const DEFAULT: [Self; 2] = [Self::Tracecontext, Self::Baggage];

    /// Reads a list as `OTEL_PROPAGATORS` has it: duplicates are dropped, `none` is no propagator at all. Gives the unknown names apart.
    pub(crate) fn list(text: &str) -> (Vec<Self>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
                Some((_, name)) if known.contains(name) => {}
                Some((_, name)) => known.push(*name),
                None if word.eq_ignore_ascii_case("none") => {}
                None => unknown.push(word.to_owned()),
            }
        }
        (known, unknown)
    }

    /// Every name.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name).chain(["none"])
    }

    /// Its name in `OTEL_PROPAGATORS`.
    pub(crate) fn as_str(self) -> &'static str {
        NAMES.iter().find(|(_, name)| *name == self).map_or("", |(text, _)| text)
    }

    /// What it stands for.
    pub(crate) fn propagator(self) -> &'static dyn Propagator {
        match self {
            Self::Tracecontext => &tracecontext::TraceContext,
            Self::Baggage => &baggage::BaggagePropagator,
            Self::B3 => &b3::Single,
            Self::B3multi => &b3::Multi,
            Self::Jaeger => &jaeger::Jaeger,
        }
    }
}

/// Reads hex digits of an id in any of the older formats: up to `digits` of them, with zeros before fewer.
fn padded<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    let fits = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| format!("{:0>digits$}", text.to_ascii_lowercase()))?.parse().ok()
}

#[cfg(test)]
mod tests;
