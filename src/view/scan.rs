//! One pass through a trace file: parses its lines, adds their spans to a sink, and collects warnings about what can't be read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use crate::base::text::counted;
use crate::view::document::Document;
use crate::view::parsed::SpanSink;
use crate::view::readable::Unreadable;

const MAX_LINE_BYTES: u64 = 64 << 20;

/// Every document with spans has one of these keys in its first bytes.
const SPAN_KEYS: [&[u8]; 4] = [b"\"resourceSpans\"", b"\"batches\"", b"\"traceID\"", b"\"traceId\""];

/// How many bytes of a document are searched for `SPAN_KEYS`.
const SEARCHED_BYTES: usize = 4096;

const MAX_WARNINGS: usize = 3;

/// How JSON documents are laid out in a file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One document on each line.
    #[default]
    Lines,
    /// One document that may span many lines.
    Document,
}

#[derive(Debug, Default)]
pub(super) struct Scan {
    layout: Layout,
    pub(super) lines: usize,
    /// Documents in a known format.
    pub(super) documents: usize,
    warnings: Vec<String>,
    further_warnings: usize,
    /// Whether a document with spans has no end.
    pub(super) is_cut_off: bool,
    /// Whether there is more than white space.
    pub(super) has_text: bool,
    /// Whether what was read is compressed.
    pub(super) is_gzip: bool,
}

impl Scan {
    /// Reads a file from its start to its end. `name` is used in warnings.
    pub(super) fn run(mut file: &File, name: &str, layout: Layout, sink: &mut dyn SpanSink) -> io::Result<Self> {
        file.rewind()?;
        let mut scan = Self { layout, ..Self::default() };
        let mut text = Vec::new();
        if layout == Layout::Document {
            file.read_to_end(&mut text)?;
            scan.lines = 1;
            scan.parse(name, &text, sink);
            return Ok(scan);
        }
        let mut reader = BufReader::with_capacity(1 << 18, file);
        while (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut text)? > 0 {
            scan.lines += 1;
            if text.len() as u64 == MAX_LINE_BYTES && text.last() != Some(&b'\n') {
                let (line, limit) = (scan.lines, MAX_LINE_BYTES >> 20);
                scan.warn(format!("line {line} of {name} has more than {limit} MiB and is skipped"));
                reader.skip_until(b'\n')?;
            } else {
                scan.parse(name, &text, sink);
            }
            text.clear();
        }
        Ok(scan)
    }

    /// Parses a line, or the whole file, and adds its spans to the sink.
    fn parse(&mut self, name: &str, text: &[u8], sink: &mut dyn SpanSink) {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.is_gzip |= text.starts_with(b"\x1f\x8b");
        self.has_text = true;
        let line = self.lines;
        match Document::parse(text) {
            Ok(document) if document.is_known() || document.is_empty_list() && self.layout == Layout::Document => {
                self.documents += 1;
                document.read(sink);
                let Unreadable { spans, reason } = document.unreadable();
                if spans > 0 {
                    let place =
                        if self.layout == Layout::Lines { format!("line {line} of {name}") } else { name.to_owned() };
                    let are = if spans == 1 { "is" } else { "are" };
                    let spans = counted(spans, "span");
                    self.warn(format!("{spans} in {place} can't be read and {are} skipped: {reason}"));
                }
            }
            Ok(_) => self.warn(format!("line {line} of {name} has no spans and is skipped")),
            Err(error) if self.layout == Layout::Document && error.is_eof() => {
                self.is_cut_off |= begins_with_spans(text);
                self.warn(format!(
                    "{name} is cut off in line {}, and only a complete document can be read",
                    error.line()
                ));
            }
            Err(error) if error.is_eof() && text.last() != Some(&b'\n') => {
                self.is_cut_off |= begins_with_spans(text);
                self.warn(format!("{name} is cut off in line {line}, which is skipped"));
            }
            Err(error) => {
                self.warn(format!("line {line} of {name} can't be read and is skipped: {}", reason(&error)));
            }
        }
    }

    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS { self.warnings.push(warning) } else { self.further_warnings += 1 }
    }

    /// Returns the first warnings, and the number of those left out.
    pub(super) fn into_warnings(self, name: &str) -> Vec<String> {
        let further = (self.further_warnings > 0)
            .then(|| format!("{} of {name} can't be read either", counted(self.further_warnings, "more line")));
        self.warnings.into_iter().chain(further).collect()
    }
}

fn begins_with_spans(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let start = &text[..text.len().min(SEARCHED_BYTES)];
    start.starts_with(b"{") | start.starts_with(b"[")
        && SPAN_KEYS.iter().any(|key| start.windows(key.len()).any(|part| part == *key))
}

/// Returns the message of a JSON error without its line number, which counts from the document and not from the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), |reason| format!("{reason} at column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::parsed::{Detail, Origin, ParsedSpan};

    /// Takes spans and keeps none.
    struct NoSpans;

    impl SpanSink for NoSpans {
        fn detail(&self) -> Detail {
            Detail::Full
        }

        fn add(&mut self, _: ParsedSpan, _: &Origin) {}
    }

    fn parsed(text: &str, layout: Layout) -> Scan {
        let mut scan = Scan { lines: 7, layout, ..Scan::default() };
        scan.parse("t", text.as_bytes(), &mut NoSpans);
        scan
    }

    #[test]
    fn warnings_give_the_line_number() {
        use Layout::{Document, Lines};
        for (text, layout, is_cut_off, warning) in [
            ("{oops}\n", Lines, false, "line 7 of t can't be read and is skipped: key must be a string at column 2"),
            ("{\"a\":1}\n", Lines, false, "line 7 of t has no spans and is skipped"),
            ("{ \"resourceSpans\": [{", Lines, true, "t is cut off in line 7, which is skipped"),
            ("{\"x\": [", Lines, false, "t is cut off in line 7, which is skipped"),
            (
                "{\n\"data\": [{\n\"traceID\": \"1\",\n",
                Document,
                true,
                "t is cut off in line 4, and only a complete document can be read",
            ),
        ] {
            let scan = parsed(text, layout);
            assert_eq!((scan.warnings.as_slice(), scan.is_cut_off), ([warning.to_owned()].as_slice(), is_cut_off));
        }
    }

    #[test]
    fn other_signals_and_empty_lines_cause_no_warning() {
        for text in ["\n", " ", "{\"resourceMetrics\":[]}\n", "{\"resourceLogs\":[{}]}\n", "{\"resourceSpans\":[]}"] {
            assert!(parsed(text, Layout::Lines).warnings.is_empty(), "{text}");
        }
    }
}
