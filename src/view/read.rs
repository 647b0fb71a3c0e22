//! Reads trace files, of any size: once to learn which traces there are, and once more for those that are wanted.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use crate::view::build;
use crate::view::error::ReadError;
use crate::view::index::{Entry, Index};
use crate::view::link::LinkTemplate;
use crate::view::raw::Raw;
use crate::view::trace::Trace;
use crate::view::walk::{Walk, Wanted};

/// How long a line may be.
const MOST_LINE: usize = 64 << 20;

/// How large a file may be that is one document and not lines, since it is read at once.
const MOST_DOCUMENT: u64 = 256 << 20;

/// How many spans of one trace are shown.
pub(crate) const MOST_SPANS: usize = 100_000;

/// What decides how a span is named, what it stands for and what is noted beside it: a waterfall of text shows no more.
const OUTLINE: [&str; 9] = [
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "http.target",
    "http.url",
    "navtrace.request.from_cache",
    "url.full",
    "url.path",
];

/// How many ids are named where several fit.
const MOST_NAMED: usize = 5;

/// Which traces are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
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
pub(crate) struct Loaded {
    /// The traces that are wanted.
    pub(crate) traces: Vec<Trace>,
    /// How many were left out.
    pub(crate) left_out_traces: usize,
    /// How many spans were left out.
    pub(crate) left_out_spans: usize,
    /// What could not be read, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// A trace file that was looked through.
#[derive(Debug)]
pub(crate) struct TraceFile {
    path: PathBuf,
    name: String,
    file: File,
    /// Whether the file is gone with this: it was standard input, or a pipe.
    is_spooled: bool,
    /// The whole of it, when it is not lines.
    is_document: bool,
    /// Its traces, those with errors first, then as they began.
    pub(crate) entries: Vec<Entry>,
    /// How many there are beyond those.
    pub(crate) further_traces: usize,
    /// What could not be read, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Reads the traces of a file that are wanted.
pub(crate) fn load(path: &Path, choice: &Choice, link: Option<&LinkTemplate>) -> Result<Loaded, ReadError> {
    TraceFile::open(path)?.load(choice, link)
}

impl TraceFile {
    /// Opens a file and looks through it; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error| ReadError::Io { path: name.clone(), error };
        let (file, is_spooled) = opened(path).map_err(failed)?;
        let mut this = Self {
            path: path.to_owned(),
            name: name.clone(),
            file,
            is_spooled,
            is_document: false,
            entries: Vec::new(),
            further_traces: 0,
            warnings: Vec::new(),
        };
        this.index().map_err(|error| error.unwrap_or_else(failed))?;
        Ok(this)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the same can be read once more from where it is.
    pub(crate) fn stays(&self) -> bool {
        !self.is_spooled
    }

    fn index(&mut self) -> Result<(), Failed> {
        let mut index = Index::default();
        let mut add = |raw: Raw| index.add(&raw);
        let mut wanted = Wanted { trace: &|_| true, whole: false, take: &mut add };
        let mut walk = self.walk(&mut wanted)?;
        let size = self.file.metadata()?.len();
        if walk.documents == 0 && size <= MOST_DOCUMENT {
            self.is_document = true;
            let whole = self.walk(&mut wanted)?;
            if whole.documents > 0 || (whole.is_cut && !walk.is_cut) {
                walk = whole;
            }
        }
        if index.nameless > 0 {
            walk.warn(format!(
                "{} of {} passed over: no trace id of hexadecimal digits",
                count(index.nameless, "span"),
                self.name
            ));
        }
        if index.traces.is_empty() {
            let path = self.name.clone();
            if walk.documents == 0 && size > MOST_DOCUMENT {
                return Err(Failed::Io(io::Error::other(format!(
                    "it has more than {} MiB and is no OTLP JSON lines; documents are read up to that size",
                    MOST_DOCUMENT >> 20
                ))));
            }
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
            self.warnings.push(format!(
                "{} of {} can't be read either",
                count(walk.further_warnings, "more line"),
                self.name
            ));
        }
        Ok(())
    }

    /// Reads the traces that are wanted.
    pub(crate) fn load(&self, choice: &Choice, link: Option<&LinkTemplate>) -> Result<Loaded, ReadError> {
        self.built(choice, link, &|raw| raw)
    }

    /// Reads the traces that are wanted, without what only a page shows: that of a hundred thousand spans takes much memory.
    pub(crate) fn outline(&self, choice: &Choice, link: Option<&LinkTemplate>) -> Result<Loaded, ReadError> {
        self.built(choice, link, &outlined)
    }

    fn built(
        &self,
        choice: &Choice,
        link: Option<&LinkTemplate>,
        kept: &dyn Fn(Raw) -> Raw,
    ) -> Result<Loaded, ReadError> {
        let chosen = self.choose(choice)?;
        let mut found: HashMap<&str, Vec<Raw>> = chosen.iter().map(|entry| (entry.id.as_str(), Vec::new())).collect();
        let ids: BTreeSet<&str> = found.keys().copied().collect();
        let mut left_out_spans = 0;
        let wanted = |id: &str| ids.contains(id);
        let mut take = |raw: Raw| {
            let Some(spans) = found.get_mut(raw.trace_id.as_str()) else { return };
            if spans.len() < MOST_SPANS { spans.push(kept(raw)) } else { left_out_spans += 1 }
        };
        self.walk(&mut Wanted { trace: &wanted, whole: true, take: &mut take })
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
                // An id is that trace's, even where those of others begin with it.
                let exact = self.entries.iter().position(|entry| entry.id == wanted).map(|place| vec![place]);
                let begins = |place: &usize| self.entries[*place].id.starts_with(&wanted);
                let fitting = exact.unwrap_or_else(|| (0..self.entries.len()).filter(begins).collect());
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
        count(self.entries.len() + self.further_traces, "trace")
    }

    /// Goes through the file and hands over the spans that are wanted.
    fn walk(&self, wanted: &mut Wanted) -> Result<Walk, Failed> {
        let mut file = &self.file;
        file.rewind()?;
        let mut walk = Walk { is_document: self.is_document, ..Walk::default() };
        if self.is_document {
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            walk.lines = 1;
            walk.document(&self.name, &text, wanted);
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
            walk.document(&self.name, &line, wanted);
        }
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

fn outlined(mut raw: Raw) -> Raw {
    raw.attributes.retain(|(key, _)| OUTLINE.contains(&key.as_str()));
    raw.attributes.shrink_to_fit();
    Raw { resource: Vec::new(), events: Vec::new(), links: Vec::new(), ..raw }
}

/// A number of things, in words.
fn count(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Opens a file that can be read twice, and says whether it is a copy: standard input and pipes are written to a file that has no name.
fn opened(path: &Path) -> io::Result<(File, bool)> {
    if path == Path::new("-") {
        return Ok((spooled(&mut io::stdin().lock())?, true));
    }
    let mut file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() { Ok((file, false)) } else { Ok((spooled(&mut file)?, true)) }
}

fn spooled(input: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
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

#[cfg(test)]
mod tests;
