//! The settings as `navtrace config` shows them: every value with its source, without secrets.

use std::ffi::OsStr;

use serde::Serialize;
use url::Url;

use crate::context::redaction::{REDACTED, Redaction};
use crate::settings::setting::{Secret, Setting};
use crate::settings::{Config, table};

/// A setting and its value, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    /// `None` if the setting has no value, not even a default.
    pub(crate) value: Option<String>,
    /// Describes what happens without a value.
    #[serde(skip)]
    pub(crate) words: String,
    pub(crate) source: String,
}

impl Config {
    /// Returns every setting in the order of the documentation.
    pub(crate) fn shown(&self) -> impl Iterator<Item = Shown> {
        table::all().map(|setting| {
            let given = self.values.get(setting.name).map(|(text, _)| shown(setting, text));
            Shown {
                name: setting.name,
                value: given.or_else(|| setting.default_value().map(ToOwned::to_owned)),
                words: setting.default_words().into_owned(),
                source: self.source(setting.name).to_string(),
            }
        })
    }
}

/// Returns a value without secrets, on one line.
fn shown(setting: &Setting, text: &OsStr) -> String {
    let on_one_line = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    without_secrets(setting, &text.to_string_lossy()).chars().map(on_one_line).collect()
}

/// Returns a value without secrets.
pub(super) fn without_secrets(setting: &Setting, text: &str) -> String {
    if setting.secret == Secret::PairValues {
        let pairs = text.split(',').map(|pair| pair.split_once('=').map_or("", |(key, _)| key).trim());
        pairs.map(|key| format!("{key}={REDACTED}")).collect::<Vec<_>>().join(",")
    } else {
        // Write an address with credentials in its normal form, in which the credentials are recognized.
        let url = Url::parse(text.trim()).ok().filter(|url| !url.username().is_empty() || url.password().is_some());
        Redaction::default().address(url.as_ref().map_or(text, Url::as_str)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let values = [
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://me:pw@c:1/?token=abc",
                "http://REDACTED:REDACTED@c:1/?token=REDACTED",
            ),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https:me:pw@c", "https://REDACTED:REDACTED@c/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc, tenant=shop=1", "api-key=REDACTED,tenant=REDACTED"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=shop", "team=shop"),
            (
                "NAVTRACE_LINK",
                "https://t.test/{trace_id}?access_token=abc",
                "https://t.test/{trace_id}?access_token=REDACTED",
            ),
            ("OTEL_SERVICE_NAME", "two\nlines", "two\\nlines"),
        ];
        let config = Config::of_environment(&values.map(|(name, value, _)| (name, value))).unwrap();
        assert_eq!(config.warnings, [""; 0]);
        for (name, _, expected) in values {
            let shown = config.shown().find(|shown| shown.name == name).unwrap();
            assert_eq!((shown.value.as_deref(), shown.source.as_str()), (Some(expected), "environment"), "{name}");
        }
    }

    #[test]
    fn a_default_is_a_value_or_words() {
        let config = Config::default();
        let of = |name: &str| config.shown().find(|shown| shown.name == name).unwrap();
        let mode = of("NAVTRACE_MODE");
        assert_eq!((mode.value.as_deref(), mode.source.as_str()), (Some("auto"), "default"));
        let browser = of("NAVTRACE_BROWSER");
        assert_eq!((browser.value, browser.words.as_str()), (None, "the first that is found"));
    }
}
