//! What a walk through a trace file meets: spans of one document or line after the other, and what can't be read. Pure.

use crate::view::otlp_json::Document;
use crate::view::raw::Raw;

/// What stands near the begin of every document with spans, OTLP's and Jaeger's.
const MARKS: [&[u8]; 2] = [b"\"resourceSpans\"", b"\"traceID\""];

/// How far from its begin a document has one of those.
const NEAR: usize = 4096;

/// How many warnings of one file are told.
const MOST_WARNINGS: usize = 3;

/// Which spans are wanted, and what becomes of them.
pub(super) struct Wanted<'a> {
    /// Whether the spans of a trace are wanted.
    pub(super) trace: &'a dyn Fn(&str) -> bool,
    /// With all that they have.
    pub(super) whole: bool,
    pub(super) take: &'a mut dyn FnMut(Raw),
}

/// What a walk through a file met.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) lines: usize,
    /// Whether it is all one document, which has lines of its own.
    pub(super) is_document: bool,
    /// Lines that are of a known format.
    pub(super) documents: usize,
    pub(super) warnings: Vec<String>,
    pub(super) further_warnings: usize,
    /// Whether the last line is the beginning of one with spans.
    pub(super) is_cut: bool,
}

impl Walk {
    /// Hands over the spans of a line, or of the whole file, that are wanted.
    pub(super) fn document(&mut self, name: &str, text: &[u8], wanted: &mut Wanted) {
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let number = self.lines;
        match serde_json::from_slice::<Document>(text) {
            Ok(document) if document.is_known() => {
                self.documents += 1;
                document.each(wanted.trace, wanted.whole, &mut *wanted.take);
            }
            Ok(_) => self.warn(format!("line {number} of {name} has no spans and is passed over")),
            Err(error) if self.is_document && error.is_eof() => {
                self.is_cut |= has_mark(text);
                self.warn(format!("{name} is cut off in line {}, and can be read as a whole only", error.line()));
            }
            Err(error) if error.is_eof() && text.last() != Some(&b'\n') => {
                self.is_cut |= has_mark(text);
                self.warn(format!("{name} is cut off in line {number}, which is passed over"));
            }
            Err(error) => {
                self.warn(format!("line {number} of {name} can't be read and is passed over: {}", reason(&error)));
            }
        }
    }

    pub(super) fn warn(&mut self, sentence: String) {
        if self.warnings.len() < MOST_WARNINGS { self.warnings.push(sentence) } else { self.further_warnings += 1 }
    }
}

fn has_mark(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let near = &text[..text.len().min(NEAR)];
    near.starts_with(b"{") && MARKS.iter().any(|mark| near.windows(mark.len()).any(|part| part == *mark))
}

/// Why a line can't be read. To the parser each line is the first one, which would contradict the number that is told.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), |reason| format!("{reason} at column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(text: &str, is_document: bool) -> Walk {
        let mut walk = Walk { lines: 7, is_document, ..Walk::default() };
        let mut wanted = Wanted { trace: &|_| true, whole: true, take: &mut |_| {} };
        walk.document("t", text.as_bytes(), &mut wanted);
        walk
    }

    #[test]
    fn every_line_that_can_not_be_read_is_told_by_its_number() {
        for (text, is_document, is_cut, sentence) in [
            (
                "{oops}\n",
                false,
                false,
                "line 7 of t can't be read and is passed over: key must be a string at column 2",
            ),
            ("{\"a\":1}\n", false, false, "line 7 of t has no spans and is passed over"),
            ("{ \"resourceSpans\": [{", false, true, "t is cut off in line 7, which is passed over"),
            ("{\"x\": [", false, false, "t is cut off in line 7, which is passed over"),
            (
                "{\n\"data\": [{\n\"traceID\": \"1\",\n",
                true,
                true,
                "t is cut off in line 4, and can be read as a whole only",
            ),
        ] {
            let walk = walked(text, is_document);
            assert_eq!((walk.warnings.as_slice(), walk.is_cut), ([sentence.to_owned()].as_slice(), is_cut));
        }
    }

    #[test]
    fn other_signals_and_empty_lines_are_no_news() {
        for text in ["\n", " ", "{\"resourceMetrics\":[]}\n", "{\"resourceLogs\":[{}]}\n", "{\"resourceSpans\":[]}"] {
            assert!(walked(text, false).warnings.is_empty(), "{text}");
        }
    }
}
