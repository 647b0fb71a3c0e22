//! Finished spans, in a form that is small enough to wait by the thousand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::observe::observation::Linked;

/// A point in time: nanoseconds since the epoch, as OTLP has it.
pub(crate) type Nanos = u64;

/// One finished span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace.
    pub(crate) trace_id: TraceId,
    /// The span's own id.
    pub(crate) id: SpanId,
    /// The span above it.
    pub(crate) parent: Option<SpanId>,
    /// Whether that one is another process's.
    pub(crate) is_remote: bool,
    /// The W3C trace-flags.
    pub(crate) flags: Flags,
    /// The trace's `tracestate`.
    pub(crate) tracestate: Box<str>,
    /// Spans of other traces that it belongs with.
    pub(crate) links: Vec<Linked>,
    /// When it began.
    pub(crate) start: Nanos,
    /// When it ended.
    pub(crate) end: Nanos,
    /// Whether it was still open when the browser went.
    pub(crate) unfinished: bool,
    /// What it stands for.
    pub(crate) kind: Kind,
}

/// What a span stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
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
pub(crate) struct Navigation {
    /// The document's address; the first one that was asked for where no document came. Empty when only requests of it were seen.
    pub(crate) url: Box<str>,
    /// Chromium's id of the tab.
    pub(crate) tab_id: Option<i32>,
    /// What brought it about.
    pub(crate) transition: Option<Box<str>>,
    /// When it became the document of its tab.
    pub(crate) committed: Option<Nanos>,
    /// When its document was parsed.
    pub(crate) parsed: Option<Nanos>,
    /// When its document was loaded.
    pub(crate) loaded: Option<Nanos>,
    /// Whether no document came of it.
    pub(crate) failed: bool,
    /// How its own request went wrong.
    pub(crate) error: Option<Error>,
    /// Its web vitals, by their short names.
    pub(crate) vitals: BTreeMap<String, f64>,
    /// The numbers of its `PerformanceNavigationTiming`, by its own names.
    pub(crate) timing: BTreeMap<String, f64>,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: Box<str>,
    /// The address, without secrets.
    pub(crate) url: Box<str>,
    /// What kind of resource it asked for.
    pub(crate) resource: Box<str>,
    /// How many hops and attempts came before it.
    pub(crate) resend_count: u32,
    /// The length of its body in bytes.
    pub(crate) size: Option<u64>,
    /// When its response could be read.
    pub(crate) responded: Option<Nanos>,
    /// The HTTP status; none when there was no response.
    pub(crate) status: Option<u16>,
    /// Whether the browser's cache answered.
    pub(crate) from_cache: bool,
    /// The server's address.
    pub(crate) address: Option<Box<str>>,
    /// What the status line began with.
    pub(crate) protocol: Option<Box<str>>,
    /// The length of the response's body in bytes, as it was transferred.
    pub(crate) response_size: Option<u64>,
    /// How it went wrong.
    pub(crate) error: Option<Error>,
}

/// How something went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Error {
    /// The server said so: 400 and more.
    Status(u16),
    /// There was no response, or only half of it: the name that Chromium has for the reason.
    Network(Box<str>),
    /// The page or the user did not want it any more, which is no error.
    Cancelled,
}

impl Error {
    /// What a status means, if it means that something went wrong.
    pub(crate) fn of_status(status: u16) -> Option<Self> {
        (status >= 400).then_some(Self::Status(status))
    }

    /// What a name of Chromium's means.
    pub(crate) fn of_name(name: &str) -> Self {
        match name {
            "net::ERR_ABORTED" => Self::Cancelled,
            name => Self::Network(name.into()),
        }
    }

    /// Whether it counts as a failure.
    pub(crate) fn is_failure(&self) -> bool {
        *self != Self::Cancelled
    }
}
