//! Removes what killed processes and other versions left beside the journals and in the spool.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::directories::StateDirectory;
use crate::base::file_lock;
use crate::export::journal;

/// How the names of files end that this version can't read. A later version may.
pub(super) const UNREADABLE: &str = "unreadable";

/// The most unreadable files that each folder keeps, and their most bytes together. The newest stay.
const MAX_UNREADABLE: usize = 10;
const MAX_UNREADABLE_BYTES: u64 = 16 << 20;

/// The age from which a temporary file belongs to no live process.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// The age from which a file of a process that waits for a journal must be locked: much longer than any process waits.
const WAITED: Duration = Duration::from_secs(60);

struct FoundFile {
    path: PathBuf,
    modified: SystemTime,
    length: u64,
}

impl FoundFile {
    fn is_older(&self, age: Duration) -> bool {
        self.modified.elapsed().is_ok_and(|found| found > age)
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }
}

/// Removes temporary files, files of processes that no longer wait, and the oldest unreadable files.
pub(super) fn sweep(state: &StateDirectory) {
    for dir in [state.sessions(), state.spool()] {
        let files = files(dir);
        let mut unreadable = (0, 0);
        for file in &files {
            let is_temporary = file.path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let is_left = if file.has_extension(UNREADABLE) {
                unreadable = (unreadable.0 + 1, unreadable.1 + file.length);
                unreadable.0 > MAX_UNREADABLE || unreadable.1 > MAX_UNREADABLE_BYTES
            } else if file.has_extension(journal::AWAITED) {
                if let Some(open) = file.is_older(WAITED).then(|| file_lock::open(&file.path).ok()).flatten() {
                    file_lock::remove_unused(&open, &file.path);
                }
                false
            } else {
                is_temporary && file.is_older(ABANDONED)
            };
            if is_left {
                let _ = fs::remove_file(&file.path);
            }
        }
    }
}

/// Lists the files in a folder, the newest first.
fn files(dir: &Path) -> Vec<FoundFile> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<FoundFile> = entries
        .filter_map(|entry| {
            let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(FoundFile { path: entry.path(), modified: data.modified().ok()?, length: data.len() })
        })
        .collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.modified));
    files
}
