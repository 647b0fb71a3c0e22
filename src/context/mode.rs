//! The modes: how requests get their headers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How requests get their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Session rules only: every request of a navigation carries the navigation's span id.
    Lightweight,
    /// A blocking listener: every request carries a span id of its own.
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

/// Which mode the user wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum WantedMode {
    /// Detailed where the browser grants it, else lightweight.
    #[default]
    Auto,
    /// [`Mode::Lightweight`], whatever is granted.
    Lightweight,
    /// [`Mode::Detailed`]; where it is not granted, lightweight and a word about it.
    Detailed,
}
