//! Trace files of any size: read once to list their traces, and once more to load the selected ones.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::base::failure::{ExitCode, Failure};
use crate::base::text::{counted, shell_word};
use crate::view::link::LinkTemplate;
use crate::view::parsed::{Detail, Origin, ParsedSpan, SpanSink};
use crate::view::scan::{Layout, Scan};
use crate::view::shorten::Shortener;
use crate::view::trace::Trace;
use crate::view::trace_index::{TraceIndex, TraceSummary};
use crate::view::tree::{self, Clocks};

/// How large a file may be that is not lines: it is read into memory at once.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// How many spans of one trace are loaded.
pub(crate) const MAX_TRACE_SPANS: usize = 100_000;

/// How many ids an error lists.
const MAX_LISTED_IDS: usize = 5;

/// Which traces of a file to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TraceSelection {
    /// The trace whose id this is, or begins with this.
    Id(String),
    /// All traces, those with errors first, up to this many spans together; but at least one trace.
    All { max_spans: usize },
}

#[derive(Debug)]
pub(crate) struct LoadedTraces {
    /// The file's name without its directory.
    pub(crate) source: String,
    pub(crate) traces: Vec<Trace>,
    /// The number of traces that exceed the selection's limit.
    pub(crate) left_out_traces: usize,
    /// The number of spans in those traces, or beyond `MAX_TRACE_SPANS`.
    pub(crate) left_out_spans: usize,
    /// Sentences about what can't be read.
    pub(crate) warnings: Vec<String>,
}

/// An open trace file and the list of its traces.
#[derive(Debug)]
pub(crate) struct TraceFile {
    name: String,
    file: File,
    layout: Layout,
    /// Traces with errors first, then by start.
    pub(crate) traces: Vec<TraceSummary>,
    /// The number of traces beyond the list.
    pub(crate) further_traces: usize,
    warnings: Vec<String>,
}

impl TraceFile {
    /// Opens a file, or standard input for `-`, and lists its traces.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let unreadable = |error| unreadable(&name, error);
        let (file, size) = open_seekable(path).map_err(unreadable)?;
        let mut index = TraceIndex::default();
        let mut layout = Layout::Lines;
        let mut scan = Scan::run(&file, &name, layout, &mut index).map_err(unreadable)?;
        if scan.documents == 0 && size <= MAX_DOCUMENT_BYTES {
            layout = Layout::Document;
            let document = Scan::run(&file, &name, layout, &mut index).map_err(unreadable)?;
            if document.documents > 0 || (document.is_cut_off && !scan.is_cut_off) {
                scan = document;
            }
        }
        if index.invalid_spans > 0 {
            let spans = counted(index.invalid_spans, "span");
            scan.warn(format!("{spans} of {name} skipped: the trace id is not hexadecimal"));
        }
        let mut traces = index.traces;
        if traces.is_empty() {
            return Err(no_traces(scan, &name, size));
        }
        // The user is probably looking for errors.
        traces.sort_by_key(|trace| (trace.errors == 0, trace.start));
        let warnings = scan.into_warnings(&name);
        Ok(Self { name, file, layout, traces, further_traces: index.further.len(), warnings })
    }

    /// Loads the selected traces.
    pub(crate) fn load(
        &self,
        selection: &TraceSelection,
        detail: Detail,
        clocks: Clocks,
        link: Option<&LinkTemplate>,
    ) -> Result<LoadedTraces, Failure> {
        let selected = self.select(selection)?;
        let traces = selected.iter().map(|trace| (trace.id.clone(), Vec::new())).collect();
        let mut sink = SelectedSpans { detail, traces, left_out: 0, shortener: Shortener::new() };
        Scan::run(&self.file, &self.name, self.layout, &mut sink).map_err(|error| unreadable(&self.name, error))?;
        let mut loaded = LoadedTraces {
            source: Path::new(&self.name).file_name().unwrap_or_default().to_string_lossy().into_owned(),
            traces: Vec::new(),
            left_out_traces: 0,
            left_out_spans: sink.left_out,
            warnings: self.warnings.clone(),
        };
        for TraceSummary { id, .. } in &selected {
            loaded.traces.push(tree::build_trace(id, sink.traces.remove(id).unwrap_or_default(), clocks, link));
        }
        if let TraceSelection::All { .. } = selection {
            let left_out = &self.traces[selected.len()..];
            loaded.left_out_traces = left_out.len() + self.further_traces;
            loaded.left_out_spans += left_out.iter().map(|trace| trace.spans).sum::<usize>();
        }
        Ok(loaded)
    }

    fn select(&self, selection: &TraceSelection) -> Result<Vec<&TraceSummary>, Failure> {
        let prefix = match selection {
            TraceSelection::Id(prefix) => prefix,
            TraceSelection::All { max_spans } => {
                let mut spans = 0;
                let fits = |trace: &&TraceSummary| {
                    spans += trace.spans;
                    spans <= *max_spans
                };
                let count = self.traces.iter().take_while(fits).count().max(1);
                return Ok(self.traces.iter().take(count).collect());
            }
        };
        let id = prefix.to_ascii_lowercase();
        let mut matches: Vec<&TraceSummary> = self.traces.iter().filter(|trace| trace.id.starts_with(&id)).collect();
        // A whole id may also be the beginning of a longer one.
        if let Some(exact) = matches.iter().position(|trace| trace.id == id) {
            matches = vec![matches[exact]];
        }
        let name = &self.name;
        match matches.len() {
            1 => Ok(matches),
            0 => {
                let traces = counted(self.traces.len() + self.further_traces, "trace");
                Err(failure(format_args!("there is no trace {prefix} in {name}, which has {traces}"))
                    .hint(format_args!("to list them: navtrace view {name}")))
            }
            _ => {
                let ids: Vec<&str> = matches.iter().take(MAX_LISTED_IDS).map(|trace| trace.id.as_str()).collect();
                Err(failure(format_args!("several traces in {name} begin with {prefix}")).because(ids.join(", ")))
            }
        }
    }
}

/// Collects the spans of the selected traces.
struct SelectedSpans {
    detail: Detail,
    traces: HashMap<String, Vec<ParsedSpan>>,
    left_out: usize,
    shortener: Shortener,
}

impl SpanSink for SelectedSpans {
    fn detail(&self) -> Detail {
        self.detail
    }

    fn accepts(&self, trace_id: &str) -> bool {
        self.traces.contains_key(trace_id)
    }

    fn add(&mut self, mut span: ParsedSpan, origin: &Origin) {
        let Some(spans) = self.traces.get_mut(&span.trace_id) else { return };
        if spans.len() == MAX_TRACE_SPANS {
            self.left_out += 1;
            return;
        }
        if self.detail == Detail::Outline {
            span.reduce_to_outline();
        }
        self.shortener.shorten(&mut span);
        span.service = self.shortener.copy(origin.service());
        if !origin.scope.is_empty() {
            span.scope = self.shortener.copy(origin.scope);
        }
        if self.detail == Detail::Full {
            span.resource = self.shortener.copy_values(origin.others());
        }
        spans.push(span);
    }
}

fn failure(message: impl std::fmt::Display) -> Failure {
    Failure::new(ExitCode::Failure, message)
}

fn unreadable(name: &str, error: impl std::fmt::Display) -> Failure {
    failure(format_args!("{name} can't be read")).because(error)
}

/// Says why a scan found no traces.
fn no_traces(scan: Scan, name: &str, size: u64) -> Failure {
    if scan.is_gzip {
        let hint = format!("to view it: gzip -dc {} | navtrace view -", shell_word(Path::new(name)));
        return failure(format_args!("{name} is compressed")).hint(hint);
    }
    if size == 0 || (scan.documents == 0 && scan.lines > 0 && !scan.has_text && size <= MAX_DOCUMENT_BYTES) {
        return failure(format_args!("{name} is empty"));
    }
    if scan.documents == 0 && size > MAX_DOCUMENT_BYTES {
        let limit = MAX_DOCUMENT_BYTES >> 20;
        return unreadable(name, format_args!("it has more than {limit} MiB and is not OTLP JSON lines"))
            .hint("other JSON is read up to that size");
    }
    if scan.documents == 0 && scan.lines > 0 && !scan.is_cut_off {
        return failure(format_args!(
            "{name} is not a trace file: expected OTLP JSON (of navtrace run, the OpenTelemetry Collector or Tempo), or JSON from Jaeger or Zipkin"
        ));
    }
    let failure = failure(format_args!("{name} has no spans"));
    match scan.into_warnings(name).into_iter().next() {
        Some(warning) => failure.because(warning),
        None => failure,
    }
}

/// Opens a file that can be read twice, and returns its size in bytes. Standard input and pipes are copied to a temporary file.
fn open_seekable(path: &Path) -> io::Result<(File, u64)> {
    let file = if path == Path::new("-") {
        copied(&mut io::stdin().lock())?
    } else {
        let mut file = File::open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_file() || kind.is_dir() { file } else { copied(&mut file)? }
    };
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn copied(input: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
