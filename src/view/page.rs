//! The HTML page: one file with its own style, script and data.
//!
//! Traces are data that the script shows as text, never markup. A Content-Security-Policy allows only the page's own style and script.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::view::run::RunSummary;
use crate::view::trace::Trace;
use crate::view::trace_files::LoadedTraces;

/// How many spans a page has, all traces together.
pub(crate) const MAX_SPANS: usize = 20_000;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 6] = [
    include_str!("page/model.js"),
    include_str!("page/summary.js"),
    include_str!("page/run.js"),
    include_str!("page/details.js"),
    include_str!("page/waterfall.js"),
    include_str!("page/page.js"),
];

/// The data of the page.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    /// The name of the trace file.
    pub source: &'a str,
    /// The traces, in the order in which they are listed.
    pub traces: &'a [Trace],
    /// The number of traces in the file that the page leaves out.
    pub left_out_traces: usize,
    /// The number of spans in the file that the page leaves out.
    pub left_out_spans: usize,
    /// All traces together, with those that the page leaves out.
    pub run: Option<&'a RunSummary>,
    /// Whether the page first shows times as if all clocks were right.
    pub correct_clocks: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn new(loaded: &'a LoadedTraces, run: Option<&'a RunSummary>, correct_clocks: bool) -> Self {
        let LoadedTraces { source, traces, left_out_traces, left_out_spans, .. } = loaded;
        Self { source, traces, left_out_traces: *left_out_traces, left_out_spans: *left_out_spans, run, correct_clocks }
    }
}

/// Renders the page as HTML.
#[must_use]
pub fn render(page: &Page) -> String {
    let mut html = Vec::new();
    // Neither can fail: a vector takes everything, and JSON is UTF-8.
    let _ = write(&mut html, page);
    String::from_utf8(html).unwrap_or_default()
}

/// Writes the page as HTML.
pub(crate) fn write(out: &mut dyn Write, page: &Page) -> io::Result<()> {
    let script = format!("'use strict';\n{{\n{}}}\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    let mut rest = TEMPLATE;
    for (mark, part) in [("{{policy}}", &*policy), ("{{style}}", STYLE), ("{{data}}", ""), ("{{script}}", &script)] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        if mark == "{{data}}" {
            serde_json::to_writer(Escaped(out), page)?;
        }
        out.write_all(part.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// Returns whether a path has no file, or a page of navtrace.
pub(crate) fn may_replace(path: &Path) -> bool {
    // Opening a pipe would block.
    match fs::metadata(path) {
        Ok(data) => data.is_file() && is_page(path).unwrap_or(false),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

fn is_page(path: &Path) -> io::Result<bool> {
    let (begin, _) = TEMPLATE.split_once("{{policy}}").unwrap_or_default();
    let mut found = Vec::new();
    File::open(path)?.take(begin.len() as u64).read_to_end(&mut found)?;
    Ok(found == begin.as_bytes())
}

/// Escapes JSON so that nothing in it can end the script element around it.
struct Escaped<'a>(&'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        for part in json.split_inclusive(|byte| matches!(byte, b'<' | b'>' | b'&')) {
            let (mark, before) = match part {
                [before @ .., b'<'] => ("\\u003c", before),
                [before @ .., b'>'] => ("\\u003e", before),
                [before @ .., b'&'] => ("\\u0026", before),
                part => ("", part),
            };
            self.0.write_all(before)?;
            self.0.write_all(mark.as_bytes())?;
        }
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns the hash source of a Content-Security-Policy: <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_can_not_end_its_script_element() {
        let source = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--\u{2028}&amp;";
        let html = render(&Page {
            source,
            traces: &[],
            left_out_traces: 1,
            left_out_spans: 2,
            run: None,
            correct_clocks: false,
        });
        assert_eq!(html.matches("<script").count(), TEMPLATE.matches("<script").count());
        assert!(!html.contains("<!--") && !html.contains("<img"));
        let (_, data) = html.split_once(r#"type="application/json">"#).unwrap();
        let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
        assert_eq!(data["source"], source);
    }

    #[test]
    fn the_policy_allows_only_code_of_the_page() {
        let html = render(&Page {
            source: "x",
            traces: &[],
            left_out_traces: 0,
            left_out_spans: 0,
            run: None,
            correct_clocks: false,
        });
        for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let (_, rest) = html.split_once(open).unwrap();
            assert!(html.contains(&format!("'{}'", hash(rest.split_once(close).unwrap().0))), "{open}");
        }
        assert!(!html.contains("style=\"") && !html.contains("src=") && !html.contains("onclick"));
        assert!(
            !TEMPLATE.contains("http") || TEMPLATE.matches("http").count() == TEMPLATE.matches("http-equiv").count()
        );
    }
}
