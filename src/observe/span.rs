//! Finished spans, in a form that is small enough to wait by the thousand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::observation::Linked;
use crate::context::ids::{Flags, SpanId, TraceId};

/// A point in time: nanoseconds since the epoch, as OTLP has it.
pub type Nanos = u64;

/// One finished span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace.
    pub trace_id: TraceId,
    /// The span's own id.
    pub id: SpanId,
    /// The span above it.
    pub parent: Option<SpanId>,
    /// Whether that one is another process's.
    pub is_remote: bool,
    /// The W3C trace-flags.
    pub flags: Flags,
    /// The trace's `tracestate`.
    pub tracestate: Box<str>,
    /// Spans of other traces that it belongs with.
    pub links: Vec<Linked>,
    /// When it began.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// Whether it was still open when the browser went.
    pub unfinished: bool,
    /// What it stands for.
    pub kind: Kind,
}

/// What a span stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// One browser process.
    Session,
    /// One tab, where its navigations share a trace.
    Tab,
    /// One main-frame navigation of a tab.
    Navigation(Navigation),
    /// One HTTP exchange; redirect hops are apart.
    Request(Box<Request>),
}

/// What is known of a navigation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Navigation {
    /// The document's address; the first one that was asked for where no document came. Empty when only requests of it were seen.
    pub url: Box<str>,
    /// Chromium's id of the tab.
    pub tab_id: Option<i32>,
    /// What brought it about.
    pub transition: Option<Box<str>>,
    /// When it became the document of its tab.
    pub committed: Option<Nanos>,
    /// When its document was parsed.
    pub parsed: Option<Nanos>,
    /// When its document was loaded.
    pub loaded: Option<Nanos>,
    /// Whether no document came of it.
    pub failed: bool,
    /// How its own request went wrong.
    pub error: Option<Error>,
    /// Its web vitals, by their short names.
    pub vitals: BTreeMap<String, f64>,
    /// The numbers of its `PerformanceNavigationTiming`, by its own names.
    pub timing: BTreeMap<String, f64>,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The HTTP method.
    pub method: Box<str>,
    /// The address, without secrets.
    pub url: Box<str>,
    /// What kind of resource it asked for.
    pub resource: Box<str>,
    /// How many hops and attempts came before it.
    pub resend_count: u32,
    /// The length of its body in bytes.
    pub size: Option<u64>,
    /// When its response could be read.
    pub responded: Option<Nanos>,
    /// The HTTP status; none when there was no response.
    pub status: Option<u16>,
    /// Whether the browser's cache answered.
    pub from_cache: bool,
    /// The server's address.
    pub address: Option<Box<str>>,
    /// What the status line began with.
    pub protocol: Option<Box<str>>,
    /// The length of the response's body in bytes, as it was transferred.
    pub response_size: Option<u64>,
    /// How it went wrong.
    pub error: Option<Error>,
}

/// How something went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The server said so: 400 and more.
    Status(u16),
    /// There was no response, or only half of it: the name that Chromium has for the reason.
    Network(Box<str>),
    /// The page or the user did not want it any more, which is no error.
    Cancelled,
}

impl Error {
    /// What a status means, if it means that something went wrong.
    #[must_use]
    pub fn of_status(status: u16) -> Option<Self> {
        (status >= 400).then_some(Self::Status(status))
    }

    /// What a name of Chromium's means.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        match name {
            "net::ERR_ABORTED" => Self::Cancelled,
            name => Self::Network(name.into()),
        }
    }

    /// Whether it counts as a failure.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        *self != Self::Cancelled
    }
}
