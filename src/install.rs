//! Registers the host with browsers that navtrace does not start, and removes it again.
//!
//! An installation writes a host manifest where each browser looks for it, and unpacks the extension into a folder that it can be loaded from.
//! [`plan`] and [`scope`] decide without any I/O. [`apply`] and [`uninstall`] read first, then decide about every file, then act. Files that
//! are not navtrace's stay untouched. The registration of another navtrace that still exists is replaced only by an installation.

pub(crate) mod apply;
pub(crate) mod browsers;
mod existing;
mod plan;
mod record;
pub(crate) mod scope;
pub(crate) mod uninstall;

use std::path::{Path, PathBuf};

use crate::base::files::Readers;
use crate::install::plan::ExistingManifest;

/// The detail about the record of an installation.
const RECORD_DETAIL: &str = "the list of installed files for navtrace uninstall";

/// The result for one file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileReport {
    /// A word or two, such as `registered`.
    pub(crate) status: &'static str,
    pub(crate) path: PathBuf,
    /// For example the browsers that read the file.
    pub(crate) detail: String,
    /// The changes to files in the folder, such as `manifest.json written`.
    pub(crate) files: Vec<String>,
}

impl FileReport {
    pub(crate) fn new(status: &'static str, path: &Path, detail: impl Into<String>) -> Self {
        Self { status, path: path.into(), detail: detail.into(), files: Vec::new() }
    }
}

/// The result of an installation or uninstallation.
#[derive(Debug, Default)]
pub(crate) struct InstallReport {
    pub(crate) files: Vec<FileReport>,
    /// A sentence for each thing that could not be done.
    pub(crate) problems: Vec<String>,
    /// The browsers that are registered after an installation.
    pub(crate) registered: Vec<String>,
    /// Whether an uninstallation left no registration.
    pub(crate) is_gone: bool,
}

impl InstallReport {
    fn add(&mut self, status: &'static str, path: &Path, detail: impl Into<String>) {
        self.files.push(FileReport::new(status, path, detail));
    }
}

/// Describes the content of a manifest's path, if it is not navtrace's.
pub(crate) fn foreign(path: &Path) -> Option<&'static str> {
    match existing::read_manifest(path, Path::new(""), "", Readers::User) {
        ExistingManifest::Foreign(kind) => Some(kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
