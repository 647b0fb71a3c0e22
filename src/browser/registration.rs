//! Registers the host with browsers that navtrace does not start itself: puts the host manifest where each looks for it and the extension where
//! it can be loaded from, and takes away exactly that again.
//!
//! [`plan`] and [`scope`] decide, without looking; [`mod@install`] and [`mod@uninstall`] look first, then decide about everything, then do it.
//! A file that is not navtrace's stays as it is, and so does the registration of another navtrace that is still there, unless `install` is to
//! take its place.

pub mod find;
mod folder;
pub mod install;
mod plan;
mod present;
mod receipt;
pub mod scope;
pub mod uninstall;

use std::path::{Path, PathBuf};

use self::plan::Present;
use self::present::Obstacle;
use self::scope::{Place, Scope};
use super::private::Readers;
use crate::failure::{ExitCode, Failure};

/// What became of one file or folder, or would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// In one word or two, such as `registered`.
    pub what: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// For whom it is, or whatever else is to be said of it.
    pub note: String,
    /// The files in the folder that this is about, by their names in it.
    pub files: Vec<String>,
}

impl Line {
    fn new(what: &'static str, path: &Path, note: impl Into<String>) -> Self {
        Self { what, path: path.into(), note: note.into(), files: Vec::new() }
    }
}

/// What came of it all.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What became of each file, in order.
    pub lines: Vec<Line>,
    /// What could not be done, a sentence each.
    pub problems: Vec<String>,
    /// Whose registration is in place, after an installation.
    pub registered: Vec<String>,
    /// Whether everything of this scope is gone, after an uninstallation.
    pub gone: bool,
}

/// Whether to do it or only to say what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Real,
    /// Change nothing.
    Dry,
}

/// Says what stands in the place of a manifest, if that is not navtrace's.
#[must_use]
pub fn foreign(place: &Place) -> Option<&'static str> {
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
