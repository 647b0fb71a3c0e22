//! The spool: batches of spans that could not be sent, one file of OTLP JSON each, the form of the Collector's file exporter.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rustix::fs::{FlockOperation, flock};

use crate::export::otlp;

/// How many bytes the spool may have. Its oldest batches make room.
pub(crate) const MOST_BYTES: u64 = 64 << 20;

/// How a batch's file name ends.
const SUFFIX: &str = "jsonl";

/// A directory of batches.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    dir: PathBuf,
    most_bytes: u64,
}

/// A batch that is being sent, which no other process has.
#[derive(Debug)]
pub(crate) struct Batch {
    path: PathBuf,
    _locked: File,
    /// What is to be sent.
    pub(crate) request: ExportTraceServiceRequest,
}

impl Batch {
    /// Removes it: it has been dealt with.
    ///
    /// # Errors
    ///
    /// A sentence that says what keeps it from being removed; it must not be sent again then by this process.
    pub(crate) fn remove(self) -> Result<(), String> {
        fs::remove_file(&self.path).map_err(|error| {
            format!("spans that were sent can't be removed from the spool, and will be sent again: {error}")
        })
    }
}

/// Goes through a spool once, from the oldest batch on.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The batch that was taken last.
    latest: Option<PathBuf>,
}

impl Walk {
    /// Takes the next batch that no other process is sending. One that can't be read is put aside.
    pub(crate) fn next(&mut self, spool: &Spool) -> Option<Batch> {
        let batch = spool.take_after(self.latest.as_deref())?;
        self.latest = Some(batch.path.clone());
        Some(batch)
    }
}

impl Spool {
    /// Uses a directory that is there.
    pub(crate) fn new(dir: &Path, most_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), most_bytes }
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps a batch, and tells how many older spans had to make room for it.
    pub(crate) fn put(&self, request: &ExportTraceServiceRequest) -> io::Result<usize> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let dropped = self.make_room(line.len() as u64);
        let mut file = tempfile::Builder::new()
            .prefix(".spool-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(&line)?;
        // The name tells the order and the number of spans, and is nobody else's.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{now:020}-{}-{}.{SUFFIX}", std::process::id(), otlp::count(request));
        file.persist(self.dir.join(name))?;
        Ok(dropped)
    }

    /// Takes the oldest batch after that one.
    fn take_after(&self, latest: Option<&Path>) -> Option<Batch> {
        self.files().into_iter().find_map(|(path, _)| {
            if latest.is_some_and(|latest| *path <= *latest) {
                return None;
            }
            let mut file = File::open(&path).ok()?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
            // Whoever had it has sent it meanwhile.
            path.metadata().ok()?;
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            match read.and_then(|_| serde_json::from_str(&text).map_err(io::Error::from)) {
                Ok(request) => Some(Batch { path, _locked: file, request }),
                Err(error) => {
                    tracing::warn!("{} is no batch of spans ({error}): it is put aside", path.display());
                    let _ = fs::rename(&path, path.with_extension("unreadable"));
                    None
                }
            }
        })
    }

    /// How many spans it has.
    pub(crate) fn spans(&self) -> usize {
        self.files().iter().map(|(path, _)| spans_of(path)).sum()
    }

    /// Removes the oldest batches until so many bytes have room, and tells how many spans went.
    fn make_room(&self, bytes: u64) -> usize {
        let files = self.files();
        let mut total = bytes + files.iter().map(|(_, length)| length).sum::<u64>();
        let mut dropped = 0;
        for (path, length) in files {
            if total <= self.most_bytes {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                dropped += spans_of(&path);
                total -= length;
            }
        }
        dropped
    }

    /// The batches and their lengths, the oldest first.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == SUFFIX))
            .filter_map(|path| Some((path.metadata().ok()?.len(), path)))
            .map(|(length, path)| (path, length))
            .collect();
        files.sort();
        files
    }
}

/// How many spans a batch has, by its name.
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
    fn batches_come_back_in_their_order_once_each() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), MOST_BYTES);
        for name in ["a", "b", "c"] {
            assert_eq!(spool.put(&batch(name, 2)).unwrap(), 0);
        }
        assert_eq!(spool.spans(), 6);
        let first = spool.take_after(None).unwrap();
        assert_eq!(first.request, batch("a", 2));
        // Another process would get the next one, and one that gave up leaves its batch.
        let second = spool.take_after(None).unwrap();
        assert_eq!(second.request, batch("b", 2));
        drop(first);
        second.remove().unwrap();
        for name in ["a", "c"] {
            let taken = spool.take_after(None).unwrap();
            assert_eq!(taken.request, batch(name, 2));
            taken.remove().unwrap();
        }
        assert!(spool.take_after(None).is_none());
    }

    #[test]
    fn a_file_is_one_line_of_otlp_json_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), MOST_BYTES);
        spool.put(&batch("GET", 1)).unwrap();
        let (path, _) = spool.files().remove(0);
        let text = fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"], "0707070707070707");
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let length = serde_json::to_vec(&batch("a", 1)).unwrap().len() as u64 + 1;
        let spool = Spool::new(dir.path(), 3 * length);
        let dropped: Vec<usize> = ["a", "b", "c", "d", "e"].map(|name| spool.put(&batch(name, 1)).unwrap()).to_vec();
        assert_eq!(dropped, [0, 0, 0, 1, 1]);
        assert_eq!(spool.take_after(None).unwrap().request, batch("c", 1));
    }

    #[test]
    fn what_is_no_batch_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path(), MOST_BYTES);
        fs::write(dir.path().join("00000000000000000001-1-5.jsonl"), "{\"resourceSpans\":[{").unwrap();
        spool.put(&batch("a", 1)).unwrap();
        assert_eq!(spool.take_after(None).unwrap().request, batch("a", 1));
        assert_eq!(spool.spans(), 1);
    }
}
