//! Issues the contexts of one session: the session's trace id and root span, span ids for its coming navigations, and spare traces for navigations
//! that need a trace of their own.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::policy::{Policy, SamplePer};

/// The context of a trace's first span. Requests that belong to no tab carry the session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SessionContext {
    /// The trace id: 32 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub trace_id: TraceId,
    /// The span id: 16 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub span_id: SpanId,
    /// The W3C trace-flags: 2 lower-case hex digits.
    #[cfg_attr(test, ts(type = "string"))]
    pub flags: Flags,
}

/// The context of one navigation within a known trace.
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

#[derive(Debug)]
pub(crate) struct Issuer {
    policy: Policy,
    session: SessionContext,
}

impl Issuer {
    /// Starts a session in the trace of the policy's parent, or in a new trace.
    pub(crate) fn start(policy: Policy) -> Self {
        let mut rng = rand::rng();
        let parent = policy.parent.as_ref();
        let flags = parent.map(|parent| parent.flags);
        let sampled = policy.sampler.decide(flags, &mut rng);
        // A sampled navigation needs a sampled root, so the root is sampled if any navigation may be.
        let any_navigation = policy.sample_per() == SamplePer::Navigation && policy.sampler.ratio > 0.0;
        let session = SessionContext {
            trace_id: parent
                .map_or_else(|| policy.id_format.trace_id(SystemTime::now(), &mut rng), |parent| parent.trace_id),
            span_id: SpanId::random(&mut rng),
            flags: policy.flags(sampled || any_navigation, flags),
        };
        Self::resume(policy, session)
    }

    /// Continues a session, with its sampling decision.
    pub(crate) fn resume(policy: Policy, session: SessionContext) -> Self {
        Self { policy, session }
    }

    pub(crate) fn session(&self) -> SessionContext {
        self.session
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Issues contexts for the next `count` navigations of the session's trace.
    pub(crate) fn contexts(&self, count: usize) -> Vec<NavigationContext> {
        let mut rng = rand::rng();
        let mut context = || {
            let flags = match self.policy.sample_per() {
                SamplePer::Trace => self.session.flags,
                SamplePer::Navigation => {
                    let sampled = self.policy.sampler.decide(None, &mut rng);
                    Flags::new(sampled, self.session.flags.is_random())
                }
            };
            NavigationContext { span_id: SpanId::random(&mut rng), flags }
        };
        (0..count).map(|_| context()).collect()
    }

    /// Issues `count` new traces.
    pub(crate) fn traces(&self, count: usize) -> Vec<SessionContext> {
        let mut rng = rand::rng();
        let mut trace = || SessionContext {
            trace_id: self.policy.id_format.trace_id(SystemTime::now(), &mut rng),
            span_id: SpanId::random(&mut rng),
            flags: self.policy.flags(self.policy.sampler.decide(None, &mut rng), None),
        };
        (0..count).map(|_| trace()).collect()
    }
}

#[cfg(test)]
mod tests;
