//! Every setting, declared once: a row here and a field of [`Config`]. What reads, shows and explains settings goes through these rows.
//!
//! OpenTelemetry's settings of the export have their rows in [`export`](super::export).

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::given::Given;
use super::{Config, export, value};
use crate::channel::message::WantedMode;
use crate::context::sampler::Sampler;
use crate::view::link::LinkTemplate;

/// The browser to start.
pub const BROWSER: &str = "NAVTRACE_BROWSER";
/// A folder to load as the extension instead of the embedded one.
pub const EXTENSION: &str = "NAVTRACE_EXTENSION";

/// What the names of navtrace's own settings begin with.
pub(super) const OURS: &str = "NAVTRACE_";
/// What those of OpenTelemetry's begin with.
const OPENTELEMETRY: &str = "OTEL_";

/// Everything that is known of a setting.
#[derive(Debug)]
pub struct Setting {
    /// Its environment variable, from which its key follows.
    pub name: &'static str,
    /// The long option, which is its key with dashes. For what may differ from run to run.
    pub flag: Option<&'static str>,
    /// The default in Markdown: a value in backticks, or words. Empty where the row before says it.
    pub default: &'static str,
    /// What it means, in a line of Markdown. Empty where the row before says it.
    pub meaning: &'static str,
    /// What may not be shown.
    pub secret: Secret,
    /// How its text becomes a field of [`Config`].
    pub read: Read,
}

/// What of a value may not be shown. Addresses are never shown with theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// Nothing.
    Nothing,
    /// All of one that can't be read, since nobody can say what in it is a secret.
    WhenUnread,
    /// That too, and the values of its `key=value` pairs.
    Values,
}

/// How the text of a setting becomes a field of [`Config`], by what its text is. A reason says what was expected.
#[derive(Debug)]
pub enum Read {
    /// A path.
    Path(fn(&mut Config, PathBuf)),
    /// `on` or `off`, in OpenTelemetry's settings `true` or anything else; in config.toml also a boolean.
    Switch(fn(&mut Config, bool)),
    /// Texts with commas between them; in config.toml also an array.
    List(fn(&mut Config, &[String]) -> Result<(), String>),
    /// Anything else: [`value`] has the forms.
    Text(fn(&mut Config, &str) -> Result<(), String>),
}

/// What most rows have in common.
pub(super) const SETTING: Setting = Setting {
    name: "",
    flag: None,
    default: "none",
    meaning: "",
    secret: Secret::Nothing,
    read: Read::Text(|_, _| Ok(())),
};

const MODES: [(&str, WantedMode); 3] =
    [("auto", WantedMode::Auto), ("lightweight", WantedMode::Lightweight), ("detailed", WantedMode::Detailed)];

const LOG_LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

const LONGEST_ARM_TIMEOUT: Duration = Duration::from_secs(3600);

/// The settings of everything but the export.
static SETTINGS: [Setting; 8] = [
    Setting {
        name: BROWSER,
        flag: Some("browser"),
        default: "the first on `PATH`",
        meaning: "the Chromium to start: a path or a name",
        read: Read::Path(|config, path| config.browser = Some(path)),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_MODE",
        flag: Some("mode"),
        default: "`auto`",
        meaning: "`lightweight`, `detailed`, or `auto`: detailed where the browser grants it, else lightweight",
        read: Read::Text(|config, text| put(&mut config.mode, value::one_of(text, &MODES))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_WEB_VITALS",
        flag: Some("web-vitals"),
        default: "`off`",
        meaning: "or `on`: pages tell their navigation timing and web vitals, which costs each some milliseconds of processor time (off, \
                  nothing of navtrace runs in them)",
        read: Read::Switch(|config, on| config.web_vitals = on),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_LINK",
        flag: Some("link"),
        meaning: "a template for links to traces, such as `http://localhost:16686/trace/{trace_id}`",
        read: Read::Text(|config, text| put(&mut config.link, LinkTemplate::parse(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_ARM_TIMEOUT",
        flag: Some("arm-timeout"),
        default: "`5s`",
        meaning: "how long a browser start waits for the extension before it goes on without, with a warning",
        read: Read::Text(|config, text| put(&mut config.arm_timeout, value::duration(text, LONGEST_ARM_TIMEOUT))),
        ..SETTING
    },
    Setting {
        name: EXTENSION,
        flag: Some("extension"),
        default: "the built-in one",
        meaning: "a folder to load as the extension",
        read: Read::Path(|config, path| config.extension = Some(path)),
        ..SETTING
    },
    Setting {
        name: "NAVTRACE_LOG",
        flag: Some("log"),
        default: "`warn`",
        meaning: "how much is said on standard error: `off`, `error`, `warn`, `info`, `debug` or `trace`",
        read: Read::Text(|config, text| put(&mut config.log, value::one_of(text, &LOG_LEVELS))),
        ..SETTING
    },
    Setting {
        name: "OTEL_TRACES_SAMPLER",
        flag: Some("traces-sampler"),
        default: "`always_on`",
        meaning: "or `always_off`: the header is sent all the same, only its flag differs, and no span is exported",
        read: Read::Text(|config, text| {
            let expected = || "expected always_on or always_off".to_owned();
            put(&mut config.sampler, Sampler::from_name(text).ok_or_else(expected))
        }),
        ..SETTING
    },
];

/// Every setting, in the order in which they are explained.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(export::settings())
}

/// Puts what was read into its field.
pub(super) fn put<T>(field: &mut T, read: Result<T, String>) -> Result<(), String> {
    *field = read?;
    Ok(())
}

impl Setting {
    /// Whether it is navtrace's own, so that a value that can't be used is an error.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.name.starts_with(OURS)
    }

    /// Its table in config.toml, if it is not at the top, and its key there; none when it comes from the environment alone.
    #[must_use]
    pub fn key(&self) -> Option<(Option<&'static str>, String)> {
        let (table, name) = match self.name.strip_prefix(OURS) {
            Some(name) => (None, name),
            None => (Some("otel"), self.name.strip_prefix(OPENTELEMETRY)?),
        };
        Some((table, name.to_ascii_lowercase()))
    }

    /// The default, where it is a value and not words.
    #[must_use]
    pub fn default_value(&self) -> Option<&'static str> {
        let value = self.default.strip_prefix('`')?.strip_suffix('`')?;
        Some(value).filter(|value| !value.contains('`'))
    }

    /// The default as a terminal shows it.
    #[must_use]
    pub fn default_words(&self) -> Cow<'static, str> {
        if self.default.is_empty() { Cow::Borrowed("none") } else { Cow::Owned(self.default.replace('`', "")) }
    }

    /// How a switch is written.
    pub(super) fn switch(&self, on: bool) -> &'static str {
        match (self.is_ours(), on) {
            (true, true) => "on",
            (true, false) => "off",
            (false, true) => "true",
            (false, false) => "false",
        }
    }

    /// Reads a value into its field, and leaves the field as it is when that fails.
    pub(super) fn read(&self, config: &mut Config, given: &Given) -> Result<(), String> {
        let text = given.text.to_string_lossy();
        match self.read {
            Read::Path(set) => set(config, PathBuf::from(&given.text)),
            Read::Switch(set) if self.is_ours() => {
                set(config, value::one_of(&text, &[("off", false), ("on", true)])?);
            }
            // Everything else is false, says the specification.
            Read::Switch(set) => set(config, text.eq_ignore_ascii_case("true")),
            Read::List(read) => match &given.items {
                Some(items) => read(config, items)?,
                None => {
                    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                    read(config, &items.map(ToOwned::to_owned).collect::<Vec<_>>())?;
                }
            },
            Read::Text(read) => read(config, &text)?,
        }
        Ok(())
    }
}
