//! Writes a trace file (OTLP JSON lines, the format of the Collector's file exporter).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::base::clock::{unix_nanos, unix_nanos_now};
use crate::base::directories::StateDirectory;
use crate::base::{file_lock, lock};
use crate::collect::contents::Contents;
use crate::collect::expected::{ExpectedSpans, MissingSpans};
use crate::collect::lines;
use crate::collect::unwritten::UnwrittenSpans;

/// The number of trace files to keep in the state directory.
const MAX_FILES: usize = 20;

/// The most bytes of earlier trace files and their pages to keep there.
const MAX_BYTES: u64 = 1 << 30;

const EXTENSION: &str = "jsonl";

/// How long to wait for a reader of a pipe, which a script may start at the same time.
const READER_WAIT: Duration = Duration::from_secs(1);

/// Pause between two attempts to open a pipe.
const READER_PAUSE: Duration = Duration::from_millis(10);

/// A trace file that is being written.
#[derive(Debug)]
pub(crate) struct TraceFileWriter {
    file: BufWriter<File>,
    path: PathBuf,
    /// The length of the file after the last complete line, to which it is cut back when writing fails.
    length: u64,
    /// Shared, so that it is known even while a write is stuck.
    contents: Arc<Mutex<Contents>>,
    expected: ExpectedSpans,
    /// Spans that could not be written and have not come again.
    unwritten: UnwrittenSpans,
    /// Whether the file was made for this writer.
    is_new: bool,
}

impl TraceFileWriter {
    /// Opens a file, or makes a new one. What it holds stays until [`Self::begin`].
    ///
    /// The file is locked, so that no other writer uses or removes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let (file, is_new) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (open_existing(&mut options, path)?, false),
            result => (result?, true),
        };
        if is_in_use(&file) {
            return Err(io::Error::new(ErrorKind::ResourceBusy, "another navtrace is writing to it"));
        }
        // A later command may run in another directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self {
            file: BufWriter::new(file),
            path,
            length: 0,
            contents: Arc::default(),
            expected: ExpectedSpans::default(),
            unwritten: UnwrittenSpans::default(),
            is_new,
        })
    }

    /// Empties the file. On an error, spans are added to what it holds.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        let file = self.file.get_mut();
        // Pipes and devices hold nothing.
        if !file.metadata()?.is_file() {
            return Ok(());
        }
        let emptied = file.set_len(0);
        if emptied.is_err() {
            self.length = file.seek(SeekFrom::End(0))?;
        }
        emptied
    }

    /// Removes the file if it was made for this writer.
    pub(crate) fn remove_if_new(&self) {
        if self.is_new {
            // A file that can't be removed stays.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Returns the number of spans that could not be written and have not come again.
    pub(crate) fn lost(&self) -> usize {
        self.unwritten.count()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the counts, which no write keeps locked while it waits.
    pub(crate) fn contents(&self) -> Arc<Mutex<Contents>> {
        Arc::clone(&self.contents)
    }

    /// Returns which spans of services were still to come at a time.
    pub(super) fn missing(&self, time: SystemTime) -> MissingSpans {
        self.expected.missing(unix_nanos(time))
    }

    /// Writes the lines of each resource. Writes either all lines or none; then the client may send the spans again.
    pub(crate) fn write(&mut self, request: &ExportTraceServiceRequest) -> io::Result<()> {
        match self.write_lines(request) {
            Ok(length) => self.length = length,
            Err(error) => {
                self.cut_back();
                self.unwritten.add(request);
                return Err(error);
            }
        }
        self.unwritten.remove(request);
        self.expected.add(request);
        lock(&self.contents).add(request, unix_nanos_now());
        Ok(())
    }

    /// Returns the new length of the file.
    fn write_lines(&mut self, request: &ExportTraceServiceRequest) -> io::Result<u64> {
        for resource in &request.resource_spans {
            lines::for_each(resource, |line| {
                serde_json::to_writer(&mut self.file, line)?;
                self.file.write_all(b"\n")
            })?;
        }
        self.file.flush()?;
        // A pipe or a terminal has no position, and can't be cut back.
        Ok(self.file.get_mut().stream_position().unwrap_or(0))
    }

    /// Removes an incomplete line from the buffer and the file.
    fn cut_back(&mut self) {
        let Ok(file) = self.file.get_ref().try_clone() else { return };
        let old = std::mem::replace(&mut self.file, BufWriter::new(file));
        drop(old.into_parts());
        let file = self.file.get_mut();
        let cut = file.set_len(self.length).and_then(|()| file.seek(SeekFrom::Start(self.length)));
        if let Err(error) = cut {
            tracing::debug!("an incomplete line stays in {}: {error}", self.path.display());
        }
    }
}

/// Opens a file, device or pipe. A pipe that nobody reads is an error: opening it would block, and no signal could end that.
fn open_existing(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.create(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let is_pipe = fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo());
    let deadline = Instant::now() + READER_WAIT;
    loop {
        match options.open(path) {
            Err(error) if is_pipe && Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                if Instant::now() >= deadline {
                    return Err(io::Error::new(ErrorKind::NotConnected, "nobody reads from this pipe"));
                }
                std::thread::sleep(READER_PAUSE);
            }
            result => {
                let file = result?;
                // Writing waits for the reader.
                fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
                return Ok(file);
            }
        }
    }
}

/// Locks a regular file for as long as it is open. Returns whether another writer has it. Without locks in its file system, nobody has.
fn is_in_use(file: &File) -> bool {
    let is_regular = file.metadata().is_ok_and(|data| data.is_file());
    is_regular && file_lock::try_lock(file).is_ok_and(|is_ours| !is_ours)
}

/// Removes the oldest trace files with their pages, to make room for one more. The latest stays, and so do files that are being written.
fn remove_old(dir: &Path) {
    let size = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
    let mut bytes = 0;
    for (newer, file) in files(dir).iter().rev().enumerate() {
        let page = file.with_extension("html");
        bytes += size(file) + size(&page);
        let is_kept = newer == 0 || newer < MAX_FILES - 1 && bytes <= MAX_BYTES;
        if is_kept || file_lock::open(file).is_ok_and(|file| is_in_use(&file)) {
            continue;
        }
        // A file that can't be removed stays.
        let _ = fs::remove_file(file);
        let _ = fs::remove_file(page);
    }
}

/// Returns the path for a new trace file in the state directory, and removes the oldest files there.
pub(crate) fn new_path() -> io::Result<PathBuf> {
    let dir = StateDirectory::of_user()?.traces()?;
    remove_old(&dir);
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-");
    Ok(dir.join(format!("{now}-{}.{EXTENSION}", std::process::id())))
}

/// Returns the latest trace file in the state directory, or the error that keeps it from being found.
pub(crate) fn latest() -> io::Result<Option<PathBuf>> {
    let dir = StateDirectory::of_user()?.traces()?;
    fs::read_dir(&dir)?;
    Ok(files(&dir).pop())
}

/// Returns the trace files of a directory, the oldest first. Their names begin with the time.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    files.sort();
    files
}
