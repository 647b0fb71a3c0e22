//! A setting as the extension's options page shows and changes it.

use serde::{Deserialize, Serialize};

/// A value in config.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(untagged)]
pub enum SettingValue {
    /// `true` or `false`.
    Switch(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The kind of value that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SettingKind {
    /// Any text.
    Text,
    /// A list of texts.
    List,
    /// On or off.
    Switch,
    /// One of the setting's choices.
    Choice,
}

/// Where a setting's value comes from; each source wins over those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// The default.
    Default,
    /// config.toml.
    File,
    /// The environment that the browser was started in.
    Environment,
    /// An option of the command line.
    Flag,
}

/// A setting that config.toml can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SettingInfo {
    /// The key in config.toml: `mode`, or `otel.propagators`.
    pub key: String,
    /// The environment variable.
    pub name: String,
    /// A description for the user.
    pub meaning: String,
    /// The default, in words.
    pub default: String,
    /// The kind of value that it takes.
    pub kind: SettingKind,
    /// The values of a choice.
    pub choices: Vec<String>,
    /// The value in force; null when there is none or when it is secret.
    pub value: Option<String>,
    /// Whether the value, or a part of it, must not be shown.
    pub secret: bool,
    /// Where the value in force comes from.
    pub source: SettingSource,
    /// The value in config.toml; null when there is none or when it is secret.
    pub stored: Option<SettingValue>,
}
