//! A session's journal: whatever happened to its record, one line of JSON each, so that another host can go on where one died.
//!
//! A host holds its session's journal locked. Chromium starts a new host while the old one is still on its way out, and a browser that is killed
//! with its hosts leaves a journal that nobody holds.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often a lock is tried.
const PAUSE: Duration = Duration::from_millis(10);

/// A journal is written anew when it is this long, and twice as long as when that was done last.
const LONG: u64 = 1 << 20;

/// An open journal, which no other process has.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    rewrite_at: u64,
}

impl Journal {
    /// Opens a journal, or begins it. Waits up to `patience` for a process that still has it.
    pub(crate) fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        Self::open_with(&options, path, patience)
    }

    /// Opens a journal that is there, unless another process has it.
    pub(crate) fn open_existing(path: &Path) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().read(true).append(true), path, Duration::ZERO)
    }

    fn open_with(options: &OpenOptions, path: &Path, patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
        let mut file = options.open(path)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_at(&file, path) => break,
                // Whoever had it has removed or replaced it meanwhile.
                Ok(()) => file = options.open(path)?,
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { path: path.to_owned(), file, length: 0, rewrite_at: LONG })
    }

    /// Reads what it has, entry by entry, before anything is added: a long one is not to be in memory twice.
    pub(crate) fn read<E: DeserializeOwned>(&mut self, mut take: impl FnMut(E)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        self.length = loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            match line.strip_suffix(b"\n").map(serde_json::from_slice) {
                Some(Ok(entry)) => take(entry),
                Some(Err(error)) => {
                    // By a later version, perhaps: it is put aside, and nothing of it is cut off.
                    let _ = std::fs::rename(&self.path, self.path.with_extension("unreadable"));
                    let reason = format!("{} is unreadable after {} bytes: {error}", self.path.display(), self.length);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
                None => break self.length,
            }
            self.length += read as u64;
        };
        self.rewrite_at = LONG.max(2 * self.length);
        // What was being written when its process died is no entry, and must not spoil the next one.
        self.file.set_len(self.length)
    }

    /// Adds an entry.
    pub(crate) fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let line = line(entry)?;
        self.file.write_all(&line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Whether it has grown so long that it should be written anew.
    pub(crate) fn is_long(&self) -> bool {
        self.length >= self.rewrite_at
    }

    /// Puts two lines in place of everything, in one step: how it began, and what everything came to.
    pub(crate) fn rewrite(&mut self, begun: &impl Serialize, sum: &impl Serialize) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let new = tempfile::Builder::new()
            .prefix(".journal-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .append(true)
            .tempfile_in(folder)?;
        let mut writer = BufWriter::new(new.as_file());
        serde_json::to_writer(&mut writer, begun)?;
        writer.write_all(b"\n")?;
        serde_json::to_writer(&mut writer, sum)?;
        writer.write_all(b"\n")?;
        writer.flush()?;
        drop(writer);
        flock(new.as_file(), FlockOperation::NonBlockingLockExclusive)?;
        self.file = new.persist(&self.path)?;
        self.length = self.file.metadata()?.len();
        self.rewrite_at = LONG.max(2 * self.length);
        Ok(())
    }

    /// Removes it: everything in it has been dealt with.
    pub(crate) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

/// Whether a file is still the one at a path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn line(entry: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(journal: &mut Journal) -> Vec<String> {
        let mut entries = Vec::new();
        journal.read(|entry| entries.push(entry)).unwrap();
        entries
    }

    #[test]
    fn entries_come_back_and_half_a_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
        assert!(entries(&mut journal).is_empty());
        journal.append(&"1").unwrap();
        journal.append(&"2").unwrap();
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"sett").unwrap();
        let mut journal = Journal::open_existing(&path).unwrap();
        assert_eq!(entries(&mut journal), ["1", "2"]);
        journal.append(&"3").unwrap();
        drop(journal);
        let mut journal = Journal::open_existing(&path).unwrap();
        assert_eq!(entries(&mut journal), ["1", "2", "3"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        journal.remove();
        assert!(!path.exists());
    }

    #[test]
    fn one_process_has_it_also_when_it_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
        for _ in 0..2 {
            let refused = Journal::open(&path, Duration::from_millis(30)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
            journal.rewrite(&"6", &"7").unwrap();
        }
        journal.append(&"8").unwrap();
        drop(journal);
        // A process that another test is just starting may still have it.
        let mut journal = Journal::open(&path, Duration::from_secs(5)).unwrap();
        assert_eq!(entries(&mut journal), ["6", "7", "8"]);
    }

    #[test]
    fn whoever_waits_for_one_that_is_removed_begins_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path, Duration::ZERO).unwrap();
        journal.append(&"1").unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || entries(&mut Journal::open(&path, Duration::from_secs(10)).unwrap())
        });
        std::thread::sleep(Duration::from_millis(50));
        journal.remove();
        assert!(waiting.join().unwrap().is_empty());
        assert!(path.exists());
    }
}
