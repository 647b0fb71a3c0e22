use std::collections::HashSet;

use super::*;
use crate::context::ids::TraceIdFormat;
use crate::context::policy::Scope;
use crate::context::sampler::Sampler;
use crate::context::traceparent::{self, SpanContext};

fn sampled(ratio: f64) -> Policy {
    Policy { sampler: Sampler { ratio, parent_based: true }, ..Policy::default() }
}

fn parent(flags: &str) -> SpanContext {
    traceparent::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")).unwrap()
}

#[test]
fn every_context_has_a_span_id_of_its_own() {
    let issuer = Issuer::start(Policy::default());
    let mut seen = HashSet::from([issuer.session().span_id]);
    assert!(issuer.contexts(1000).iter().all(|context| seen.insert(context.span_id)));
    assert!(issuer.traces(1000).iter().all(|trace| seen.insert(trace.span_id)));
}

#[test]
fn the_sampler_decides_the_flags_of_the_whole_session() {
    for (ratio, flags) in [(1.0, Flags::SAMPLED), (0.0, Flags::new(false, false))] {
        let issuer = Issuer::start(sampled(ratio));
        assert_eq!(issuer.session().flags, flags);
        assert!(issuer.contexts(3).iter().all(|context| context.flags == flags));
    }
}

#[test]
fn a_resumed_session_keeps_its_context() {
    let session = Issuer::start(sampled(0.0)).session();
    assert_eq!(Issuer::resume(Policy::default(), session).session(), session);
}

#[test]
fn navigations_can_be_sampled_one_by_one_below_a_sampled_root() {
    let issuer = Issuer::start(Policy { sample_per: SamplePer::Navigation, ..sampled(0.5) });
    assert_eq!(issuer.session().flags, Flags::SAMPLED);
    let count = issuer.contexts(1000).iter().filter(|context| context.flags.is_sampled()).count();
    assert!((300..700).contains(&count), "{count}");
}

#[test]
fn a_ratio_of_zero_leaves_the_root_unsampled_too() {
    let policy = Policy { sample_per: SamplePer::Navigation, ..sampled(0.0) };
    assert_eq!(Issuer::start(policy).session().flags, Flags::new(false, false));
}

#[test]
fn a_session_joins_its_parents_trace_and_follows_its_flags() {
    for (flags, expected) in [("01", "01"), ("00", "00"), ("03", "01"), ("ff", "01"), ("02", "00")] {
        let policy = Policy { parent: Some(parent(flags)), scope: Scope::Tab, ..sampled(0.5) };
        assert_eq!(policy.scope(), Scope::Session);
        let issuer = Issuer::start(policy.clone());
        assert_eq!(issuer.session().trace_id, parent(flags).trace_id);
        assert_eq!(issuer.session().flags.to_string(), expected);
        let per_navigation = Issuer::start(Policy { sample_per: SamplePer::Navigation, ..policy });
        assert!(per_navigation.contexts(50).iter().all(|context| context.flags.to_string() == expected));
    }
    let ignoring = Policy { parent: Some(parent("01")), ..Policy::default() };
    let ignoring = Policy { sampler: Sampler { ratio: 0.0, parent_based: false }, ..ignoring };
    assert_eq!(Issuer::start(ignoring).session().flags, Flags::new(false, false));
}

#[test]
fn the_random_flag_follows_ids_or_parent() {
    let level_2 = |policy| Issuer::start(Policy { random_flag: true, ..policy }).session().flags.to_string();
    assert_eq!(level_2(Policy::default()), "03");
    assert_eq!(level_2(sampled(0.0)), "02");
    assert_eq!(level_2(Policy { id_format: TraceIdFormat::K6Local, ..Policy::default() }), "01");
    for (flags, expected) in [("01", "01"), ("02", "02"), ("ff", "03")] {
        assert_eq!(level_2(Policy { parent: Some(parent(flags)), ..Policy::default() }), expected);
    }
}

/// For a ratio of 0.1 and 20,000 traces, the 99.9 % interval of the binomial distribution is 2,000 ± 140. One run in a thousand may be outside, so
/// the test fails only if two in a row are.
#[test]
fn a_ratio_holds_for_every_id_format() {
    for id_format in [TraceIdFormat::Random, TraceIdFormat::K6Local, TraceIdFormat::K6Cloud] {
        let policy = Policy { id_format, ..sampled(0.1) };
        let count = || {
            let sessions = (0..10_000).map(|_| Issuer::start(policy.clone()).session());
            let traces = Issuer::start(policy.clone()).traces(10_000);
            sessions.chain(traces).filter(|context| context.flags.is_sampled()).count()
        };
        let counts = [count(), count()];
        assert!(counts.iter().any(|count| (1860..=2140).contains(count)), "{id_format:?}: {counts:?}");
    }
}
