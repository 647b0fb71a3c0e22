//! The page: one file that needs nothing else, whatever is in the traces.
//!
//! Nothing of a trace is markup: it is data, which the page's script shows as text. Only the page's own style and script are let run.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::view::read::Loaded;
use crate::view::trace::Trace;

/// How many spans a page has at most; the file has them all.
pub(crate) const MOST_SPANS: usize = 20_000;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 5] = [
    include_str!("page/model.js"),
    include_str!("page/summary.js"),
    include_str!("page/details.js"),
    include_str!("page/waterfall.js"),
    include_str!("page/page.js"),
];

/// What the page shows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    /// The name of the file that the traces are from.
    pub source: &'a str,
    /// The traces, in the order in which they are listed.
    pub traces: &'a [Trace],
    /// Traces of the file that are not here.
    pub left_out_traces: usize,
    /// Spans of the file that are not here.
    pub left_out_spans: usize,
}

impl<'a> Page<'a> {
    /// The page of what was read from a file of that name.
    pub(crate) fn of(source: &'a str, loaded: &'a Loaded) -> Self {
        let Loaded { traces, left_out_traces, left_out_spans, .. } = loaded;
        Self { source, traces, left_out_traces: *left_out_traces, left_out_spans: *left_out_spans }
    }
}

/// Renders the page.
pub fn render(page: &Page) -> String {
    let script = format!("'use strict';\n{{\n{}}}\n", SCRIPTS.concat());
    // Data that can't be written is an empty page, which says that there are no traces.
    let data = escape(&serde_json::to_string(page).unwrap_or_else(|_| "{}".to_owned()));
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    let mut html = String::with_capacity(TEMPLATE.len() + STYLE.len() + script.len() + data.len());
    let mut rest = TEMPLATE;
    for (mark, part) in
        [("{{policy}}", policy.as_str()), ("{{style}}", STYLE), ("{{data}}", &data), ("{{script}}", &script)]
    {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        html.push_str(before);
        html.push_str(part);
        rest = after;
    }
    html.push_str(rest);
    html
}

/// JSON in which nothing can end the element that it stands in.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A source of a Content-Security-Policy: <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trace_holds_can_not_leave_its_element() {
        let source = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--\u{2028}&amp;";
        let html = render(&Page { source, traces: &[], left_out_traces: 1, left_out_spans: 2 });
        assert_eq!(html.matches("<script").count(), TEMPLATE.matches("<script").count());
        assert!(!html.contains("<!--") && !html.contains("<img") && !html.contains('\u{2028}'));
        let (_, data) = html.split_once(r#"type="application/json">"#).unwrap();
        let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
        assert_eq!(data["source"], source);
    }

    #[test]
    fn the_policy_lets_nothing_in_but_the_page_itself() {
        let html = render(&Page { source: "x", traces: &[], left_out_traces: 0, left_out_spans: 0 });
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
