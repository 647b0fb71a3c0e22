//! The settings, typed: defaults, then the environment. Every name and its meaning stands here.

pub mod export;
pub(crate) mod value;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::channel::message::WantedMode;
use crate::context::policy::Policy;
use crate::context::sampler::Sampler;
use crate::export::settings::Settings;
use crate::failure::{ExitCode, Failure};
use crate::view::link::LinkTemplate;

/// The browser to start: a path, or a name that is looked up in `PATH`.
pub const BROWSER: &str = "NAVTRACE_BROWSER";
/// A folder to load as the extension instead of the embedded one.
pub const EXTENSION: &str = "NAVTRACE_EXTENSION";
/// How long a browser start waits for the extension to be armed: a number with a unit, `5s` unless set.
pub const ARM_TIMEOUT: &str = "NAVTRACE_ARM_TIMEOUT";
/// How requests get their headers: `auto` (unless set), `lightweight` or `detailed`.
pub const MODE: &str = "NAVTRACE_MODE";
/// Whether pages tell their navigation timing and web vitals: `off` (unless set) or `on`.
pub const WEB_VITALS: &str = "NAVTRACE_WEB_VITALS";
/// A template for links to traces, such as `http://localhost:16686/trace/{trace_id}`; none unless set.
pub const LINK: &str = "NAVTRACE_LINK";
/// How much navtrace says on standard error: `off`, `error`, `warn` (unless set), `info`, `debug` or `trace`.
pub const LOG: &str = "NAVTRACE_LOG";
/// OpenTelemetry's sampler, here `always_on` (unless set) or `always_off`.
pub const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

const MODES: [(&str, WantedMode); 3] =
    [("auto", WantedMode::Auto), ("lightweight", WantedMode::Lightweight), ("detailed", WantedMode::Detailed)];

const SWITCH: [(&str, bool); 2] = [("off", false), ("on", true)];

const LOG_LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

const LONGEST_ARM_TIMEOUT: Duration = Duration::from_secs(3600);

/// The settings of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// [`BROWSER`].
    pub browser: Option<PathBuf>,
    /// [`EXTENSION`].
    pub extension: Option<PathBuf>,
    /// [`ARM_TIMEOUT`].
    pub arm_timeout: Duration,
    /// [`MODE`].
    pub mode: WantedMode,
    /// [`WEB_VITALS`].
    pub web_vitals: bool,
    /// [`LINK`].
    pub link: Option<LinkTemplate>,
    /// [`LOG`].
    pub log: LevelFilter,
    /// How contexts are made and carried.
    pub policy: Policy,
    /// How spans are exported.
    pub export: Settings,
    /// What the user should know about settings that were ignored, as OpenTelemetry's specification wants it for its own names.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            browser: None,
            extension: None,
            arm_timeout: Duration::from_secs(5),
            mode: WantedMode::default(),
            web_vitals: false,
            link: None,
            log: LevelFilter::WARN,
            policy: Policy::default(),
            export: export::read(&|_| None).0,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the settings from the environment of this process.
    ///
    /// # Errors
    ///
    /// A [`Failure`] with [`ExitCode::Usage`] that names the first variable whose value can't be used.
    pub fn from_env() -> Result<Self, Failure> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// Reads the settings from `lookup`. An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let raw = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &str| raw(name).map(|value| value.to_string_lossy().into_owned());
        let mut config = Self {
            browser: raw(BROWSER).map(PathBuf::from),
            extension: raw(EXTENSION).map(PathBuf::from),
            ..Self::default()
        };
        if let Some(value) = text(ARM_TIMEOUT) {
            config.arm_timeout =
                value::duration(&value, LONGEST_ARM_TIMEOUT).map_err(|reason| invalid(ARM_TIMEOUT, &value, &reason))?;
        }
        if let Some(value) = text(MODE) {
            config.mode = value::one_of(&value, &MODES).map_err(|reason| invalid(MODE, &value, &reason))?;
        }
        if let Some(value) = text(WEB_VITALS) {
            config.web_vitals =
                value::one_of(&value, &SWITCH).map_err(|reason| invalid(WEB_VITALS, &value, &reason))?;
        }
        if let Some(value) = text(LINK) {
            config.link = Some(LinkTemplate::parse(&value).map_err(|reason| invalid(LINK, &value, &reason))?);
        }
        if let Some(value) = text(LOG) {
            config.log = value::one_of(&value, &LOG_LEVELS).map_err(|reason| invalid(LOG, &value, &reason))?;
        }
        if let Some(name) = text(SAMPLER) {
            match Sampler::parse(&name, None) {
                Ok(sampler) => config.policy.sampler = sampler,
                Err(_) => {
                    config.warnings.push(format!("{SAMPLER}={name} is ignored: expected always_on or always_off"))
                }
            }
        }
        let (export, warnings) = export::read(&text);
        config.export = export;
        config.warnings.extend(warnings);
        Ok(config)
    }
}

fn invalid(name: &str, value: &str, reason: &str) -> Failure {
    Failure::new(ExitCode::Usage, format!("{name}={value} can't be used: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Failure> {
        Config::from_lookup(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn unset_and_empty_are_the_defaults() {
        assert_eq!(read(&[]), Ok(Config::default()));
        let empty = [BROWSER, EXTENSION, ARM_TIMEOUT, MODE, WEB_VITALS, LINK, LOG, SAMPLER].map(|name| (name, ""));
        assert_eq!(read(&empty), Ok(Config::default()));
    }

    #[test]
    fn reads_every_setting() {
        let config = read(&[
            (BROWSER, "/opt/chromium"),
            (EXTENSION, "ext"),
            (ARM_TIMEOUT, "1500ms"),
            (MODE, "lightweight"),
            (WEB_VITALS, "on"),
            (LINK, "http://jaeger.test/trace/{trace_id}"),
            (LOG, "debug"),
            (SAMPLER, "always_off"),
        ]);
        let expected = Config {
            browser: Some("/opt/chromium".into()),
            extension: Some("ext".into()),
            arm_timeout: Duration::from_millis(1500),
            mode: WantedMode::Lightweight,
            web_vitals: true,
            link: Some(LinkTemplate::parse("http://jaeger.test/trace/{trace_id}").unwrap()),
            log: LevelFilter::DEBUG,
            policy: Policy { sampler: Sampler { ratio: 0.0, parent_based: false }, ..Policy::default() },
            export: Config::default().export,
            warnings: Vec::new(),
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn values_of_our_own_names_that_are_unknown_are_errors() {
        for (name, value, sentence) in [
            (
                LOG,
                "debgu",
                "NAVTRACE_LOG=debgu can't be used: did you mean debug? (off, error, warn, info, debug, trace)",
            ),
            (
                MODE,
                "detail",
                "NAVTRACE_MODE=detail can't be used: did you mean detailed? (auto, lightweight, detailed)",
            ),
            (
                LINK,
                "http://jaeger.test/{trace}",
                "NAVTRACE_LINK=http://jaeger.test/{trace} can't be used: {trace} is not known; there are {trace_id}, {span_id}, {start_s}, \
                 {end_s}, {start_ms}, {end_ms} (write other braces as %7B, %7D)",
            ),
            (WEB_VITALS, "yes", "NAVTRACE_WEB_VITALS=yes can't be used: expected off, on"),
            (LOG, "5", "NAVTRACE_LOG=5 can't be used: expected off, error, warn, info, debug, trace"),
            (ARM_TIMEOUT, "5", "NAVTRACE_ARM_TIMEOUT=5 can't be used: a unit is missing: 5s, or 5ms?"),
            (
                ARM_TIMEOUT,
                "soon",
                "NAVTRACE_ARM_TIMEOUT=soon can't be used: expected a number with a unit, such as 5s or 1500ms",
            ),
            (
                ARM_TIMEOUT,
                "2h",
                "NAVTRACE_ARM_TIMEOUT=2h can't be used: expected a number with a unit, such as 5s or 1500ms",
            ),
            (ARM_TIMEOUT, "0s", "NAVTRACE_ARM_TIMEOUT=0s can't be used: it must be more than 0"),
            (ARM_TIMEOUT, "61m", "NAVTRACE_ARM_TIMEOUT=61m can't be used: the longest possible is 3600s"),
            (
                ARM_TIMEOUT,
                "-1s",
                "NAVTRACE_ARM_TIMEOUT=-1s can't be used: expected a number with a unit, such as 5s or 1500ms",
            ),
        ] {
            let failure = read(&[(name, value)]).unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (ExitCode::Usage, sentence));
        }
    }

    #[test]
    fn values_of_opentelemetry_names_that_are_unknown_warn_and_are_ignored() {
        let config = read(&[(SAMPLER, "sometimes")]).unwrap();
        assert_eq!(config.policy.sampler, Sampler::default());
        assert_eq!(config.warnings, ["OTEL_TRACES_SAMPLER=sometimes is ignored: expected always_on or always_off"]);
    }
}
