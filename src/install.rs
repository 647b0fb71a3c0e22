//! Registers the host with browsers that navtrace does not start itself: puts the host manifest where each looks for it and the extension where
//! it can be loaded from, and takes away exactly that again.
//!
//! [`plan`] and [`scope`] decide, without looking; [`mod@install`] and [`mod@uninstall`] look first, then decide about everything, then do it.
//! A file that is not navtrace's stays as it is, and so does the registration of another navtrace that is still there, unless `install` is to
//! take its place.

pub(crate) mod apply;
pub(crate) mod browsers;
pub(crate) mod find;
mod folder;
pub(crate) mod inspect;
mod plan;
mod present;
mod record;
pub(crate) mod scope;
pub(crate) mod uninstall;

use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::Readers;
use crate::install::plan::Present;
use crate::install::present::Obstacle;
use crate::install::scope::{Place, Scope};

/// What became of one file or folder, or would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// In one word or two, such as `registered`.
    pub(crate) what: &'static str,
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// For whom it is, or whatever else is to be said of it.
    pub(crate) note: String,
    /// The files in the folder that this is about, by their names in it.
    pub(crate) files: Vec<String>,
}

impl Line {
    fn new(what: &'static str, path: &Path, note: impl Into<String>) -> Self {
        Self { what, path: path.into(), note: note.into(), files: Vec::new() }
    }
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What became of each file, in order.
    pub(crate) lines: Vec<Line>,
    /// What could not be done, a sentence each.
    pub(crate) problems: Vec<String>,
    /// Whose registration is in place, after an installation.
    pub(crate) registered: Vec<String>,
    /// Whether everything of this scope is gone, after an uninstallation.
    pub(crate) gone: bool,
}

/// Whether to do it or only to say what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Do it.
    Real,
    /// Change nothing.
    Dry,
}

/// Says what stands in the place of a manifest, if that is not navtrace's.
pub(crate) fn foreign(place: &Place) -> Option<&'static str> {
    match present::look(place, Path::new(""), "", Readers::User) {
        Present::Foreign(what) => Some(what),
        _ => None,
    }
}

/// All users' files are root's.
fn needs_root(scope: &Scope, obstacle: &Obstacle) -> Option<Failure> {
    (scope.is_system() && obstacle.is_permission()).then(|| {
        let message = format!("{obstacle}; what all users have needs root: run this as root");
        Failure::new(ExitCode::Failure, message)
    })
}

#[cfg(test)]
mod tests;
