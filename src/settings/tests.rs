use std::path::Path;

use super::*;
use crate::context::ids::TraceIdFormat;
use crate::context::mode::WantedMode;
use crate::context::policy::{Existing, Policy, SamplePer, Scope};
use crate::context::propagator::Propagator;
use crate::context::resources::OtherResources;
use crate::context::sampler::Sampler;

const OFF: Sampler = Sampler { ratio: 0.0, parent_based: false };

fn read(variables: &[(&str, &str)]) -> Result<Config, Failure> {
    Config::of_environment(variables)
}

fn setting(name: &str) -> &'static Setting {
    table::all().find(|setting| setting.name == name).unwrap()
}

/// Reads a file, an environment and options as a process does.
fn layered(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Failure> {
    let mut given = file::parse(Path::new("/c.toml"), file)?;
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    given.extend(assignment::environment(variables)?);
    let flags: Vec<_> = flags.iter().map(|(name, value)| (setting(name), OsString::from(value))).collect();
    given.extend(by_flags(&flags));
    Config::of(given)
}

#[test]
fn unset_and_empty_are_the_defaults() {
    assert_eq!(read(&[]), Ok(Config::default()));
    let empty: Vec<_> = table::all().map(|setting| (setting.name, "")).collect();
    assert_eq!(layered("mode = ''\nlink = ''", &empty, &[("NAVTRACE_MODE", "")]), Ok(Config::default()));
}

#[test]
fn reads_every_setting() {
    let config = read(&[
        ("NAVTRACE_BROWSER", "/opt/chromium"),
        ("NAVTRACE_EXTENSION", "ext"),
        ("NAVTRACE_ARM_TIMEOUT", "1500ms"),
        ("NAVTRACE_MODE", "lightweight"),
        ("NAVTRACE_WEB_VITALS", "on"),
        ("NAVTRACE_LINK", "http://jaeger.test/trace/{trace_id}"),
        ("NAVTRACE_LOG", "debug"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ])
    .unwrap();
    let expected = Config {
        browser: Some("/opt/chromium".into()),
        extension: Some("ext".into()),
        arm_timeout: Duration::from_millis(1500),
        mode: ModeSetting::Worker(WantedMode::Lightweight),
        web_vitals: true,
        link: Some(LinkTemplate::parse("http://jaeger.test/trace/{trace_id}").unwrap()),
        log: LevelFilter::DEBUG,
        policy: Policy { sampler: OFF, ..Policy::default() },
        values: config.values.clone(),
        raw_policy: config.raw_policy.clone(),
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn options_win_over_the_environment_and_that_over_the_file() {
    const MODE: &str = "NAVTRACE_MODE";
    let file = "mode = 'lightweight'\n[otel]\ntraces_sampler = 'always_off'";
    let of = |variables: &[(&str, &str)], flags: &[(&str, &str)]| layered(file, variables, flags).unwrap();

    let config = of(&[], &[]);
    assert_eq!(
        (config.mode, config.source(MODE)),
        (ModeSetting::Worker(WantedMode::Lightweight), &Source::File("/c.toml".into()))
    );
    assert_eq!(config.policy.sampler, OFF);
    assert_eq!(config.source("NAVTRACE_LOG"), &Source::Default);
    assert_eq!(config.environment().next(), None);

    let config = of(&[(MODE, "auto")], &[]);
    assert_eq!((config.mode, config.source(MODE)), (ModeSetting::Worker(WantedMode::Auto), &Source::Environment(MODE)));

    let config = of(&[(MODE, "auto")], &[(MODE, "detailed")]);
    assert_eq!((config.mode, config.source(MODE)), (ModeSetting::Worker(WantedMode::Detailed), &Source::Flag("mode")));
    assert_eq!(config.environment().collect::<Vec<_>>(), [(MODE, OsStr::new("detailed"))]);

    // What is ignored or empty leaves the value before it.
    let config = of(&[("OTEL_TRACES_SAMPLER", "sometimes"), (MODE, "")], &[]);
    assert_eq!((config.policy.sampler, config.mode), (OFF, ModeSetting::Worker(WantedMode::Lightweight)));
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn our_unknown_values_are_errors() {
    for (name, value, sentence) in [
        (
            "LOG",
            "debgu",
            "NAVTRACE_LOG=debgu can't be used: did you mean debug? (off, error, warn, info, debug, trace)",
        ),
        (
            "MODE",
            "detail",
            "NAVTRACE_MODE=detail can't be used: did you mean detailed? (auto, lightweight, detailed, static)",
        ),
        (
            "LINK",
            "http://jaeger.test/{trace}",
            "NAVTRACE_LINK can't be used: {trace} is not known; there are {trace_id}, {span_id}, {start_s}, \
             {end_s}, {start_ms}, {end_ms} (write other braces as %7B, %7D)",
        ),
        ("WEB_VITALS", "yes", "NAVTRACE_WEB_VITALS=yes can't be used: expected off, on"),
        ("LOG", "5", "NAVTRACE_LOG=5 can't be used: expected off, error, warn, info, debug, trace"),
        ("ARM_TIMEOUT", "5", "NAVTRACE_ARM_TIMEOUT=5 can't be used: a unit is missing: 5s, or 5ms?"),
        (
            "ARM_TIMEOUT",
            "soon",
            "NAVTRACE_ARM_TIMEOUT=soon can't be used: expected a number with a unit, such as 5s or 1500ms",
        ),
        (
            "ARM_TIMEOUT",
            "2h",
            "NAVTRACE_ARM_TIMEOUT=2h can't be used: expected a number with a unit, such as 5s or 1500ms",
        ),
        ("ARM_TIMEOUT", "0s", "NAVTRACE_ARM_TIMEOUT=0s can't be used: it must be more than 0"),
        ("ARM_TIMEOUT", "61m", "NAVTRACE_ARM_TIMEOUT=61m can't be used: the longest possible is 3600s"),
        (
            "ARM_TIMEOUT",
            "-1s",
            "NAVTRACE_ARM_TIMEOUT=-1s can't be used: expected a number with a unit, such as 5s or 1500ms",
        ),
    ] {
        let failure = read(&[(&format!("NAVTRACE_{name}"), value)]).unwrap_err();
        assert_eq!((failure.exit, failure.to_string().as_str()), (ExitCode::Usage, sentence));
    }
}

#[test]
fn an_invalid_value_is_reported_with_its_place() {
    let refused = |file: &str, flags: &[(&str, &str)]| layered(file, &[], flags).unwrap_err().to_string();
    assert_eq!(
        refused("\n  mode = \"detail\" # all of it", &[]),
        "/c.toml:2:3: mode = \"detail\" can't be used: did you mean detailed? (auto, lightweight, detailed, static)"
    );
    assert_eq!(
        refused("arm_timeout = 5", &[]),
        "/c.toml:1:1: arm_timeout = 5 can't be used: a unit is missing: 5s, or 5ms?"
    );
    assert_eq!(
        refused("", &[("NAVTRACE_MODE", "detail")]),
        "--mode detail can't be used: did you mean detailed? (auto, lightweight, detailed, static)"
    );
    assert_eq!(
        refused("", &[("OTEL_TRACES_SAMPLER", "sometimes")]),
        "--traces-sampler sometimes can't be used: expected always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio"
    );
    // The value that wins does not hide another that can't be used.
    assert_eq!(
        refused("log = 5", &[("NAVTRACE_LOG", "info")]),
        "/c.toml:1:1: log = 5 can't be used: expected off, error, warn, info, debug, trace"
    );
}

#[test]
fn unknown_opentelemetry_values_are_ignored_with_a_warning() {
    let config = read(&[("OTEL_TRACES_SAMPLER", "sometimes")]).unwrap();
    assert_eq!(config.policy.sampler, Sampler::default());
    assert_eq!(
        config.warnings,
        [
            "OTEL_TRACES_SAMPLER=sometimes is ignored: expected always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio"
        ]
    );
    let file =
        "[otel]\ntraces_sampler = 'sometimes'\nexporter_otlp_endpoint = 'me:pw'\nexporter_otlp_headers = ['secret']";
    let config = layered(file, &[], &[]).unwrap();
    assert_eq!(
        config.warnings,
        [
            "/c.toml:2:1: traces_sampler = 'sometimes' is ignored: expected always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio",
        ]
    );
    assert!(config.unusable_export().unwrap().starts_with("/c.toml:3:1: exporter_otlp_endpoint can't be used: "));
}

#[test]
fn unknown_navtrace_variables_are_errors() {
    for (name, hint) in [
        ("NAVTRACE_MDOE", ": did you mean NAVTRACE_MODE?"),
        ("NAVTRACE_mode", ": did you mean NAVTRACE_MODE?"),
        ("NAVTRACE_CONFIG_FILE", ": did you mean NAVTRACE_CONFIG?"),
        ("NAVTRACE_QUUX", "; navtrace config --help lists all settings"),
    ] {
        let failure = read(&[("NAVTRACE_LOG", "info"), (name, "auto")]).unwrap_err();
        assert_eq!((failure.exit, failure.to_string()), (ExitCode::Usage, format!("{name} is not a setting{hint}")));
        assert_eq!(read(&[(name, "")]), Ok(Config::default()));
    }
    let ours = ["NAVTRACE_GATE", "NAVTRACE_PROFILE", "NAVTRACE_RUN", FILE].map(|name| (name, "/x"));
    let others = [&ours[..], &[("OTEL_LOGS_EXPORTER", "x"), ("NAVTRACE", "")]].concat();
    assert_eq!(read(&others), Ok(Config::default()));
}

#[test]
fn every_row_is_complete() {
    let all: Vec<_> = table::all().collect();
    for (index, setting) in all.iter().enumerate() {
        assert_eq!(all.iter().position(|other| other.name == setting.name), Some(index), "{}", setting.name);
        if let Some(flag) = setting.flag {
            assert!(!setting.meaning.is_empty(), "--{flag} has no help");
            assert_eq!(flag.replace('-', "_"), setting.key().unwrap().1);
        }
        for words in [setting.default, setting.meaning] {
            assert!(!words.contains(['|', '\n']), "{} breaks the table of docs/settings.md", setting.name);
        }
    }
    assert!(!all[0].meaning.is_empty());
}

#[test]
fn documented_defaults_are_the_defaults() {
    for setting in table::all() {
        // The resource has a name of its own unless one is given.
        let Some(default) = setting.default_value().filter(|_| setting.name != "OTEL_SERVICE_NAME") else { continue };
        let config = read(&[(setting.name, default)]).unwrap();
        let expected = Config {
            values: config.values.clone(),
            raw_export: config.raw_export.clone(),
            raw_policy: config.raw_policy.clone(),
            warnings: config.warnings.clone(), // The argument's default has no effect alone.
            ..Config::default()
        };
        assert_eq!(config, expected, "{}", setting.name);
        assert_eq!(config.values.len(), 1);
    }
}

#[test]
fn reads_every_propagation_setting() {
    let config = read(&[
        ("NAVTRACE_TARGETS", "http://shop.test/*, https://*.shop.test:8443/api/*"),
        ("NAVTRACE_EXCLUDE", "*://*/health"),
        ("NAVTRACE_REDACT", "voucher, *_pin"),
        ("NAVTRACE_RESOURCES", "font, calls"),
        ("NAVTRACE_OTHER_RESOURCES", "none"),
        ("NAVTRACE_SCOPE", "navigation"),
        ("NAVTRACE_EXISTING", "keep"),
        ("NAVTRACE_ID_FORMAT", "k6-cloud"),
        ("NAVTRACE_RANDOM_FLAG", "on"),
        ("NAVTRACE_SAMPLE_PER", "navigation"),
        ("OTEL_PROPAGATORS", "jaeger,W3C,b3multi,jaeger"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("TRACESTATE", "a=1"),
        ("BAGGAGE", "user=alice"),
    ])
    .unwrap();
    let warning = "NAVTRACE_SCOPE has no effect: TRACEPARENT makes the whole session part of one trace";
    assert_eq!(config.warnings, [warning]);
    let Policy {
        propagators,
        sampler,
        sample_per,
        scope,
        id_format,
        random_flag,
        existing,
        incognito,
        targets,
        exclude,
        collector: _,
        resources,
        other_resources,
        redaction,
        parent,
        linked: _,
        baggage,
        window_per_page: _,
    } = config.policy;
    assert_eq!(propagators, [Propagator::Jaeger, Propagator::Tracecontext, Propagator::B3multi]);
    assert_eq!(sampler, Sampler { ratio: 0.25, parent_based: true });
    assert_eq!((sample_per, scope, existing), (SamplePer::Navigation, Scope::Navigation, Existing::Keep));
    assert_eq!(incognito, Incognito::Shared);
    assert_eq!((random_flag, targets.len(), exclude[0].to_string()), (true, 2, "*://*/health".to_owned()));
    assert_eq!((resources.words(), other_resources), (vec!["calls", "font"], OtherResources::None));
    let (parent, last) = (parent.unwrap(), redaction.names().last().unwrap());
    assert_eq!((id_format, last.as_str(), baggage.as_str()), (TraceIdFormat::K6Cloud, "*pin", "user=alice"));
    assert_eq!((parent.span_id.to_string().as_str(), parent.tracestate.as_str()), ("00f067aa0ba902b7", "a=1"));
}

#[test]
fn invalid_propagation_settings_fail_or_warn() {
    for (name, value, sentence) in [
        (
            "NAVTRACE_TARGETS",
            "http://a.test/*, b.test",
            "NAVTRACE_TARGETS=http://a.test/*, b.test can't be used: \"b.test\" is not a valid pattern: expected \
             scheme://host/path, such as https://*.shop.test/*, or <all_urls>",
        ),
        (
            "NAVTRACE_RESOURCES",
            "calls,images",
            "NAVTRACE_RESOURCES=calls,images can't be used: images is not known (did you mean image?); there are all, calls, main_frame, \
             sub_frame, stylesheet, script, image, font, object, xmlhttprequest, ping, csp_report, media, websocket, webbundle, other",
        ),
        ("NAVTRACE_SCOPE", "page", "NAVTRACE_SCOPE=page can't be used: expected session, context, tab, navigation"),
        (
            "NAVTRACE_ID_FORMAT",
            "k6",
            "NAVTRACE_ID_FORMAT=k6 can't be used: did you mean k6-local? (random, k6-local, k6-cloud)",
        ),
    ] {
        let failure = read(&[(name, value)]).unwrap_err();
        assert_eq!((failure.exit, failure.to_string().as_str()), (ExitCode::Usage, sentence));
    }
    let config = read(&[
        ("OTEL_PROPAGATORS", "b3,xray"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "10%"),
        ("TRACEPARENT", "00-4bf9-01"),
        ("TRACESTATE", "A=1"),
        ("BAGGAGE", "secret"),
    ])
    .unwrap();
    assert_eq!(
        config.warnings,
        [
            "OTEL_PROPAGATORS: xray is not known; there are tracecontext, baggage, b3, b3multi, jaeger and none",
            "OTEL_TRACES_SAMPLER_ARG=10% is ignored: expected a ratio from 0 to 1",
            "TRACEPARENT=00-4bf9-01 is ignored: expected 55 characters, found 10",
            "TRACESTATE=A=1 is ignored: the key of member 1 is invalid",
            "BAGGAGE is ignored: member 1 is not key=value, percent-encoded",
        ]
    );
    let sampler = Sampler { ratio: 1.0, parent_based: false };
    assert_eq!(config.policy, Policy { propagators: vec![Propagator::B3], sampler, ..Policy::default() });
    let ottrace = read(&[("OTEL_PROPAGATORS", "ottrace")]).unwrap();
    assert_eq!(ottrace.policy, Policy::default());
    assert_eq!(
        ottrace.warnings,
        [
            "OTEL_PROPAGATORS=ottrace is ignored: ottrace is not known (did you mean tracecontext?); there are tracecontext, baggage, b3, b3multi, jaeger and none"
        ]
    );
    assert_eq!(read(&[("OTEL_PROPAGATORS", "none")]).unwrap().policy.propagators, []);
}
