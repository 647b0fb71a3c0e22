//! The spool: a folder of batches that could not be sent. Each batch is a file of OTLP JSON, as the Collector's file exporter writes it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rustix::fs::{FlockOperation, flock};

use crate::export::otlp;

/// The most bytes that the spool may have. The oldest batches are dropped to make room.
const MAX_BYTES: u64 = 64 << 20;

const EXTENSION: &str = "jsonl";

#[derive(Debug, Clone)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
}

/// A batch that this process has locked.
#[derive(Debug)]
pub(crate) struct SpooledBatch {
    pub(crate) path: PathBuf,
    _locked: File,
    pub(crate) request: ExportTraceServiceRequest,
}

impl SpooledBatch {
    /// Deletes the batch. After an error, which is a message for the user, this process must not send it again.
    pub(crate) fn remove(self) -> Result<(), String> {
        fs::remove_file(&self.path).map_err(|error| {
            format!("spans that were sent can't be removed from the spool, and will be sent again: {error}")
        })
    }
}

impl Spool {
    /// Uses a folder that exists.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), max_bytes: MAX_BYTES }
    }

    /// Adds a batch. Returns how many older spans were dropped to make room for it.
    pub(crate) fn put(&self, request: &ExportTraceServiceRequest) -> io::Result<usize> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let dropped = self.make_room(line.len() as u64);
        let mut file = tempfile::Builder::new()
            .prefix(".spool-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(&line)?;
        // File names sort by age. They end with the number of spans.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{now:020}-{}-{}.{EXTENSION}", std::process::id(), otlp::count(request));
        file.persist(self.dir.join(name))?;
        Ok(dropped)
    }

    /// Locks and reads the oldest batch that is newer than `last`. Skips batches that another process has locked, and renames files that are
    /// not batches.
    pub(crate) fn next_after(&self, last: Option<&Path>) -> Option<SpooledBatch> {
        let mut newer = self.files().into_iter().filter(|(path, _)| last.is_none_or(|last| **path > *last));
        newer.find_map(|(path, _)| {
            let mut file = File::open(&path).ok()?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
            // The process that had the lock may have sent and removed the batch.
            path.metadata().ok()?;
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            match read.and_then(|_| serde_json::from_str(&text).map_err(io::Error::from)) {
                Ok(request) => Some(SpooledBatch { path, _locked: file, request }),
                Err(error) => {
                    tracing::warn!(
                        "{} is not a batch of spans ({error}): it is renamed to .unreadable",
                        path.display()
                    );
                    let _ = fs::rename(&path, path.with_extension("unreadable"));
                    None
                }
            }
        })
    }

    /// Returns how many spans are in the spool.
    pub(crate) fn spans(&self) -> usize {
        self.files().iter().map(|(path, _)| spans_of(path)).sum()
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

    #[test]
    fn each_batch_is_read_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        for name in ["a", "b", "c"] {
            assert_eq!(spool.put(&batch(name, 2)).unwrap(), 0);
        }
        assert_eq!(spool.spans(), 6);
        let first = spool.next_after(None).unwrap();
        assert_eq!(first.request, batch("a", 2));
        // A locked batch is skipped until its lock is released.
        let second = spool.next_after(None).unwrap();
        assert_eq!(second.request, batch("b", 2));
        drop(first);
        second.remove().unwrap();
        for name in ["a", "c"] {
            let taken = spool.next_after(None).unwrap();
            assert_eq!(taken.request, batch(name, 2));
            taken.remove().unwrap();
        }
        assert!(spool.next_after(None).is_none());
    }

    #[test]
    fn a_batch_is_a_private_file_with_one_line_of_otlp_json() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
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
        let spool = Spool { max_bytes: 3 * length, ..Spool::new(dir.path()) };
        let dropped: Vec<usize> = ["a", "b", "c", "d", "e"].map(|name| spool.put(&batch(name, 1)).unwrap()).to_vec();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(spool.next_after(None).unwrap().request, batch("c", 1));
    }

    #[test]
    fn a_file_that_is_no_batch_is_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        fs::write(dir.path().join("00000000000000000001-1-5.jsonl"), "{\"resourceSpans\":[{").unwrap();
        spool.put(&batch("a", 1)).unwrap();
        assert_eq!(spool.next_after(None).unwrap().request, batch("a", 1));
        assert_eq!(spool.spans(), 1);
    }
}
