//! One setting: its names, default, meaning, and how its text becomes a field of [`Config`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::settings::{Config, value};

/// Prefix of navtrace's own variables.
pub(super) const NAVTRACE_PREFIX: &str = "NAVTRACE_";
/// Prefix of OpenTelemetry's variables.
const OTEL_PREFIX: &str = "OTEL_";

#[derive(Debug)]
pub(crate) struct Setting {
    /// The environment variable. The key in config.toml follows from it.
    pub(crate) name: &'static str,
    /// The long option, if people change the setting from run to run: the key with dashes.
    pub(crate) flag: Option<&'static str>,
    /// The default in Markdown: a value in backticks, or words. Empty if the row before explains this one too.
    pub(crate) default: &'static str,
    /// One line of Markdown. Empty if the row before explains this one too.
    pub(crate) meaning: &'static str,
    pub(crate) secret: Secret,
    /// Whether an invalid value makes the export unusable, because without the value spans would go elsewhere or a secret would be missing.
    pub(crate) is_needed: bool,
    /// Whether it only matters when a browser starts, so that a running browser's options page does not offer it.
    pub(crate) is_for_launch: bool,
    /// The allowed values; empty if any text will do.
    pub(crate) choices: fn() -> Vec<&'static str>,
    pub(crate) read: Read,
}

/// Which part of a value must not be shown. Credentials in addresses are never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    Nothing,
    /// An invalid value, because nobody knows which part of it is secret.
    WhenInvalid,
    /// An invalid value, and the values of `key=value` pairs.
    PairValues,
}

/// Sets a field of [`Config`] from a text of this type. The error says what was expected.
#[derive(Debug)]
pub(crate) enum Read {
    Path(fn(&mut Config, PathBuf)),
    /// `on` or `off`; in OpenTelemetry's settings `true` or anything else. config.toml may have a boolean.
    Switch(fn(&mut Config, bool)),
    /// Comma-separated texts. config.toml may have an array.
    List(fn(&mut Config, &[String]) -> Result<(), String>),
    Text(fn(&mut Config, &str) -> Result<(), String>),
}

/// The defaults of a row.
pub(super) const SETTING: Setting = Setting {
    name: "",
    flag: None,
    default: "none",
    meaning: "",
    secret: Secret::Nothing,
    is_needed: false,
    is_for_launch: false,
    choices: Vec::new,
    read: Read::Text(|_, _| Ok(())),
};

impl Setting {
    /// Returns whether the setting is navtrace's own, so that an invalid value is an error.
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with(NAVTRACE_PREFIX)
    }

    /// Returns the table in config.toml (none: top level) and the key; `None` for a setting that only the environment can set.
    pub(crate) fn key(&self) -> Option<(Option<&'static str>, String)> {
        let (table, name) = match self.name.strip_prefix(NAVTRACE_PREFIX) {
            Some(name) => (None, name),
            None => (Some("otel"), self.name.strip_prefix(OTEL_PREFIX)?),
        };
        Some((table, name.to_ascii_lowercase()))
    }

    /// Returns the default if it is a value, not a description.
    pub(crate) fn default_value(&self) -> Option<&'static str> {
        let value = self.default.strip_prefix('`')?.strip_suffix('`')?;
        Some(value).filter(|value| !value.contains('`'))
    }

    /// Returns the default without Markdown.
    pub(crate) fn default_words(&self) -> Cow<'static, str> {
        if self.default.is_empty() { Cow::Borrowed("none") } else { Cow::Owned(plain(self.default)) }
    }

    /// Returns the dotted key, such as `otel.propagators`, if a running browser may store the setting.
    pub(crate) fn path(&self) -> Option<String> {
        let (table, key) = self.key().filter(|_| !self.is_for_launch)?;
        Some(table.map_or(key.clone(), |table| format!("{table}.{key}")))
    }

    /// Returns the text of a switch that is on or off.
    pub(super) fn switch(&self, on: bool) -> &'static str {
        match (self.is_ours(), on) {
            (true, true) => "on",
            (true, false) => "off",
            (false, true) => "true",
            (false, false) => "false",
        }
    }

    /// Sets the field. On an error the field keeps its value.
    pub(super) fn read(&self, config: &mut Config, text: &OsStr, items: Option<&[String]>) -> Result<(), String> {
        let path = text;
        let text = text.to_string_lossy();
        match self.read {
            Read::Path(set) => set(config, PathBuf::from(path)),
            Read::Switch(set) if self.is_ours() => {
                set(config, value::one_of(&text, &[("off", false), ("on", true)])?);
            }
            // The specification says that everything else is false.
            Read::Switch(set) => set(config, text.eq_ignore_ascii_case("true")),
            Read::List(read) => {
                let split = || text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(ToOwned::to_owned);
                let items = items.map_or_else(|| split().collect(), <[String]>::to_vec);
                read(config, &items)?;
            }
            Read::Text(read) => read(config, &text)?,
        }
        Ok(())
    }
}

/// Stores a successfully read value.
pub(super) fn put<T>(field: &mut T, read: Result<T, String>) -> Result<(), String> {
    *field = read?;
    Ok(())
}

/// Returns Markdown without backticks and link targets.
pub(crate) fn plain(markdown: &str) -> String {
    let mut words = String::new();
    let mut rest = markdown;
    while let Some((before, label, after)) = link(rest) {
        words.extend([before, label]);
        rest = after;
    }
    words.push_str(rest);
    words.replace('`', "")
}

/// Splits at the first link: the text before it, its label, the text after it.
fn link(markdown: &str) -> Option<(&str, &str, &str)> {
    let (before, link) = markdown.split_once('[')?;
    let (label, target) = link.split_once("](")?;
    let (_, after) = target.split_once(')')?;
    Some((before, label, after))
}
