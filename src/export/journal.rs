//! A session's journal: a file with one line of JSON for each change, so that the next host can continue where one died.
//!
//! A host keeps its journal locked. Chromium starts a new host while the old one still shuts down, and a browser that is killed together
//! with its hosts leaves a journal that no process has locked.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::directories::StateDirectory;
use crate::base::file_lock;
use crate::base::process::Process;
use crate::context::issuer::SessionContext;
use crate::export::destination::Destination;
use crate::export::sweep::UNREADABLE;
use crate::observe::observation::{Observed, SpanLink};
use crate::observe::session::{EndedIteration, RemoteParent, Session, TestStep};
use crate::observe::span::{Nanos, Span};

/// How the file names of journals end.
pub(super) const EXTENSION: &str = "jsonl";

/// How the names of files end that say that a process waits for a journal.
pub(super) const AWAITED: &str = "awaited";

/// Pause between two attempts to lock a journal.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The length in bytes below which a journal is never compacted.
const MIN_COMPACTION: u64 = 1 << 20;

/// One line of a journal. The names on disk are kept so that journals of earlier builds stay readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JournalEntry {
    /// The first line.
    #[serde(rename = "begun")]
    Started(SessionStart),
    /// Replaces the effect of all lines before it.
    #[serde(rename = "summed")]
    State(Box<SessionState>),
    Observed(Observed),
    /// A step of a test has begun or ended.
    Step(TestStep),
    /// An iteration of k6 has ended.
    Iteration(EndedIteration),
    /// Spans left the queue.
    #[serde(rename = "settled")]
    Removed {
        /// The index of the first one.
        at: usize,
        count: usize,
        #[serde(rename = "fate")]
        result: ExportResult,
    },
    /// Another session took this one's place.
    Retired {
        time: Nanos,
    },
    /// The session has ended.
    Closed {
        time: Nanos,
    },
}

/// Everything about a session that never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionStart {
    pub(crate) context: SessionContext,
    /// The span above the session's, when another program started the trace.
    pub(crate) parent: Option<RemoteParent>,
    /// The links of the session's span. Journals of earlier builds have none.
    #[serde(default)]
    pub(crate) links: Vec<SpanLink>,
    pub(crate) time: Nanos,
    pub(crate) resource: Resource,
    pub(crate) browser: Process,
    /// Where the spans are sent. Earlier versions did not say.
    #[serde(default)]
    pub(crate) destination: Option<Destination>,
}

/// Everything about a session that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionState {
    pub(super) session: Session,
    /// The spans in the queue, oldest first.
    pub(super) waiting: VecDeque<Span>,
    pub(super) closed: bool,
    #[serde(rename = "exported")]
    pub(super) counts: ExportCounts,
}

/// The way in which spans left the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExportResult {
    /// The collector accepted them.
    Exported,
    /// The collector rejected them for good.
    Refused,
    /// They were moved to the spool.
    Spooled,
    /// They could neither be sent nor kept.
    Lost,
}

/// How many spans of a session left the queue, by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportCounts {
    /// Spans that the collector accepted.
    pub exported: usize,
    /// Spans that the collector rejected for good.
    pub refused: usize,
    /// Spans that were moved to the spool.
    pub spooled: usize,
    /// Spans that could neither be sent nor kept.
    pub lost: usize,
}

impl ExportCounts {
    pub(crate) fn add(&mut self, Self { exported, refused, spooled, lost }: Self) {
        self.exported += exported;
        self.refused += refused;
        self.spooled += spooled;
        self.lost += lost;
    }

    pub(crate) fn count(&mut self, count: usize, result: ExportResult) {
        *match result {
            ExportResult::Exported => &mut self.exported,
            ExportResult::Refused => &mut self.refused,
            ExportResult::Spooled => &mut self.spooled,
            ExportResult::Lost => &mut self.lost,
        } += count;
    }
}

/// Returns the path of a session's journal.
pub(super) fn path(state: &StateDirectory, SessionContext { trace_id, span_id, .. }: SessionContext) -> PathBuf {
    state.sessions().join(format!("{trace_id}-{span_id}.{EXTENSION}"))
}

/// Returns whether another process waits for a journal.
pub(super) fn is_awaited(path: &Path) -> bool {
    file_lock::open(&awaited(path)).and_then(|file| file_lock::try_lock(&file)).is_ok_and(|locked| !locked)
}

/// Returns the path of the file that a process has locked while it waits for a journal.
fn awaited(path: &Path) -> PathBuf {
    path.with_extension(AWAITED)
}

/// A journal that this process has locked.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// The length from which the journal should be compacted: twice what the last compaction left.
    compact_at: u64,
    /// Whether the process that had the journal before has ended the session and removed it.
    has_ended: bool,
}

impl Journal {
    /// Opens or creates a journal. Waits up to `timeout` for another process that has it locked.
    pub(crate) fn open(path: &Path, timeout: Duration) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().read(true).append(true).create(true).mode(0o600), path, timeout)
    }

    /// Opens a journal that exists. Fails at once if another process has it locked.
    pub(crate) fn open_existing(path: &Path) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().read(true).append(true), path, Duration::ZERO)
    }

    fn open_with(options: &OpenOptions, path: &Path, timeout: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + timeout;
        let mut file = options.open(path)?;
        let mut has_ended = false;
        let mut wait = None;
        loop {
            match file_lock::try_lock(&file) {
                Ok(true) if file_lock::is_at(&file, path) => break,
                // The process that had the lock removed or replaced the file.
                Ok(true) => {
                    has_ended |= ends_session(&file)?;
                    file = options.open(path)?;
                }
                Ok(false) if Instant::now() < deadline => {
                    wait.get_or_insert_with(|| Wait::begin(path));
                    std::thread::sleep(LOCK_RETRY);
                }
                Ok(false) => return Err(rustix::io::Errno::WOULDBLOCK.into()),
                Err(error) => {
                    // Without locks nobody can use a journal, so a new one must not stay.
                    if file.metadata().is_ok_and(|data| data.len() == 0) {
                        let _ = std::fs::remove_file(path);
                    }
                    return Err(error);
                }
            }
        }
        Ok(Self { path: path.to_owned(), file, length: 0, compact_at: MIN_COMPACTION, has_ended })
    }

    /// Returns whether the session has ended, and this journal of it is a new one.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Passes every entry to `apply`. Must be called before anything is appended. Reads line by line, because a journal can be long.
    pub(crate) fn read<E: DeserializeOwned>(&mut self, mut apply: impl FnMut(E)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        self.length = 0;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            // A process died while it wrote the last line.
            let Some(json) = line.strip_suffix(b"\n") else { break };
            match serde_json::from_slice(json) {
                Ok(entry) => apply(entry),
                Err(error) => {
                    // A later version may be able to read the file, so it is renamed and not changed.
                    let _ = std::fs::rename(&self.path, self.path.with_extension(UNREADABLE));
                    let reason = format!("{} is unreadable after {} bytes: {error}", self.path.display(), self.length);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
            }
            self.length += read as u64;
        }
        self.compact_at = MIN_COMPACTION.max(2 * self.length);
        // Removes the incomplete line, so that the next entry starts on a line of its own.
        self.file.set_len(self.length)
    }

    pub(crate) fn append(&mut self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    pub(crate) fn needs_compaction(&self) -> bool {
        self.length >= self.compact_at
    }

    /// Replaces the whole content by two lines, in one step.
    pub(crate) fn replace(&mut self, start: &impl Serialize, state: &impl Serialize) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let new = tempfile::Builder::new()
            .prefix(".journal-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .append(true)
            .tempfile_in(folder)?;
        let mut writer = BufWriter::new(new.as_file());
        serde_json::to_writer(&mut writer, start)?;
        writer.write_all(b"\n")?;
        serde_json::to_writer(&mut writer, state)?;
        writer.write_all(b"\n")?;
        writer.flush()?;
        drop(writer);
        file_lock::try_lock(new.as_file())?;
        self.file = new.persist(&self.path)?;
        self.length = self.file.metadata()?.len();
        self.compact_at = MIN_COMPACTION.max(2 * self.length);
        Ok(())
    }

    /// Deletes the file.
    pub(crate) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

/// A wait for a journal, of which the process that has the journal learns.
struct Wait(PathBuf, Option<File>);

impl Wait {
    fn begin(journal: &Path) -> Self {
        let path = awaited(journal);
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            // Several may wait. This waits only for `is_awaited` and for a removal, after which it makes a new file.
            let locked = file.ok().filter(|file| file_lock::lock_shared(file).is_ok());
            if locked.as_ref().is_none_or(|file| file_lock::is_at(file, &path)) {
                return Self(path, locked);
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(file) = &self.1 {
            file_lock::remove_unused(file, &self.0);
        }
    }
}

/// Returns whether a journal says that its session has ended.
fn ends_session(mut journal: &File) -> io::Result<bool> {
    journal.seek(SeekFrom::Start(0))?;
    Ok(BufReader::new(journal).lines().map_while(Result::ok).any(|line| match serde_json::from_str(&line) {
        Ok(JournalEntry::Closed { .. }) => true,
        Ok(JournalEntry::State(state)) => state.closed,
        _ => false,
    }))
}

#[cfg(test)]
mod tests;
