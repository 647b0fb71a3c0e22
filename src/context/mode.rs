//! The two ways in which the extension puts headers on requests.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The mode in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Session rules only: every request of a navigation carries the navigation's span id.
    Lightweight,
    /// A blocking listener gives each request its own span id.
    Detailed,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lightweight => "lightweight",
            Self::Detailed => "detailed",
        })
    }
}

/// The mode that the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum WantedMode {
    /// Detailed where the browser grants it, otherwise lightweight.
    #[default]
    Auto,
    /// Lightweight, even where the browser grants detailed mode.
    Lightweight,
    /// Detailed; where the browser does not grant it, lightweight with a warning.
    Detailed,
}
