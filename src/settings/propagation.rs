//! Rows of the settings about what requests carry: targets, scopes, formats, sampling, and the trace to join.

use crate::base::suggest::nearest;
use crate::context::ids::TraceIdFormat;
use crate::context::policy::{Existing, Incognito, Policy, SamplePer, Scope};
use crate::context::propagator::Propagator;
use crate::context::redaction::Redaction;
use crate::context::resources::{OtherResources, Resources};
use crate::context::sampler::{self, Sampler};
use crate::context::targets;
use crate::context::traceparent::{self, SpanContext};
use crate::context::{baggage, tracestate};
use crate::settings::setting::{Read, SETTING, Secret, Setting, put};
use crate::settings::value;

/// Values that depend on each other. The [`Policy`] is completed from them once all settings are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RawPolicy {
    sampler: Option<String>,
    sampler_argument: Option<String>,
    parent: Option<SpanContext>,
    tracestate: String,
    relation: Relation,
}

/// What the context in the environment is to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Relation {
    /// The session is part of its trace.
    #[default]
    Join,
    /// The session has a trace of its own and a link.
    Link,
}

impl RawPolicy {
    /// Completes the policy. Returns warnings about settings without effect.
    pub(super) fn complete(&self, policy: &mut Policy) -> Vec<String> {
        let mut warnings = Vec::new();
        let sampler = self.sampler.as_ref().map(|name| Sampler::parse(name, self.sampler_argument.as_deref()));
        if let Some(Ok(sampler)) = sampler {
            policy.sampler = sampler;
        }
        let has_ratio = self.sampler.as_ref().is_some_and(|name| name.to_ascii_lowercase().ends_with("traceidratio"));
        if self.sampler_argument.is_some() && !has_ratio {
            warnings.push(
                "OTEL_TRACES_SAMPLER_ARG has no effect without OTEL_TRACES_SAMPLER=parentbased_traceidratio".to_owned(),
            );
        }
        let context = self.parent.clone().map(|parent| SpanContext { tracestate: self.tracestate.clone(), ..parent });
        match self.relation {
            Relation::Join => policy.parent = context,
            Relation::Link => {
                let is_unsampled = context.as_ref().is_some_and(|context| !context.flags.is_sampled());
                if is_unsampled && policy.sampler.parent_based {
                    policy.sampler.ratio = 0.0;
                }
                policy.linked = context;
            }
        }
        if policy.scope() != policy.scope {
            warnings
                .push("NAVTRACE_SCOPE has no effect: TRACEPARENT makes the whole session part of one trace".to_owned());
        }
        warnings
    }
}

const SCOPES: [(&str, Scope); 4] =
    [("session", Scope::Session), ("context", Scope::Context), ("tab", Scope::Tab), ("navigation", Scope::Navigation)];

const SAMPLE_PER: [(&str, SamplePer); 2] = [("trace", SamplePer::Trace), ("navigation", SamplePer::Navigation)];

const ID_FORMATS: [(&str, TraceIdFormat); 3] =
    [("random", TraceIdFormat::Random), ("k6-local", TraceIdFormat::K6Local), ("k6-cloud", TraceIdFormat::K6Cloud)];

const OTHER_RESOURCES: [(&str, OtherResources); 2] =
    [("session", OtherResources::Session), ("none", OtherResources::None)];

const INCOGNITO: [(&str, Incognito); 2] = [("headers", Incognito::Headers), ("export", Incognito::Export)];

const RELATIONS: [(&str, Relation); 2] = [("join", Relation::Join), ("link", Relation::Link)];

pub(crate) const PARENT: &str = "NAVTRACE_PARENT";

pub(super) const SCOPE: &str = "NAVTRACE_SCOPE";

const EXISTING: [(&str, Existing); 2] = [("override", Existing::Override), ("keep", Existing::Keep)];

pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "NAVTRACE_TARGETS",
        flag: Some("targets"),
        default: "everything",
        meaning: "which requests get headers and are traced: [match patterns](https://developer.chrome.com/docs/extensions/develop/concepts/match-patterns), such \
                  as `https://*.shop.test/*`; `http` and `https` cover WebSockets too, and the query is not compared",
        read: Read::List(|config, items| put(&mut config.policy.targets, targets::patterns(items))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_EXCLUDE",
        flag: Some("exclude"),
        meaning: "which of these get no headers and are not traced",
        read: Read::List(|config, items| put(&mut config.policy.exclude, targets::patterns(items))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_REDACT",
        flag: Some("redact"),
        meaning: "further names of parameters in addresses whose values are [secret](spans.md#secrets), such as `voucher`; `*pin` is every name that ends so",
        read: Read::List(|config, items| put(&mut config.policy.redaction, Redaction::with(items))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_RESOURCES",
        flag: Some("resources"),
        default: "`all`",
        meaning: "which kinds of requests have a span of their own: `all`, `calls` (documents, fetch and XHR, WebSockets, pings), or [Chrome's names](https://developer.chrome.com/docs/extensions/reference/api/webRequest#type-ResourceType) \
                  such as `script`; `calls` costs less",
        read: Read::List(|config, items| {
            let resources = Resources::parse(items).map_err(|name| {
                let names = Resources::names().collect::<Vec<_>>().join(", ");
                format!("{}; there are {names}", value::unknown(name, Resources::names()))
            });
            put(&mut config.policy.resources, resources)
        }),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_OTHER_RESOURCES",
        flag: Some("other-resources"),
        default: "`session`",
        meaning: "what requests of the other kinds carry: the `session`'s context (in lightweight mode the navigation's), or `none`",
        choices: || value::names(&OTHER_RESOURCES),
        read: Read::Text(|config, text| put(&mut config.policy.other_resources, value::one_of(text, &OTHER_RESOURCES))),
        ..SETTING
    },
    Setting {
        name: SCOPE,
        flag: Some("scope"),
        default: "`context`",
        meaning: "what shares a trace id: `session`, `context` (a browser context), `tab` or `navigation` (the default in [your own \
                  browser](own-browser.md)); traces of one session have links to each other",
        choices: || value::names(&SCOPES),
        read: Read::Text(|config, text| put(&mut config.policy.scope, value::one_of(text, &SCOPES))),
        ..SETTING
    },
    Setting {
        name: PARENT,
        is_for_launch: true,
        flag: Some("parent"),
        default: "`join`; k6: `link`",
        meaning: "what the context in `TRACEPARENT` is to a session: `join` makes all sessions part of its trace; with `link`, the default of \
                  `run -- k6`, they have [traces of their own](spans.md#runs) with a link to it",
        choices: || value::names(&RELATIONS),
        read: Read::Text(|config, text| put(&mut config.raw_policy.relation, value::one_of(text, &RELATIONS))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_INCOGNITO",
        flag: Some("incognito"),
        default: "`headers`",
        meaning: "what is traced of Incognito windows of [your own browser](own-browser.md), where each navigation has a trace of its own. With \
                  `headers` their requests carry headers, and nothing about them is exported or stored; with `export` they are exported too",
        choices: || value::names(&INCOGNITO),
        read: Read::Text(|config, text| put(&mut config.incognito, value::one_of(text, &INCOGNITO))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_EXISTING",
        flag: Some("existing"),
        default: "`override`",
        meaning: "what happens to a context of another trace that the page's own instrumentation has set, in whatever format: `override` it and \
                  link to it, or `keep` it (detailed mode only: rules can't see it)",
        choices: || value::names(&EXISTING),
        read: Read::Text(|config, text| put(&mut config.policy.existing, value::one_of(text, &EXISTING))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_ID_FORMAT",
        flag: Some("id-format"),
        default: "`random`",
        meaning: "the format of trace ids: `random`, or k6's own: `k6-local`, `k6-cloud`",
        choices: || value::names(&ID_FORMATS),
        read: Read::Text(|config, text| put(&mut config.policy.id_format, value::one_of(text, &ID_FORMATS))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_RANDOM_FLAG",
        flag: Some("random-flag"),
        default: "`off`",
        meaning: "`on`: the flags of W3C Trace Context level 2, with `02` for random trace ids; SDKs of level 1 lose such contexts",
        read: Read::Switch(|config, on| config.policy.random_flag = on),
        ..SETTING
    },
    Setting {
        name: "OTEL_PROPAGATORS",
        flag: Some("propagators"),
        default: "`tracecontext,baggage`",
        meaning: "the headers: `tracecontext` (or `w3c`), `baggage`, `b3`, `b3multi`, `jaeger`, several at once; or `none`",
        read: Read::List(|config, items| {
            let (known, unknown) = Propagator::parse_list(&items.join(","));
            if let Some(name) = unknown.first() {
                let unknown = value::unknown(name, Propagator::names());
                let reason = format!("{unknown}; there are tracecontext, baggage, b3, b3multi, jaeger and none");
                if known.is_empty() {
                    return Err(reason);
                }
                config.ignored_part = Some(reason);
            }
            config.policy.propagators = known;
            Ok(())
        }),
        ..SETTING
    },
    Setting {
        name: sampler::SETTING,
        flag: Some("traces-sampler"),
        default: "`parentbased_always_on`",
        meaning: "`always_on`, `always_off` or `traceidratio`, each also as `parentbased_…`: the header is always sent, only its sampled flag differs, and \
                  unsampled spans are not exported",
        choices: || Sampler::names().collect(),
        read: Read::Text(|config, text| {
            let names = || Sampler::names().collect::<Vec<_>>().join(", ");
            let expected = || match nearest(text, Sampler::names()) {
                Some(nearest) => format!("did you mean {nearest}? ({})", names()),
                None => format!("expected {}", names()),
            };
            Sampler::parse(text, None).map_err(|_| expected())?;
            put(&mut config.raw_policy.sampler, Ok(Some(text.to_owned())))
        }),
        ..SETTING
    },
    Setting {
        name: "OTEL_TRACES_SAMPLER_ARG",
        flag: Some("traces-sampler-arg"),
        default: "`1`",
        meaning: "the ratio of `traceidratio`, 0 to 1",
        read: Read::Text(|config, text| {
            sampler::ratio(text).ok_or("expected a ratio from 0 to 1")?;
            put(&mut config.raw_policy.sampler_argument, Ok(Some(text.to_owned())))
        }),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_SAMPLE_PER",
        flag: Some("sample-per"),
        default: "`trace`",
        meaning: "what a sampling decision is for: a `trace`, or a single `navigation` (the session itself is then sampled)",
        choices: || value::names(&SAMPLE_PER),
        read: Read::Text(|config, text| put(&mut config.policy.sample_per, value::one_of(text, &SAMPLE_PER))),
        ..SETTING
    },
    Setting {
        name: "TRACEPARENT",
        meaning: "from the environment only: the trace that the whole session joins (or [links to](spans.md#runs)), with its tracestate and baggage; \
                  the [baggage](spans.md#contexts-that-exist-already) goes to targets or, where none are named, to hosts that the client navigates to itself",
        read: Read::Text(|config, text| {
            let parent = traceparent::parse(text)?;
            put(&mut config.raw_policy.parent, Ok(Some(parent)))
        }),
        ..SETTING
    },
    Setting {
        name: "TRACESTATE",
        default: "",
        read: Read::Text(|config, text| put(&mut config.raw_policy.tracestate, tracestate::parse(text))),
        ..SETTING
    },
    Setting {
        name: "BAGGAGE",
        default: "",
        secret: Secret::PairValues,
        read: Read::Text(|config, text| {
            let (baggage, fault) = baggage::parse(text);
            match fault {
                Some(reason) if baggage.is_empty() => return Err(reason),
                fault => config.ignored_part = fault,
            }
            put(&mut config.policy.baggage, Ok(baggage))
        }),
        ..SETTING
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;

    #[test]
    fn a_run_is_known_by_its_trace_or_by_its_id() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = |flags: &str| format!("00-{trace}-00f067aa0ba902b7-{flags}");
        let read = |variables: &[(&str, &str)]| Config::of_environment(variables).unwrap();
        assert_eq!(read(&[]).export.run.id, None);
        let joined = read(&[("TRACEPARENT", &parent("00"))]);
        assert_eq!((joined.export.run.id.as_deref(), joined.policy.sampler.ratio), (Some(trace), 1.0));
        assert!(joined.policy.parent.is_some() && joined.export.run.linked.is_none());
        for (flags, sampler, ratio) in
            [("01", "parentbased_always_on", 1.0), ("00", "parentbased_always_on", 0.0), ("00", "always_on", 1.0)]
        {
            let linked = read(&[("TRACEPARENT", &parent(flags)), (PARENT, "link"), ("OTEL_TRACES_SAMPLER", sampler)]);
            assert_eq!((linked.export.run.id.as_deref(), linked.policy.sampler.ratio), (Some(trace), ratio));
            assert!(linked.policy.parent.is_none() && linked.export.run.linked == linked.policy.linked);
            assert!(linked.export.run.linked.is_some());
        }
        let named =
            read(&[("TRACEPARENT", &parent("01")), ("NAVTRACE_RUN_ID", "nightly"), ("NAVTRACE_RUN_ATTEMPT", "3")]);
        assert_eq!((named.export.run.id.as_deref(), named.export.run.attempt), (Some("nightly"), Some(3)));
        // A script may leave them blank.
        let blank = read(&[("TRACEPARENT", &parent("01")), ("NAVTRACE_RUN_ID", "  "), ("NAVTRACE_RUN_ATTEMPT", " ")]);
        assert_eq!((blank.export.run.id.as_deref(), blank.export.run.attempt), (Some(trace), None));
        for (name, value, reason) in [
            ("NAVTRACE_RUN_ID", "a\nb", "it has a control character"),
            ("NAVTRACE_RUN_ID", &*"x".repeat(201), "it has 201 characters; the longest possible is 200"),
            ("NAVTRACE_RUN_ATTEMPT", "one", "expected a whole number"),
        ] {
            let failure = Config::of_environment(&[(name, value)]).unwrap_err().to_string();
            assert!(failure.starts_with(name) && failure.ends_with(&format!(" can't be used: {reason}")), "{failure}");
        }
    }

    #[test]
    fn a_browser_of_ones_own_has_other_defaults() {
        let own = |variables: &[(&str, &str)]| {
            let Policy { scope, incognito, .. } = Config::of_environment(variables).unwrap().policy_of_own_browser();
            (scope, incognito)
        };
        assert_eq!(own(&[]), (Scope::Navigation, Incognito::Headers));
        assert_eq!(own(&[(SCOPE, "session"), ("NAVTRACE_INCOGNITO", "export")]), (Scope::Session, Incognito::Export));
        assert_eq!(own(&[(SCOPE, "tab"), ("NAVTRACE_INCOGNITO", "headers")]), (Scope::Tab, Incognito::Headers));
        let launched = Config::of_environment(&[("NAVTRACE_INCOGNITO", "headers")]).unwrap().policy;
        assert_eq!((launched.scope, launched.incognito), (Scope::Context, Incognito::Shared));
    }
}
