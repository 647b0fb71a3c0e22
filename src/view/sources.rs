//! The files that are shown together: those that the user names, and those in folders. Each is read line by line.

use std::collections::HashMap;
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
    /// Whether the user has named something that can't be read, or a folder below it can't. It may well have other files beside those with spans.
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
        // Whether each file could be read.
        let mut known: HashMap<PathBuf, bool> = HashMap::new();
        for path in paths {
            let mut found = Vec::new();
            let is_named = !path.is_dir();
            let before = sources.unreadable.len();
            if is_named {
                found.push(path.clone());
            } else {
                find(path, MAX_DEPTH, &mut found, &mut sources.unreadable);
            }
            if sources.unreadable.len() > before {
                sources.is_incomplete = true;
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
                let place = file.canonicalize().unwrap_or_else(|_| file.clone());
                if let Some(is_read) = known.get(&place) {
                    sources.is_incomplete |= is_named && !is_read;
                    continue;
                }
                let added = sources.add(&file, sink);
                known.insert(place, added.is_ok());
                if let Err(reason) = added {
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

    /// Returns whether spans may be missing: in what the user has named, or in a file with spans of which a part can't be read.
    pub(crate) fn has_gaps(&self) -> bool {
        self.is_incomplete || !self.warnings.is_empty()
    }

    /// Says what can't be read, and what is wrong with the rest.
    pub(crate) fn sentences(&self) -> impl Iterator<Item = String> {
        self.unreadable.iter().map(ToString::to_string).chain(self.warnings.iter().cloned())
    }

    /// Returns the files that are no copies of standard input or of a pipe.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> + Clone {
        self.files.iter().filter_map(|source| match &source.content {
            Content::File(path) => Some(path.as_path()),
            Content::Copy(_) => None,
        })
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

/// Finds trace files in a folder and below, in the order of their names, and says which folders are not read. Links to folders are not followed,
/// since they may lead in circles.
fn find(dir: &Path, depth: usize, found: &mut Vec<PathBuf>, unread: &mut Vec<Failure>) {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return unread.push(unreadable(&dir.display().to_string(), error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Every ext4 file system has the folder lost+found, which only root can read.
        let is_ignored = entry.file_name().as_encoded_bytes().starts_with(b".") || entry.file_name() == "lost+found";
        if is_ignored || found.len() > MAX_FILES {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth == 0 {
                let reason = failure(format_args!("{} is not read", path.display()));
                unread.push(reason.because(format_args!("at most {MAX_DEPTH} levels of folders are")));
                continue;
            }
            find(&path, depth - 1, found, unread);
        } else if path.extension().is_some_and(|own| EXTENSIONS.iter().any(|known| own.eq_ignore_ascii_case(known)))
            && path.is_file()
        {
            found.push(path);
        }
    }
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
        let hint = format!("to unpack it: gzip -dc {} > traces.jsonl", shell_word(Path::new(name)));
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
