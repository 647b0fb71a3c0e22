//! Fills in pages, and makes URLs whose query says who caused the request.

use std::fmt::Write;

use super::Shared;

/// What a page knows about itself: the words of its own URL.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(super) kind: String,
    pub(super) nav: String,
    pub(super) run: String,
}

impl Words {
    /// Takes the words from a query; without a `run` it is `0`, without a `nav` it is the run.
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let run = parameter(query, "run").map_or_else(|| "0".to_owned(), word);
        Self {
            kind: parameter(query, "kind").map(word).unwrap_or_default(),
            nav: parameter(query, "nav").map_or_else(|| run.clone(), word),
            run,
        }
    }

    /// Returns the part of a query that everything a page causes has in common.
    pub(super) fn query(&self) -> String {
        format!("run={}&nav={}", self.run, self.nav)
    }

    /// Fills in a template: `{{Q}}` is the common query, the rest are single values.
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

/// Returns a number from the query, or what stands for it when it is absent or no number.
pub(super) fn number(query: &[(String, String)], name: &str, default: u64) -> u64 {
    parameter(query, name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Keeps what needs no escape in HTML, script or a URL.
pub(super) fn word(text: &str) -> String {
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
