//! A trace as it is shown: its spans in waterfall order. Pure. What is serialized here is what the page reads.

use serde::Serialize;
use serde_json::Value;

/// One trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The trace id, 32 hexadecimal digits.
    pub id: String,
    /// When its first span began: nanoseconds since the epoch.
    #[serde(skip)]
    pub start: u64,
    /// When its first span began: milliseconds since the epoch.
    pub start_ms: f64,
    /// From the begin of the first span to the end of the last one, in microseconds.
    pub duration_us: u64,
    /// Where the trace can be seen elsewhere (`NAVTRACE_LINK`).
    pub link: Option<String>,
    /// Every parent before its children, children by their begin and then by their id.
    pub spans: Vec<Span>,
}

/// One span, at its place in the waterfall.
#[allow(clippy::struct_excessive_bools, reason = "they are facts of a span that do not exclude each other")]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The span id, 16 hexadecimal digits.
    pub id: String,
    /// The id of the span above it, whether or not that is there.
    pub parent: Option<String>,
    /// How far below a root it stands.
    pub depth: usize,
    /// Whether the span above it is missing: it stands at the top then.
    pub orphan: bool,
    /// What the service is called that it belongs to.
    pub service: String,
    /// Its name as it was exported.
    pub name: String,
    /// What is shown for it: its name, and the path or address where the name does not have it.
    pub label: String,
    /// What it stands for.
    pub role: Role,
    /// `internal`, `server`, `client`, `producer`, `consumer`, or empty where that is not known.
    pub kind: &'static str,
    /// From the trace's begin to its own, in microseconds.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// Whether its status is an error.
    pub error: bool,
    /// The description of its status.
    pub message: String,
    /// Whether the browser's cache answered it.
    pub cached: bool,
    /// Whether the trace would have been shorter had this span been shorter.
    pub critical: bool,
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
    /// The attributes of its resource, beside the service's name.
    pub resource: Vec<(String, Value)>,
    /// Its events, in their order.
    pub events: Vec<Event>,
    /// Its links.
    pub links: Vec<Link>,
}

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// navtrace's: one browser process.
    Session,
    /// navtrace's: one main-frame navigation.
    Navigation,
    /// navtrace's: one HTTP exchange of the browser.
    Request,
    /// A span of anybody else.
    Other,
}

/// An event of a span.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What it is called.
    pub name: String,
    /// From the trace's begin, in microseconds.
    pub time_us: u64,
    /// Its attributes.
    pub attributes: Vec<(String, Value)>,
}

/// A link to a span of this trace or of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// The trace id.
    pub trace_id: String,
    /// The span id.
    pub span_id: String,
}
