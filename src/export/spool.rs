//! The spool: a folder of batches that could not be sent. Each batch is a file of OTLP JSON, as the Collector's file exporter writes it.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::base::file_lock;
use crate::export::destination::Destination;
use crate::export::otlp;
use crate::export::sweep::UNREADABLE;

/// The most bytes that the spool may have. The oldest batches are dropped to make room.
const MAX_BYTES: u64 = 64 << 20;

const EXTENSION: &str = "jsonl";

/// The spool, as the sender to one collector sees it.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
    /// The collector whose batches are its own; `None` if nothing is sent.
    destination: Option<Destination>,
    /// Whether it takes what is meant for the collectors of runs, which may have ended.
    takes_runs: bool,
}

/// A batch that this process has locked.
#[derive(Debug)]
pub(crate) struct SpooledBatch {
    pub(crate) path: PathBuf,
    _locked: File,
    pub(crate) request: ExportTraceServiceRequest,
}

impl SpooledBatch {
    /// Deletes the batch and returns its path. After an error, which is a message for the user, this process must not send it again.
    pub(crate) fn remove(self) -> Result<PathBuf, String> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(self.path),
            Err(error) => {
                Err(format!("spans that were sent can't be removed from the spool, and will be sent again: {error}"))
            }
        }
    }
}

/// A batch that can't be locked or read.
#[derive(Debug)]
pub(crate) struct UnusableBatch {
    pub(crate) path: PathBuf,
    pub(crate) spans: usize,
    /// A message for the user.
    pub(crate) reason: String,
}

/// A batch that was added to the spool.
#[derive(Debug)]
pub(crate) struct AddedBatch {
    pub(crate) path: PathBuf,
    /// Older spans that were dropped to make room.
    pub(crate) dropped: usize,
}

impl AddedBatch {
    /// Returns a message for the user, if older spans were dropped.
    pub(crate) fn dropped_message(&self) -> Option<String> {
        (self.dropped > 0).then(|| format!("the spool is full: {} of its oldest spans were dropped", self.dropped))
    }
}

impl Spool {
    /// Uses a folder that exists.
    pub(crate) fn new(dir: &Path, destination: Option<Destination>) -> Self {
        Self { dir: dir.to_owned(), max_bytes: MAX_BYTES, destination, takes_runs: false }
    }

    /// Takes what was meant for the collectors of runs too.
    pub(super) fn with_runs(self) -> Self {
        Self { takes_runs: true, ..self }
    }

    /// Adds a batch for the spool's own collector.
    pub(crate) fn put(&self, request: &ExportTraceServiceRequest) -> io::Result<AddedBatch> {
        self.put_for(self.destination.as_ref(), request)
    }

    /// Adds a batch for a collector.
    pub(super) fn put_for(
        &self,
        destination: Option<&Destination>,
        request: &ExportTraceServiceRequest,
    ) -> io::Result<AddedBatch> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let dropped = self.make_room(line.len() as u64);
        let mut file = tempfile::Builder::new()
            .prefix(".spool-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(&line)?;
        // File names sort by age. They end with the destination and the number of spans.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let destination = destination.map(|destination| format!("{}-", destination.as_str())).unwrap_or_default();
        let name = format!("{now:020}-{}-{destination}{}.{EXTENSION}", std::process::id(), otlp::count(request));
        let path = self.dir.join(name);
        file.persist(&path)?;
        Ok(AddedBatch { path, dropped })
    }

    /// Locks and reads the oldest of its own batches that is not one of `tried`. Skips batches that another process has locked, and renames files that are
    /// not batches. An error is about one batch.
    pub(crate) fn next_except(&self, tried: &HashSet<PathBuf>) -> Option<Result<SpooledBatch, UnusableBatch>> {
        let paths = self.files().into_iter().map(|(path, _)| path);
        let mut paths = paths.filter(|path| self.is_own(path) && !tried.contains(path));
        paths.find_map(|path| match Self::lock_and_read(&path) {
            Ok(None) => None,
            Ok(Some((locked, request))) => Some(Ok(SpooledBatch { path, _locked: locked, request })),
            // Another process has sent and removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(Err(UnusableBatch {
                spans: spans_of(&path),
                reason: format!(
                    "{} can't be used ({error}): check its permissions, or set XDG_STATE_HOME to a folder on another file system",
                    path.display()
                ),
                path,
            })),
        })
    }

    /// Returns `None` if the batch is locked, gone or unreadable.
    fn lock_and_read(path: &Path) -> io::Result<Option<(File, ExportTraceServiceRequest)>> {
        let mut file = file_lock::open(path)?;
        if !file_lock::try_lock(&file)? {
            return Ok(None);
        }
        // The process that had the lock may have sent and removed the batch.
        path.metadata()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        match serde_json::from_slice(&bytes) {
            Ok(request) => Ok(Some((file, request))),
            Err(error) => {
                tracing::warn!("{} is not a batch of spans ({error}): it is renamed to .unreadable", path.display());
                let _ = fs::rename(path, path.with_extension(UNREADABLE));
                Ok(None)
            }
        }
    }

    /// Returns how many spans are in its own batches.
    pub(crate) fn spans(&self) -> usize {
        self.files().iter().filter(|(path, _)| self.is_own(path)).map(|(path, _)| spans_of(path)).sum()
    }

    /// Returns how many spans are for other collectors.
    pub(super) fn spans_elsewhere(&self) -> BTreeMap<Destination, usize> {
        let mut spans = BTreeMap::new();
        for (path, _) in self.files() {
            if let Some(destination) = Destination::of_batch(&path).filter(|_| !self.is_own(&path)) {
                *spans.entry(destination).or_default() += spans_of(&path);
            }
        }
        spans
    }

    /// Returns whether a batch is for the spool's own collector. Batches of earlier versions are for any but that of a run.
    fn is_own(&self, path: &Path) -> bool {
        match Destination::of_batch(path) {
            None => !self.destination.as_ref().is_some_and(Destination::is_of_run),
            Some(found) => self.destination.as_ref() == Some(&found) || (self.takes_runs && found.is_of_run()),
        }
    }

    /// Removes the oldest batches until `bytes` more fit. Returns how many spans were removed.
    fn make_room(&self, bytes: u64) -> usize {
        let files = self.files();
        let mut total = bytes + files.iter().map(|(_, length)| length).sum::<u64>();
        let mut dropped = 0;
        for (path, length) in files {
            if total <= self.max_bytes {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                dropped += spans_of(&path);
                total -= length;
            }
        }
        dropped
    }

    /// Lists the batches, oldest first, with their lengths in bytes.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let batches = paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        let mut files: Vec<_> = batches
            .filter_map(|path| {
                let length = path.metadata().ok()?.len();
                Some((path, length))
            })
            .collect();
        files.sort();
        files
    }
}

/// Reads the number of spans from a batch's file name.
fn spans_of(path: &Path) -> usize {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit('-').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn batch(name: &str, spans: usize) -> ExportTraceServiceRequest {
        let spans =
            (0..spans).map(|_| Span { name: name.to_owned(), span_id: vec![7; 8], ..Span::default() }).collect();
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
    }

    fn next(spool: &Spool) -> Option<SpooledBatch> {
        spool.next_except(&HashSet::new()).transpose().unwrap()
    }

    #[test]
    fn each_batch_is_read_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), None);
        for name in ["a", "b", "c"] {
            assert_eq!(spool.put(&batch(name, 2)).unwrap().dropped, 0);
        }
        assert_eq!(spool.spans(), 6);
        let first = next(&spool).unwrap();
        assert_eq!(first.request, batch("a", 2));
        // A locked batch is skipped until its lock is released.
        let second = next(&spool).unwrap();
        assert_eq!(second.request, batch("b", 2));
        drop(first);
        second.remove().unwrap();
        for name in ["a", "c"] {
            let taken = next(&spool).unwrap();
            assert_eq!(taken.request, batch(name, 2));
            taken.remove().unwrap();
        }
        assert!(next(&spool).is_none());
    }

    #[test]
    fn a_batch_is_a_private_file_with_one_line_of_otlp_json() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), None);
        spool.put(&batch("GET", 1)).unwrap();
        let (path, _) = spool.files().remove(0);
        let text = fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"], "0707070707070707");
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_spool_drops_and_counts_the_oldest_spans() {
        let dir = tempfile::tempdir().unwrap();
        let length = serde_json::to_vec(&batch("a", 1)).unwrap().len() as u64 + 1;
        let spool = Spool { max_bytes: 3 * length, ..Spool::new(dir.path(), None) };
        let dropped: Vec<usize> =
            ["a", "b", "c", "d", "e"].map(|name| spool.put(&batch(name, 1)).unwrap().dropped).to_vec();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(next(&spool).unwrap().request, batch("c", 1));
    }

    #[test]
    fn a_file_that_is_no_batch_is_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), None);
        fs::write(dir.path().join("00000000000000000001-1-5.jsonl"), "{\"resourceSpans\":[{").unwrap();
        spool.put(&batch("a", 1)).unwrap();
        assert_eq!(next(&spool).unwrap().request, batch("a", 1));
        assert_eq!(spool.spans(), 1);
    }
}
