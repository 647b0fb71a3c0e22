//! Issues the contexts of one session: its trace id and root span, then span ids for the navigations to come.

use serde::{Deserialize, Serialize};

use super::ids::{Flags, SpanId, TraceId};
use super::sampler::Sampler;

/// What the session's root span carries, and every request that belongs to no tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SessionContext {
    /// The trace id that the whole session shares: 32 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub trace_id: TraceId,
    /// The root span's id: 16 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub span_id: SpanId,
    /// The W3C trace-flags: 2 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub flags: Flags,
}

/// What one navigation's requests carry, next to the session's trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NavigationContext {
    /// The navigation's span id: 16 lower-case hex digits, used for one navigation only.
    #[cfg_attr(test, ts(type = "string"))]
    pub span_id: SpanId,
    /// The W3C trace-flags: 2 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub flags: Flags,
}

/// Issues contexts for one session.
#[derive(Debug)]
pub struct Issuer {
    session: SessionContext,
}

impl Issuer {
    /// Starts a session of its own trace.
    #[must_use]
    pub fn start(sampler: Sampler) -> Self {
        let mut rng = rand::rng();
        Self::resume(SessionContext {
            trace_id: TraceId::random(&mut rng),
            span_id: SpanId::random(&mut rng),
            flags: sampler.flags(),
        })
    }

    /// Continues a session whose requests carry `session` already, with the decision that was taken for it.
    #[must_use]
    pub fn resume(session: SessionContext) -> Self {
        Self { session }
    }

    /// The session's context.
    #[must_use]
    pub fn session(&self) -> SessionContext {
        self.session
    }

    /// Issues contexts for the next `count` navigations.
    #[must_use]
    pub fn contexts(&self, count: usize) -> Vec<NavigationContext> {
        let mut rng = rand::rng();
        (0..count).map(|_| NavigationContext { span_id: SpanId::random(&mut rng), flags: self.session.flags }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_context_has_a_span_id_of_its_own() {
        let issuer = Issuer::start(Sampler::AlwaysOn);
        let mut seen = HashSet::from([issuer.session().span_id]);
        assert!(issuer.contexts(1000).iter().all(|context| seen.insert(context.span_id)));
    }

    #[test]
    fn the_sampler_decides_the_flags_of_the_whole_session() {
        for (sampler, flags) in [(Sampler::AlwaysOn, Flags::SAMPLED), (Sampler::AlwaysOff, Flags::NOT_SAMPLED)] {
            let issuer = Issuer::start(sampler);
            assert_eq!(issuer.session().flags, flags);
            assert!(issuer.contexts(3).iter().all(|context| context.flags == flags));
        }
    }

    #[test]
    fn a_resumed_session_keeps_its_context() {
        let session = Issuer::start(Sampler::AlwaysOff).session();
        assert_eq!(Issuer::resume(session).session(), session);
    }
}
