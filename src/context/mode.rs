//! The ways in which requests get their headers.

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
    /// Rules that never change put the session's span id on every request. The launcher writes them, so no extension reports this mode.
    #[cfg_attr(test, ts(skip))]
    Static,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lightweight => "lightweight",
            Self::Detailed => "detailed",
            Self::Static => "static",
        })
    }
}

/// The mode that the user asks the extension's worker for.
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

/// The user's choice of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModeSetting {
    /// The extension has a worker, which puts headers on requests.
    Worker(WantedMode),
    /// An extension without a worker has rules that never change. Only for browsers that the launcher starts.
    Static,
}

impl Default for ModeSetting {
    fn default() -> Self {
        Self::Worker(WantedMode::default())
    }
}

impl ModeSetting {
    /// Returns the mode of a browser whose extension has a worker: the mode that is closest to the user's choice.
    pub(crate) fn of_worker(self) -> WantedMode {
        match self {
            Self::Worker(mode) => mode,
            Self::Static => WantedMode::Lightweight,
        }
    }
}
