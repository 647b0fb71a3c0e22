//! What is known of a setting, and how a value that was given to it becomes a field of [`Config`].

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::settings::{Config, value};

/// What the names of navtrace's own settings begin with.
pub(super) const OURS: &str = "NAVTRACE_";
/// What those of OpenTelemetry's begin with.
const OPENTELEMETRY: &str = "OTEL_";

/// Everything that is known of a setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its environment variable, from which its key follows.
    pub(crate) name: &'static str,
    /// The long option, which is its key with dashes. For what may differ from run to run.
    pub(crate) flag: Option<&'static str>,
    /// The default in Markdown: a value in backticks, or words. Empty where the row before says it.
    pub(crate) default: &'static str,
    /// What it means, in a line of Markdown. Empty where the row before says it.
    pub(crate) meaning: &'static str,
    /// What may not be shown.
    pub(crate) secret: Secret,
    /// Whether it is about starting a browser, so that it is none of the business of one that runs.
    pub(crate) is_for_launch: bool,
    /// The names that it is one of; none where it is anything else.
    pub(crate) choices: fn() -> Vec<&'static str>,
    /// How its text becomes a field of [`Config`].
    pub(crate) read: Read,
}

/// What of a value may not be shown. Addresses are never shown with theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// Nothing.
    Nothing,
    /// All of one that can't be read, since nobody can say what in it is a secret.
    WhenUnread,
    /// That too, and the values of its `key=value` pairs.
    Values,
}

/// How the text of a setting becomes a field of [`Config`], by what its text is. A reason says what was expected.
#[derive(Debug)]
pub(crate) enum Read {
    /// A path.
    Path(fn(&mut Config, PathBuf)),
    /// `on` or `off`, in OpenTelemetry's settings `true` or anything else; in config.toml also a boolean.
    Switch(fn(&mut Config, bool)),
    /// Texts with commas between them; in config.toml also an array.
    List(fn(&mut Config, &[String]) -> Result<(), String>),
    /// Anything else.
    Text(fn(&mut Config, &str) -> Result<(), String>),
}

/// What most rows have in common.
pub(super) const SETTING: Setting = Setting {
    name: "",
    flag: None,
    default: "none",
    meaning: "",
    secret: Secret::Nothing,
    is_for_launch: false,
    choices: Vec::new,
    read: Read::Text(|_, _| Ok(())),
};

impl Setting {
    /// Whether it is navtrace's own, so that a value that can't be used is an error.
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with(OURS)
    }

    /// Its table in config.toml, if it is not at the top, and its key there; none when it comes from the environment alone.
    pub(crate) fn key(&self) -> Option<(Option<&'static str>, String)> {
        let (table, name) = match self.name.strip_prefix(OURS) {
            Some(name) => (None, name),
            None => (Some("otel"), self.name.strip_prefix(OPENTELEMETRY)?),
        };
        Some((table, name.to_ascii_lowercase()))
    }

    /// The default, where it is a value and not words.
    pub(crate) fn default_value(&self) -> Option<&'static str> {
        let value = self.default.strip_prefix('`')?.strip_suffix('`')?;
        Some(value).filter(|value| !value.contains('`'))
    }

    /// The default as a terminal shows it.
    pub(crate) fn default_words(&self) -> Cow<'static, str> {
        if self.default.is_empty() { Cow::Borrowed("none") } else { Cow::Owned(self.default.replace('`', "")) }
    }

    /// Its key as one word, `mode` or `otel.propagators`, if it can be stored for a browser that runs.
    pub(crate) fn path(&self) -> Option<String> {
        let (table, key) = self.key().filter(|_| !self.is_for_launch)?;
        Some(table.map_or(key.clone(), |table| format!("{table}.{key}")))
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
    pub(super) fn read(&self, config: &mut Config, text: &OsStr, items: Option<&[String]>) -> Result<(), String> {
        let path = text;
        let text = text.to_string_lossy();
        match self.read {
            Read::Path(set) => set(config, PathBuf::from(path)),
            Read::Switch(set) if self.is_ours() => {
                set(config, value::one_of(&text, &[("off", false), ("on", true)])?);
            }
            // Everything else is false, says the specification.
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

/// Puts what was read into its field.
pub(super) fn put<T>(field: &mut T, read: Result<T, String>) -> Result<(), String> {
    *field = read?;
    Ok(())
}

/// Markdown without its marks.
pub(crate) fn plain(markdown: &str) -> String {
    // Of a link, its words.
    let mut words = String::new();
    let mut rest = markdown;
    while let Some((before, label, after)) = link(rest) {
        words.extend([before, label]);
        rest = after;
    }
    words.push_str(rest);
    words.replace('`', "")
}

/// Finds the first link: what is before it, its words, and what comes after it.
fn link(markdown: &str) -> Option<(&str, &str, &str)> {
    let (before, link) = markdown.split_once('[')?;
    let (label, target) = link.split_once("](")?;
    let (_, after) = target.split_once(')')?;
    Some((before, label, after))
}
