//! A trace as it is shown, its spans in waterfall order. Pure. The page's script reads the JSON of these types.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The trace id, 32 hexadecimal digits.
    pub id: String,
    /// Start of the first span, in nanoseconds since the epoch.
    #[serde(skip)]
    pub start: u64,
    /// Start of the first span, in milliseconds since the epoch.
    pub start_ms: f64,
    /// Time from the start of the first span to the end of the last, in microseconds.
    pub duration_us: u64,
    /// URL of this trace in another viewer (`NAVTRACE_LINK`).
    pub link: Option<String>,
    /// Each parent before its children; siblings by start, then by id.
    pub spans: Vec<ShownSpan>,
    /// A sentence for each service whose clock is off.
    pub clocks: Vec<String>,
    /// The trace as if these clocks were right, unless it is shown like this already.
    pub corrected: Option<CorrectedTimes>,
}

/// A trace as if all clocks were right.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorrectedTimes {
    /// As in [`Trace`].
    pub start_ms: f64,
    /// As in [`Trace`].
    pub duration_us: u64,
    /// The index of each span in [`Trace::spans`], and its place.
    pub spans: Vec<(usize, Place)>,
}

/// The place of a span on the time axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Start, in microseconds after the start of the trace.
    pub start_us: u64,
    /// Duration, in microseconds.
    pub duration_us: u64,
    /// Microseconds by which the span is drawn later than the file says.
    pub moved_us: i64,
    /// What is wrong with its times, in a few words.
    pub fault: Option<String>,
    /// Whether the span is on the critical path: if it were shorter, so would be the trace.
    pub critical: bool,
}

/// A span at its place in the waterfall.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a span")]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownSpan {
    /// The span id, 16 hexadecimal digits. A server that joins its client's span has the same.
    pub id: String,
    /// The id that the span names as its parent's, whether or not it is in the trace.
    pub parent: Option<String>,
    /// Levels below the top of the waterfall.
    pub depth: usize,
    /// The name of the service.
    pub service: String,
    /// The name as exported.
    pub name: String,
    /// The name to show, with a URL or path where the exported name has none.
    pub label: String,
    /// The operation that the span stands for.
    pub role: Role,
    /// `internal`, `server`, `client`, `producer`, `consumer`, or empty if unknown.
    pub kind: &'static str,
    /// When it was.
    #[serde(flatten)]
    pub place: Place,
    /// Whether the span's status is an error.
    pub error: bool,
    /// The description of the status.
    pub message: String,
    /// Whether the browser's cache answered the request.
    pub cached: bool,
    /// The span's attributes.
    pub attributes: Vec<(String, Value)>,
    /// The resource's attributes except for the service name.
    pub resource: Vec<(String, Value)>,
    /// The events in the order of the file.
    pub events: Vec<Event>,
    /// The links.
    pub links: Vec<Link>,
    /// Why the span is at the top although it names a parent, in a few words.
    pub remark: Option<&'static str>,
}

/// The operation that a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A browser process, traced by navtrace.
    Session,
    /// A main-frame navigation, traced by navtrace.
    Navigation,
    /// An HTTP exchange of the browser, traced by navtrace.
    Request,
    /// A span from other instrumentation.
    Other,
}

/// An event of a span.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The name.
    pub name: String,
    /// Microseconds after the start of the span.
    pub after_us: i64,
    /// The event's attributes.
    pub attributes: Vec<(String, Value)>,
}

/// A link to a span of this or another trace. OTLP JSON has the same form.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// The trace id, 32 hexadecimal digits.
    pub trace_id: String,
    /// The span id, 16 hexadecimal digits.
    pub span_id: String,
}
