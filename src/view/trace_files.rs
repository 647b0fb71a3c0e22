//! Trace files of any size and number: read once to list their traces, and once more to load the selected ones.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};
use crate::base::text::counted;
use crate::view::link::LinkTemplate;
use crate::view::parsed::{Detail, Origin, ParsedSpan, SpanSink};
use crate::view::run::RunSummary;
use crate::view::run::builder::RunBuilder;
use crate::view::shorten::Shortener;
use crate::view::sources::Sources;
use crate::view::trace::Trace;
use crate::view::trace_index::{TraceIndex, TraceSummary};
use crate::view::tree::{self, Clocks};

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
    /// The file's name without its directory, or the number of files.
    pub(crate) source: String,
    pub(crate) traces: Vec<Trace>,
    /// The number of traces that exceed the selection's limit.
    pub(crate) left_out_traces: usize,
    /// The number of spans in those traces, or beyond `MAX_TRACE_SPANS`.
    pub(crate) left_out_spans: usize,
    /// Sentences about what can't be read.
    pub(crate) warnings: Vec<String>,
}

/// Trace files, of one run or of several, and the list of their traces.
#[derive(Debug)]
pub(crate) struct TraceFiles {
    pub(crate) sources: Sources,
    /// Traces with errors first, then by start.
    pub(crate) traces: Vec<TraceSummary>,
    /// The number of traces beyond the list.
    pub(crate) further_traces: usize,
    /// The number of their spans.
    further_spans: usize,
    /// All traces together, if this was asked for.
    pub(crate) run: Option<RunSummary>,
}

impl TraceFiles {
    /// Reads files, folders, or standard input for `-`, and lists their traces.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        Self::index(paths, None)
    }

    /// Does the same as [`Self::open`], and also describes all traces together.
    pub(crate) fn open_run(paths: &[PathBuf]) -> Result<Self, Failure> {
        Self::index(paths, Some(RunBuilder::default()))
    }

    fn index(paths: &[PathBuf], run: Option<RunBuilder>) -> Result<Self, Failure> {
        let mut sink = IndexedSpans { index: TraceIndex::default(), run };
        let sources = Sources::read(paths, &mut sink)?;
        let IndexedSpans { index, run } = sink;
        let run = run.map(|run| run.finish(&index, &sources));
        let mut traces = index.traces;
        // The user is probably looking for errors.
        traces.sort_by_key(|trace| (trace.errors == 0, trace.start));
        Ok(Self { sources, traces, further_traces: index.further.len(), further_spans: index.further_spans, run })
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
        let traces = selected.iter().map(|id| (id.clone(), Vec::new())).collect();
        let mut sink = SelectedSpans { detail, traces, left_out: 0, shortener: Shortener::new() };
        self.sources.read_again(&mut sink)?;
        let mut loaded = LoadedTraces {
            source: Path::new(&self.sources.name()).file_name().unwrap_or_default().to_string_lossy().into_owned(),
            traces: Vec::new(),
            left_out_traces: 0,
            left_out_spans: sink.left_out,
            warnings: self.sources.warnings.clone(),
        };
        for id in &selected {
            loaded.traces.push(tree::build_trace(id, sink.traces.remove(id).unwrap_or_default(), clocks, link));
        }
        if let TraceSelection::All { .. } = selection {
            let left_out = &self.traces[selected.len()..];
            loaded.left_out_traces = left_out.len() + self.further_traces;
            loaded.left_out_spans += left_out.iter().map(|trace| trace.spans).sum::<usize>() + self.further_spans;
        }
        Ok(loaded)
    }

    /// Returns the ids of the selected traces.
    fn select(&self, selection: &TraceSelection) -> Result<Vec<String>, Failure> {
        let prefix = match selection {
            TraceSelection::Id(prefix) => prefix,
            TraceSelection::All { max_spans } => {
                let mut spans = 0;
                let fits = |trace: &&TraceSummary| {
                    spans += trace.spans;
                    spans <= *max_spans
                };
                let count = self.traces.iter().take_while(fits).count().max(1);
                return Ok(self.traces.iter().take(count).map(|trace| trace.id.clone()).collect());
            }
        };
        let mut sink = MatchingIds { id: prefix.to_ascii_lowercase(), found: BTreeSet::new() };
        for trace in &self.traces {
            if sink.accepts(&trace.id) {
                sink.found.insert(trace.id.clone());
            }
        }
        if self.further_traces > 0 && !sink.found.contains(&sink.id) {
            self.sources.read_again(&mut sink)?;
        }
        let MatchingIds { id, found } = sink;
        // A whole id may also be the beginning of a longer one.
        if found.contains(&id) {
            return Ok(vec![id]);
        }
        let name = self.sources.name();
        match found.len() {
            1 => Ok(found.into_iter().collect()),
            0 => {
                let traces = counted(self.traces.len() + self.further_traces, "trace");
                Err(failure(format_args!("there is no trace {prefix} in {name}, which has {traces}"))
                    .hint(format_args!("to list them: navtrace view {name}")))
            }
            _ => {
                let ids = found.into_iter().collect::<Vec<_>>().join(", ");
                Err(failure(format_args!("several traces in {name} begin with {prefix}")).because(ids))
            }
        }
    }
}

/// Lists traces, and describes them together if there is a builder.
struct IndexedSpans {
    index: TraceIndex,
    run: Option<RunBuilder>,
}

impl SpanSink for IndexedSpans {
    fn detail(&self) -> Detail {
        if self.run.is_some() { Detail::Outline } else { Detail::Summary }
    }

    fn add(&mut self, span: ParsedSpan, origin: &Origin) {
        if self.run.as_mut().is_none_or(|run| run.add(&span, origin)) {
            self.index.add(&span, origin);
        }
    }
}

/// Collects the ids that are an id or begin with it: the id itself, and as many others as an error lists.
struct MatchingIds {
    id: String,
    found: BTreeSet<String>,
}

impl SpanSink for MatchingIds {
    fn detail(&self) -> Detail {
        Detail::Summary
    }

    fn accepts(&self, trace_id: &str) -> bool {
        trace_id.starts_with(&self.id) && (self.found.len() < MAX_LISTED_IDS || trace_id == self.id)
    }

    fn add(&mut self, span: ParsedSpan, _: &Origin) {
        self.found.insert(span.trace_id);
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

#[cfg(test)]
mod tests;
