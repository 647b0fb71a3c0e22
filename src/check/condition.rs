//! Conditions on the spans of a run, such as `p95(http.server duration where service=shop) < 300ms`. Pure.

mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// A condition that holds or fails.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// As the user wrote it, with single spaces.
    pub(crate) text: String,
    pub(crate) rule: Rule,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// A measure of these spans is compared with a limit.
    Measure { measure: Measure, spans: Selection, comparison: Comparison, limit: f64 },
    /// The parent of each of these spans is in the span's trace.
    NoMissingParents(Selection),
}

/// A number that is made of selected spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measure {
    /// Their durations, in nanoseconds.
    Duration(Aggregate),
    /// Their number.
    Count(Per),
    /// The number of those with an error.
    Errors(Per),
    /// The share of those with an error: 0 to 1.
    ErrorRate,
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    Run,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aggregate {
    /// Between 0 and 100.
    Percentile(f64),
    Average,
    Min,
    Max,
}

/// Spans of a kind for which all filters hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Selection {
    pub(crate) kind: SpanKind,
    pub(crate) filters: Vec<Filter>,
}

/// What a span stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SpanKind {
    #[default]
    Any,
    /// A span without a parent.
    Root,
    /// OpenTelemetry's kind, and the beginning of the attributes that such a span has; empty for any attributes.
    Kind { kind: &'static str, area: &'static str },
    /// A browser, traced by navtrace.
    Session,
    /// A page load, traced by navtrace.
    Navigation,
    /// A request of the browser, traced by navtrace.
    Request,
    /// An attempt of a test.
    Test,
    /// A step of a test.
    Step,
}

/// A comparison of an attribute of a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) attribute: Attribute,
    pub(crate) comparison: Comparison,
    /// A text in which `*` stands for any characters, or a number if the comparison is one of size.
    pub(crate) value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    Name,
    Service,
    /// The name of the test to which the span belongs.
    Test,
    /// The first of these keys that a span or its resource has.
    Keys(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    const SIGNS: [(&'static str, Self); 7] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
        ("=", Self::Equal),
    ];

    pub(crate) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            #[allow(clippy::float_cmp, reason = "counts are whole numbers")]
            Self::Equal => value == limit,
            #[allow(clippy::float_cmp, reason = "counts are whole numbers")]
            Self::NotEqual => value != limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Greater => value > limit,
        }
    }

    /// Returns whether small values are those that break a condition.
    pub(crate) fn wants_more(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }
}

impl Condition {
    /// Returns the spans that the condition is about.
    pub(crate) fn spans(&self) -> &Selection {
        match &self.rule {
            Rule::Measure { spans, .. } | Rule::NoMissingParents(spans) => spans,
        }
    }

    /// Returns whether the names of tests must be known.
    pub(crate) fn needs_tests(&self) -> bool {
        self.spans().filters.iter().any(|filter| filter.attribute == Attribute::Test)
    }
}

impl FromStr for Condition {
    type Err = String;

    /// Parses a condition. The error says what was expected at which character.
    fn from_str(text: &str) -> Result<Self, String> {
        parser::parse(text)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
