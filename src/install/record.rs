//! The record of an installation: every file and directory that it created, so that exactly those are removed again.
//!
//! The manifests alone could not tell which user data directories have one, nor which directories are new.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::files::{self, Readers};

/// The files and directories of one installation.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct InstallRecord {
    /// The host manifests.
    pub(super) manifests: BTreeSet<PathBuf>,
    /// The directories that did not exist before.
    pub(super) directories: BTreeSet<PathBuf>,
    /// The extension's files, relative to its folder.
    pub(super) extension: BTreeSet<String>,
}

impl InstallRecord {
    pub(super) fn path(share: &Path) -> PathBuf {
        share.join("installed.json")
    }

    /// Reads the record. A missing or broken one counts as empty.
    pub(super) fn read(share: &Path) -> Self {
        let bytes = fs::read(Self::path(share)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes the record into an existing directory. Fails too if a path is not UTF-8.
    pub(super) fn write(&self, share: &Path, readers: Readers) -> io::Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        files::write(&Self::path(share), text.as_bytes(), readers)
    }

    /// Removes the recorded directories that are empty and pass the filter. Forgets those that no longer exist.
    pub(super) fn remove_directories(&mut self, may_go: impl Fn(&Path) -> bool) {
        let innermost_first: Vec<PathBuf> = self.directories.iter().rev().cloned().collect();
        for dir in innermost_first.into_iter().filter(|dir| may_go(dir)) {
            match fs::remove_dir(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => {}
                _ => {
                    self.directories.remove(&dir);
                }
            }
        }
    }
}

/// Returns those of the relative `names` that are files in the folder. Names that lead out of the folder are left out.
pub(super) fn files_in<'a>(folder: &Path, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    let is_inside = |name: &&str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let exists = |name: &&str| fs::symlink_metadata(folder.join(name)).is_ok_and(|data| !data.is_dir());
    names.into_iter().map(String::as_str).filter(is_inside).filter(exists).collect()
}

/// Removes files from the folder, and the directories in it that become empty.
pub(super) fn remove_files(folder: &Path, names: &BTreeSet<&str>) -> io::Result<()> {
    for name in names {
        fs::remove_file(folder.join(name))?;
        let parents = Path::new(name).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        for parent in parents {
            if fs::remove_dir(folder.join(parent)).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Removes empty directories in and including `dir`.
pub(super) fn remove_empty(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty(&entry.path());
    }
    let _ = fs::remove_dir(dir);
}

/// Returns whether there is no file in the directory, so that [`remove_empty`] would remove it.
pub(super) fn is_empty(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.all(|entry| {
            entry.is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_empty(&entry.path()))
        }),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
