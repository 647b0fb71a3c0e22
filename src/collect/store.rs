//! The trace file: OTLP JSON lines, the format of the Collector's file exporter, and what is known of the traces in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

use crate::base::directories::StateDirectory;
use crate::export::otlp::{IS_REMOTE, SESSION_NAME};

/// How many traces are known by name; more are kept in the file all the same.
const MOST_TRACES: usize = 100_000;

/// How many services of a trace are known by name.
const MOST_SERVICES: usize = 32;

/// How many trace files of earlier runs stay in the state directory.
const MOST_FILES: usize = 20;

/// How the names of trace files end.
const SUFFIX: &str = "jsonl";

/// What is known of a trace in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Its spans, those that came twice counted twice.
    pub(crate) spans: usize,
    /// The services that they are of.
    pub(crate) services: BTreeSet<String>,
    /// The service that began it.
    pub(crate) root_service: Option<String>,
    /// The span that has no parent.
    pub(crate) root: Option<[u8; 8]>,
    /// When the first one began: nanoseconds since the epoch.
    pub(crate) start: u64,
    /// When the last one ended: nanoseconds since the epoch.
    pub(crate) end: u64,
}

/// What a trace file has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// Its traces, by the bytes of their ids.
    pub(crate) traces: BTreeMap<[u8; 16], Seen>,
    /// All its spans.
    pub(crate) spans: usize,
}

/// A trace file that is being written.
#[derive(Debug)]
pub(crate) struct Store {
    file: BufWriter<File>,
    path: PathBuf,
    /// How much of it is whole; a line that does not fit on the disk is taken back.
    length: u64,
    contents: Contents,
}

impl Store {
    /// Makes a file, or empties the one that is there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        // The same place from whatever directory it is looked at later.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { file: BufWriter::new(file), path, length: 0, contents: Contents::default() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Writes spans, one line for each resource, all of them or none.
    pub(crate) fn put(&mut self, request: &ExportTraceServiceRequest) -> io::Result<()> {
        match self.write(request) {
            Ok(length) => self.length = length,
            Err(error) => {
                self.take_back();
                return Err(error);
            }
        }
        for resource in &request.resource_spans {
            let service = service_name(resource.resource.as_ref());
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.contents.add(span, service);
            }
        }
        Ok(())
    }

    fn write(&mut self, request: &ExportTraceServiceRequest) -> io::Result<u64> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            resource_spans: [&'a ResourceSpans; 1],
        }
        for resource in &request.resource_spans {
            serde_json::to_writer(&mut self.file, &Line { resource_spans: [resource] })?;
            self.file.write_all(b"\n")?;
        }
        self.file.flush()?;
        // A pipe or a terminal has no position, and nothing of it can be taken back.
        Ok(self.file.get_mut().stream_position().unwrap_or(0))
    }

    fn take_back(&mut self) {
        // What the buffer holds would be written with the next line.
        let Ok(file) = self.file.get_ref().try_clone() else { return };
        let old = std::mem::replace(&mut self.file, BufWriter::new(file));
        drop(old.into_parts());
        let file = self.file.get_mut();
        let taken = file.set_len(self.length).and_then(|()| file.seek(SeekFrom::Start(self.length)));
        if let Err(error) = taken {
            tracing::debug!("half a line stays in {}: {error}", self.path.display());
        }
    }
}

impl Contents {
    fn add(&mut self, span: &Span, service: &str) {
        self.spans += 1;
        let Ok(id) = <[u8; 16]>::try_from(&*span.trace_id) else { return };
        if self.traces.len() >= MOST_TRACES && !self.traces.contains_key(&id) {
            return;
        }
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        let seen = self.traces.entry(id).or_insert_with(|| Seen { start, end, ..Seen::default() });
        seen.spans += 1;
        seen.start = seen.start.min(start);
        seen.end = seen.end.max(end);
        // A session that is part of somebody else's trace is as much of a root as there may be.
        let is_joined = seen.root.is_none() && span.flags & IS_REMOTE != 0 && span.name == SESSION_NAME;
        if span.parent_span_id.is_empty() || is_joined {
            seen.root = <[u8; 8]>::try_from(&*span.span_id).ok();
            seen.root_service = Some(service.to_owned());
        }
        if seen.services.len() < MOST_SERVICES && !seen.services.contains(service) {
            seen.services.insert(service.to_owned());
        }
    }
}

fn service_name(resource: Option<&Resource>) -> &str {
    let named = resource.and_then(|resource| resource.attributes.iter().find(|pair| pair.key == "service.name"));
    match named.and_then(|pair| pair.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(name)) => name,
        _ => "unknown service",
    }
}

/// The name for a new trace file in the state directory, where those of the latest runs stay.
pub(crate) fn new_path() -> io::Result<PathBuf> {
    let dir = StateDirectory::of_user()?.traces()?;
    for old in files(&dir).iter().rev().skip(MOST_FILES - 1) {
        // What can't be removed stays.
        let _ = fs::remove_file(old);
        let _ = fs::remove_file(old.with_extension("html"));
    }
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-");
    Ok(dir.join(format!("{now}-{}.{SUFFIX}", std::process::id())))
}

/// The trace file of the latest run that did not name one.
pub(crate) fn latest() -> Option<PathBuf> {
    files(&StateDirectory::of_user().ok()?.traces().ok()?).pop()
}

/// The trace files of a directory, from the oldest one on: their names begin with the time.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == SUFFIX));
    files.sort();
    files
}
