//! Finished spans, kept small because thousands of them may wait for export.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::observe::observation::{FailureKind, NavigationEnd, SpanLink};
use crate::observe::session::Description;
use crate::observe::test_span::{Step, Test};

/// A point in time: nanoseconds since the epoch, as in OTLP.
pub(crate) type Nanos = u64;

/// The latest time that is accepted, in the year 2262, so that adding two times does not overflow.
const MAX_TIME: Nanos = i64::MAX as Nanos;

/// Converts milliseconds to nanoseconds, rounded to the microsecond. NaN becomes the epoch.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and NaN becomes 0"
)]
pub(crate) fn nanos(milliseconds: f64) -> Nanos {
    ((milliseconds * 1000.0).round() as Nanos).saturating_mul(1000).min(MAX_TIME)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub(crate) trace_id: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    /// Whether the parent belongs to another process.
    pub(crate) is_remote: bool,
    pub(crate) flags: Flags,
    pub(crate) tracestate: Box<str>,
    pub(crate) links: Vec<SpanLink>,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    /// Whether its end was never seen.
    pub(crate) unfinished: bool,
    #[serde(rename = "kind")]
    pub(crate) operation: Operation,
    /// What a script says of the span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Box<Description>>,
}

/// The operation that a span stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// A browser process.
    Session,
    /// A tab whose navigations share a trace.
    Tab,
    /// A browser context whose navigations share a trace.
    Context,
    /// A main-frame navigation.
    Navigation(Navigation),
    /// An HTTP exchange; each redirect hop is one.
    Request(Box<Request>),
    /// An attempt of a test.
    Test(Box<Test>),
    /// A step of a test.
    Step(Box<Step>),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Navigation {
    /// The document's address, or the first requested address if there is no document. Empty if only the page's requests were seen.
    pub(crate) url: Box<str>,
    /// Chromium's id of the tab.
    pub(crate) tab_id: Option<i32>,
    pub(crate) transition: Option<Box<str>>,
    pub(crate) committed: Option<Nanos>,
    pub(crate) parsed: Option<Nanos>,
    pub(crate) loaded: Option<Nanos>,
    /// Whether it ended without a document.
    pub(crate) failed: bool,
    /// How it ended without a document, if nothing went wrong.
    #[serde(default)]
    pub(crate) end: Option<NavigationEnd>,
    /// The error of its own request.
    pub(crate) error: Option<SpanError>,
    pub(crate) vitals: BTreeMap<String, f64>,
    pub(crate) timing: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: Box<str>,
    /// The address without secrets.
    pub(crate) url: Box<str>,
    /// Chromium's type of the requested resource.
    pub(crate) resource: Box<str>,
    /// The number of hops and attempts before this one.
    pub(crate) resend_count: u32,
    /// The length of the request's body in bytes.
    pub(crate) size: Option<u64>,
    /// The HTTP status, if there was a response.
    pub(crate) status: Option<u16>,
    pub(crate) from_cache: bool,
    /// Whether it never left the browser.
    #[serde(default)]
    pub(crate) unsent: bool,
    /// Whether the browser answered the server's request for credentials by another exchange, which carried the same headers.
    #[serde(default)]
    pub(crate) challenged: bool,
    /// The server's IP address.
    pub(crate) address: Option<Box<str>>,
    /// The start of the status line, such as `HTTP/1.1`.
    pub(crate) protocol: Option<Box<str>>,
    pub(crate) error: Option<SpanError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SpanError {
    /// The server answered with a status of 400 or more.
    Status(u16),
    /// There was no complete response. Has Chromium's name of the error.
    Network(Box<str>),
    /// The page or the user stopped the request, which is not a failure.
    Cancelled,
    /// The browser, an extension or a policy stopped the request or withheld its response, which is not a failure. Has Chromium's name of the error.
    Blocked(Box<str>),
}

impl SpanError {
    pub(crate) fn of_status(status: u16) -> Option<Self> {
        (status >= 400).then_some(Self::Status(status))
    }

    /// Returns the error that has this name in Chromium.
    pub(crate) fn of_name(name: &str, kind: FailureKind) -> Self {
        match (name, kind) {
            // Extensions of an earlier version tell no kind.
            ("net::ERR_ABORTED", _) | (_, FailureKind::Cancelled) => Self::Cancelled,
            (name, FailureKind::Failed) => Self::Network(name.into()),
            (name, FailureKind::Blocked) => Self::Blocked(name.into()),
        }
    }

    /// Returns whether a user would call it a failure.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Network(_))
    }
}
