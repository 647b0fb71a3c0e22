//! The settings that last, as the extension's options page is told of them.

use serde::{Deserialize, Serialize};

/// A value as config.toml has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(untagged)]
pub enum Stored {
    /// `true` or `false`.
    Switch(bool),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<String>),
}

/// How a setting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Anything.
    Text,
    /// Several texts.
    List,
    /// On or off.
    Switch,
    /// One of the choices.
    Choice,
}

/// Where a value comes from; each wins over those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// Nobody gave one.
    Default,
    /// config.toml.
    File,
    /// The environment that the browser was started in.
    Environment,
    /// An option of the command line.
    Flag,
}

/// A setting that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Lasting {
    /// Its key in config.toml: `mode`, or `otel.propagators`.
    pub key: String,
    /// Its environment variable.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What holds when nothing is given.
    pub default: String,
    /// How it is written.
    pub kind: Kind,
    /// What there is to choose from.
    pub choices: Vec<String>,
    /// What holds now; null when it is a secret or there is none.
    pub value: Option<String>,
    /// Whether something of it may not be told.
    pub secret: bool,
    /// Where that comes from.
    pub source: From,
    /// What config.toml says; null when nothing, or a secret.
    pub stored: Option<Stored>,
}
