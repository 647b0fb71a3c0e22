//! The files that are shown together: those that the user names, and those in folders. Each is read line by line.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};
use crate::base::text::{counted, shell_word, short_name};
use crate::view::parsed::{Detail, Origin, ParsedSpan, SpanSink};
use crate::view::scan::{Layout, Scan};

/// Largest file that is one JSON document, which is read into memory at once. Files of JSON lines may have any size.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// How many files are read.
const MAX_FILES: usize = 10_000;

/// Most levels of folders below the one that the user names.
const MAX_DEPTH: usize = 8;

/// Extensions of trace files in folders. Files that the user names may have any.
const EXTENSIONS: [&str; 2] = ["jsonl", "json"];

/// Files with spans, which can be read again and again.
#[derive(Debug)]
pub(crate) struct Sources {
    files: Vec<Source>,
    /// What can't be read at all.
    pub(crate) unreadable: Vec<Failure>,
    /// Whether the user has named something that can't be read. A folder may well have other files beside those with spans.
    pub(crate) is_incomplete: bool,
    /// Sentences about lines and spans that can't be read.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct Source {
    name: String,
    content: Content,
    layout: Layout,
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    /// A copy of standard input or of a pipe.
    Copy(File),
}

impl Sources {
    /// Finds files and reads them into the sink: `-` is standard input, and of a folder all trace files in it and below it are read. Fails if
    /// nothing can be read.
    pub(crate) fn read(paths: &[PathBuf], sink: &mut dyn SpanSink) -> Result<Self, Failure> {
        let mut sources =
            Self { files: Vec::new(), unreadable: Vec::new(), is_incomplete: false, warnings: Vec::new() };
        let mut known = HashSet::new();
        for path in paths {
            let mut found = Vec::new();
            let is_named = !path.is_dir();
            if is_named {
                found.push(path.clone());
            }
            if let Err(error) = if is_named { Ok(()) } else { find(path, MAX_DEPTH, &mut found) } {
                sources.give_up(unreadable(&path.display().to_string(), error), true);
            } else if found.is_empty() {
                let names = EXTENSIONS.map(|extension| format!("*.{extension}")).join(" or ");
                let reason = failure(format_args!("there are no trace files in {}", path.display()));
                sources.give_up(reason.hint(format_args!("their names are {names}")), true);
            }
            for file in found {
                if known.len() == MAX_FILES {
                    let reason = failure(format_args!("{} and further files are not read", file.display()));
                    sources.give_up(reason.because(format_args!("at most {MAX_FILES} are read")), true);
                    break;
                }
                // A file may be named beside its folder.
                if !known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                    continue;
                }
                if let Err(reason) = sources.add(&file, sink) {
                    sources.give_up(reason, is_named);
                }
            }
        }
        match sources.unreadable.first() {
            Some(first) if sources.files.is_empty() => Err(first.clone()),
            _ => Ok(sources),
        }
    }

    /// Reads all files once more.
    pub(crate) fn read_again(&self, sink: &mut dyn SpanSink) -> Result<(), Failure> {
        let mut sink = CheckedSpans { sink, spans: 0, invalid: 0 };
        for source in &self.files {
            source.scan(&mut sink).map_err(|error| unreadable(&source.name, error))?;
        }
        Ok(())
    }

    /// Returns the number of files that can be read.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// Names the files: one by its path, several by their number.
    pub(crate) fn name(&self) -> String {
        match self.files.as_slice() {
            [single] => single.name.clone(),
            several => counted(several.len(), "file"),
        }
    }

    fn give_up(&mut self, reason: Failure, is_named: bool) {
        self.unreadable.push(reason);
        self.is_incomplete |= is_named;
    }

    /// Reads a file for the first time.
    fn add(&mut self, path: &Path, sink: &mut dyn SpanSink) -> Result<(), Failure> {
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error| unreadable(&name, error);
        let (content, size) = Content::open(path).map_err(failed)?;
        let mut source = Source { name: name.clone(), content, layout: Layout::Lines };
        let mut sink = CheckedSpans { sink, spans: 0, invalid: 0 };
        let mut scan = source.scan(&mut sink).map_err(failed)?;
        if scan.documents == 0 && size <= MAX_DOCUMENT_BYTES {
            source.layout = Layout::Document;
            let document = source.scan(&mut sink).map_err(failed)?;
            if document.documents > 0 || (document.is_cut_off && !scan.is_cut_off) {
                scan = document;
            }
        }
        if sink.invalid > 0 {
            let spans = counted(sink.invalid, "span");
            scan.warn(format!("{spans} of {name} skipped: the trace id is not hexadecimal"));
        }
        if sink.spans == 0 {
            return Err(no_traces(scan, &name, size));
        }
        self.warnings.extend(scan.into_warnings(&name));
        self.files.push(source);
        Ok(())
    }
}

impl Source {
    fn scan(&self, sink: &mut dyn SpanSink) -> io::Result<Scan> {
        let opened;
        let file = match &self.content {
            Content::Copy(file) => file,
            Content::File(path) => {
                opened = File::open(path)?;
                &opened
            }
        };
        Scan::run(file, &self.name, self.layout, sink)
    }
}

impl Content {
    /// Opens what can be read several times, and returns its size in bytes. Standard input and pipes are copied to a temporary file.
    fn open(path: &Path) -> io::Result<(Self, u64)> {
        let file = if path == Path::new("-") {
            copied(&mut io::stdin().lock())?
        } else {
            let mut file = File::open(path)?;
            let data = file.metadata()?;
            if data.is_file() || data.is_dir() {
                return Ok((Self::File(path.to_owned()), data.len()));
            }
            copied(&mut file)?
        };
        let size = file.metadata()?.len();
        Ok((Self::Copy(file), size))
    }
}

/// Passes on the spans that have a trace id, with the name of their instrumentation scope.
struct CheckedSpans<'a> {
    sink: &'a mut dyn SpanSink,
    spans: usize,
    invalid: usize,
}

impl SpanSink for CheckedSpans<'_> {
    fn detail(&self) -> Detail {
        self.sink.detail()
    }

    fn accepts(&self, trace_id: &str) -> bool {
        self.sink.accepts(trace_id)
    }

    fn add(&mut self, mut span: ParsedSpan, origin: &Origin) {
        let id = &span.trace_id;
        if !(1..=32).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.invalid += 1;
            return;
        }
        self.spans += 1;
        if !origin.scope.is_empty() {
            span.scope = short_name(origin.scope).into_owned();
        }
        self.sink.add(span, origin);
    }
}

/// Finds trace files in a folder and below, in the order of their names. Links to folders are not followed, since they may lead in circles.
fn find(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden || found.len() > MAX_FILES {
            continue;
        }
        if entry.file_type()?.is_dir() {
            // What may not be read is not the user's, such as lost+found.
            if depth > 0 {
                let _ = find(&path, depth - 1, found);
            }
        } else if path.extension().is_some_and(|own| EXTENSIONS.iter().any(|known| own.eq_ignore_ascii_case(known)))
            && path.is_file()
        {
            found.push(path);
        }
    }
    Ok(())
}

fn copied(input: &mut impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    Ok(file)
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
