//! Reads trace files, of any size: once to learn which traces there are, and once more for those that are wanted.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::build;
use super::error::ReadError;
use super::index::{Entry, Index};
use super::link::LinkTemplate;
use super::otlp_json::Document;
use super::raw::Raw;
use super::trace::Trace;

/// How lines with spans begin.
const BEGIN: &[u8] = b"{\"resourceSpans\"";

/// How long a line may be.
const MOST_LINE: usize = 64 << 20;

/// How large a file may be that is one document and not lines, since it is read at once.
const MOST_DOCUMENT: u64 = 256 << 20;

/// How many spans of one trace are shown.
const MOST_SPANS: usize = 100_000;

/// How many warnings of one file are told.
const MOST_WARNINGS: usize = 3;

/// How many ids are named where several fit.
const MOST_NAMED: usize = 5;

/// Which traces are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// One, by its id or by what that begins with.
    One(String),
    /// All, those with errors first, up to so many spans.
    All {
        /// Spans of all traces together; one trace is always there.
        most_spans: usize,
    },
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The traces that are wanted.
    pub traces: Vec<Trace>,
    /// How many were left out.
    pub left_out_traces: usize,
    /// How many spans were left out.
    pub left_out_spans: usize,
    /// What could not be read, a sentence each.
    pub warnings: Vec<String>,
}

/// A trace file that was looked through.
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    name: String,
    file: File,
    /// The whole of it, when it is not lines.
    is_document: bool,
    /// Its traces, those with errors first, then as they began.
    pub entries: Vec<Entry>,
    /// How many there are beyond those.
    pub further_traces: usize,
    /// What could not be read, a sentence each.
    pub warnings: Vec<String>,
}

/// Reads the traces of a file that are wanted.
///
/// # Errors
///
/// Whatever keeps the file from being read, or that there is nothing in it of what is wanted.
pub fn load(path: &Path, choice: &Choice, link: Option<&LinkTemplate>) -> Result<Loaded, ReadError> {
    TraceFile::open(path)?.load(choice, link)
}

impl TraceFile {
    /// Opens a file and looks through it; `-` is standard input.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error| ReadError::Io { path: name.clone(), error };
        let file = if path == Path::new("-") { spooled_input() } else { File::open(path) }.map_err(failed)?;
        let mut this = Self {
            path: path.to_owned(),
            name: name.clone(),
            file,
            is_document: false,
            entries: Vec::new(),
            further_traces: 0,
            warnings: Vec::new(),
        };
        this.index().map_err(|error| error.unwrap_or_else(failed))?;
        Ok(this)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn index(&mut self) -> Result<(), Failed> {
        let mut index = Index::default();
        let mut walk = self.walk(&|_| true, false, &mut |raw| index.add(&raw))?;
        if walk.documents == 0 && self.file.metadata()?.len() <= MOST_DOCUMENT {
            self.is_document = true;
            let whole = self.walk(&|_| true, false, &mut |raw| index.add(&raw))?;
            if whole.documents > 0 {
                walk = whole;
            }
        }
        if index.traces.is_empty() {
            let path = self.name.clone();
            let broken = walk.warnings.into_iter().next();
            let is_foreign = walk.documents == 0 && walk.lines > 0 && !walk.is_cut;
            return Err(Failed::Read(if is_foreign {
                ReadError::Foreign { path }
            } else {
                ReadError::Empty { path, broken }
            }));
        }
        self.entries = index.order.into_iter().filter_map(|id| index.traces.remove(&id)).collect();
        // What went wrong is what one looks for.
        self.entries.sort_by_key(|entry| (entry.errors == 0, entry.time.0));
        self.further_traces = index.further.len();
        self.warnings = walk.warnings;
        if walk.further_warnings > 0 {
            self.warnings.push(format!("{} of {} can't be read either", count_lines(walk.further_warnings), self.name));
        }
        Ok(())
    }

    /// Reads the traces that are wanted.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn load(&self, choice: &Choice, link: Option<&LinkTemplate>) -> Result<Loaded, ReadError> {
        let chosen = self.choose(choice)?;
        let mut found: HashMap<&str, Vec<Raw>> = chosen.iter().map(|entry| (entry.id.as_str(), Vec::new())).collect();
        let ids: BTreeSet<&str> = found.keys().copied().collect();
        let mut left_out_spans = 0;
        let wanted = |id: &str| ids.contains(id);
        let mut take = |raw: Raw| {
            let Some(spans) = found.get_mut(raw.trace_id.as_str()) else { return };
            if spans.len() < MOST_SPANS { spans.push(raw) } else { left_out_spans += 1 }
        };
        self.walk(&wanted, true, &mut take)
            .map_err(|error| error.unwrap_or_else(|error| ReadError::Io { path: self.name.clone(), error }))?;
        let traces = chosen.iter().map(|entry| {
            let spans = found.remove(entry.id.as_str()).unwrap_or_default();
            build::trace(&entry.id, spans, link)
        });
        let traces: Vec<Trace> = traces.collect();
        let is_all = matches!(choice, Choice::All { .. });
        let left_out: Vec<&Entry> = if is_all { self.entries.iter().skip(traces.len()).collect() } else { Vec::new() };
        left_out_spans += left_out.iter().map(|entry| entry.spans).sum::<usize>();
        let left_out_traces = left_out.len() + if is_all { self.further_traces } else { 0 };
        Ok(Loaded { traces, left_out_traces, left_out_spans, warnings: self.warnings.clone() })
    }

    fn choose(&self, choice: &Choice) -> Result<&[Entry], ReadError> {
        match choice {
            Choice::All { most_spans } => {
                let mut spans = 0;
                let fits = |entry: &&Entry| {
                    spans += entry.spans;
                    spans <= *most_spans
                };
                let count = self.entries.iter().take_while(fits).count().max(1);
                Ok(&self.entries[..count.min(self.entries.len())])
            }
            Choice::One(id) => {
                let wanted = id.to_ascii_lowercase();
                let fitting: Vec<usize> =
                    (0..self.entries.len()).filter(|place| self.entries[*place].id.starts_with(&wanted)).collect();
                let path = self.name.clone();
                match fitting[..] {
                    [place] => Ok(&self.entries[place..=place]),
                    [] => Err(ReadError::Unknown { id: id.clone(), path, traces: self.count() }),
                    _ => {
                        let names = fitting.iter().take(MOST_NAMED).map(|place| self.entries[*place].id.as_str());
                        let names = names.collect::<Vec<_>>().join(", ");
                        Err(ReadError::Ambiguous { id: id.clone(), path, names })
                    }
                }
            }
        }
    }

    fn count(&self) -> String {
        match self.entries.len() + self.further_traces {
            1 => "1 trace".to_owned(),
            count => format!("{count} traces"),
        }
    }

    /// Goes through the file and hands over the spans that are wanted.
    fn walk(&self, wanted: &dyn Fn(&str) -> bool, whole: bool, take: &mut dyn FnMut(Raw)) -> Result<Walk, Failed> {
        let mut file = &self.file;
        file.rewind()?;
        let mut walk = Walk::default();
        if self.is_document {
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            walk.lines = 1;
            walk.document(&self.name, &text, wanted, whole, take);
            return Ok(walk);
        }
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut reader).take(MOST_LINE as u64).read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(walk);
            }
            walk.lines += 1;
            if length == MOST_LINE && line.last() != Some(&b'\n') {
                let reason = format!(
                    "line {} of {} has more than {} MiB and is passed over",
                    walk.lines,
                    self.name,
                    MOST_LINE >> 20
                );
                walk.warn(reason);
                skip_line(&mut reader)?;
                continue;
            }
            walk.document(&self.name, &line, wanted, whole, take);
        }
    }
}

/// What a walk through a file met.
#[derive(Debug, Default)]
struct Walk {
    lines: usize,
    /// Lines that are of a known format.
    documents: usize,
    warnings: Vec<String>,
    further_warnings: usize,
    /// Whether the last line is the beginning of one with spans.
    is_cut: bool,
}

impl Walk {
    fn document(
        &mut self,
        name: &str,
        line: &[u8],
        wanted: &dyn Fn(&str) -> bool,
        whole: bool,
        take: &mut dyn FnMut(Raw),
    ) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let number = self.lines;
        match serde_json::from_slice::<Document>(line) {
            Ok(document) if document.is_known() => {
                self.documents += 1;
                document.each(wanted, whole, take);
            }
            Ok(_) => self.warn(format!("line {number} of {name} has no spans and is passed over")),
            Err(error) if error.is_eof() && line.last() != Some(&b'\n') => {
                self.is_cut |= line.trim_ascii_start().starts_with(BEGIN);
                self.warn(format!("{name} is cut off in line {number}, which is passed over"));
            }
            Err(error) => self.warn(format!("line {number} of {name} can't be read and is passed over: {error}")),
        }
    }

    fn warn(&mut self, sentence: String) {
        if self.warnings.len() < MOST_WARNINGS { self.warnings.push(sentence) } else { self.further_warnings += 1 }
    }
}

/// An error of reading, or one that already has its words.
#[derive(Debug)]
enum Failed {
    Io(io::Error),
    Read(ReadError),
}

impl Failed {
    fn unwrap_or_else(self, failed: impl FnOnce(io::Error) -> ReadError) -> ReadError {
        match self {
            Self::Io(error) => failed(error),
            Self::Read(error) => error,
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn count_lines(count: usize) -> String {
    if count == 1 { "1 more line".to_owned() } else { format!("{count} more lines") }
}

/// Standard input can be read once only, so it is written to a file that has no name.
fn spooled_input() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let length = buffer.len();
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            reader.consume(end + 1);
            return Ok(());
        }
        reader.consume(length);
    }
}
