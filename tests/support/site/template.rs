//! Fills templates of pages, and makes URLs with labels.

use std::fmt::Write;

use super::Shared;

/// The labels in a page's own URL.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    pub(super) kind: String,
    pub(super) nav: String,
    pub(super) run: String,
}

impl Labels {
    /// Reads the labels from a query. The default of `run` is `0`, and that of `nav` is the run.
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let run = parameter(query, "run").map_or_else(|| "0".to_owned(), label);
        Self {
            kind: parameter(query, "kind").map(label).unwrap_or_default(),
            nav: parameter(query, "nav").map_or_else(|| run.clone(), label),
            run,
        }
    }

    /// Returns the labels that all requests of a page have in common.
    pub(super) fn query(&self) -> String {
        format!("run={}&nav={}", self.run, self.nav)
    }

    /// Fills a template. `{{Q}}` is the common query, the others are single values.
    pub(super) fn fill(&self, template: &str, shared: &Shared) -> String {
        [
            ("{{Q}}", self.query().as_str()),
            ("{{KIND}}", &self.kind),
            ("{{NAV}}", &self.nav),
            ("{{RUN}}", &self.run),
            ("{{MAIN}}", &shared.main),
            ("{{OTHER}}", &shared.other),
        ]
        .iter()
        .fold(template.to_owned(), |text, (mark, value)| text.replace(mark, value))
    }
}

/// Returns the first value of a query parameter.
pub(super) fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Returns a number from the query, or the default if it is missing or invalid.
pub(super) fn number(query: &[(String, String)], name: &str, default: u64) -> u64 {
    parameter(query, name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Keeps only characters that need no escape in HTML, scripts or URLs.
pub(super) fn label(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect()
}

/// Escapes a value for use in a query.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
