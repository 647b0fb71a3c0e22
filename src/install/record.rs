//! What was put in place, as it is kept beside the extension for `navtrace uninstall`.
//!
//! The manifests alone could not tell: not which profiles have one, nor which directories were not there before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The receipt's file name.
const FILE: &str = "installed.json";

/// What was put in place for one user or for all.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Receipt {
    /// The host manifests.
    pub(super) manifests: BTreeSet<PathBuf>,
    /// The directories that were not there before.
    pub(super) directories: BTreeSet<PathBuf>,
    /// The files of the extension, by their names in its folder.
    pub(super) extension: BTreeSet<String>,
}

impl Receipt {
    /// Where the receipt is.
    pub(super) fn path(share: &Path) -> PathBuf {
        share.join(FILE)
    }

    /// Reads the receipt. One that is not there or says nothing is empty.
    pub(super) fn read(share: &Path) -> Self {
        let bytes = fs::read(Self::path(share)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes it down. Paths that are not UTF-8 can't be.
    pub(super) fn render(&self) -> Result<String, serde_json::Error> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }
}
