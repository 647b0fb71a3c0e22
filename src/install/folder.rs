//! The folder of the unpacked extension, in which only navtrace's files are touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

/// Those of `names` that are files in the folder.
pub(super) fn present<'a>(folder: &Path, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    let inside = |name: &&str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let there = |name: &&str| fs::symlink_metadata(folder.join(name)).is_ok_and(|data| !data.is_dir());
    names.into_iter().map(String::as_str).filter(inside).filter(there).collect()
}

/// Removes files from the folder, and the folders in it that are empty then.
pub(super) fn remove(folder: &Path, names: &BTreeSet<&str>) -> io::Result<()> {
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

/// Removes a folder when nothing is in it but folders with nothing in them.
pub(super) fn prune(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        prune(&entry.path());
    }
    let _ = fs::remove_dir(folder);
}

/// Whether [`prune`] would leave nothing.
pub(super) fn is_bare(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.all(|entry| {
            entry.is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_bare(&entry.path()))
        }),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
