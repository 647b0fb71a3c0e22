//! What the extension observed, as it tells it: the events of requests and navigations. `extension/protocol.d.ts` has the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::issuer::SessionContext;

/// A batch of observations, in the order in which the browser reported them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The worker that observed: random for every start of one, so that its batches are told apart from those of the one before.
    pub worker: String,
    /// Counts the worker's batches from 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub number: u64,
    /// How many observations this worker has had to drop so far, since no host took them.
    #[cfg_attr(test, ts(type = "number"))]
    pub dropped: u64,
    /// The session that it was in, if that is not the one in force: what was under way when a new trace began ends in the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub session: Option<SessionContext>,
    /// What was observed.
    pub observations: Vec<Observation>,
}

/// One event. Times are milliseconds since the epoch, with fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "what", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Observation {
    /// A context was made that is not simply the session's: one of another trace, with a decision of its own, or with steering. It comes before anything
    /// that names it, and may never be used.
    ContextIssued {
        /// When.
        time: f64,
        /// The span id.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// What it is for.
        issued_for: IssuedFor,
        /// The trace.
        #[cfg_attr(test, ts(type = "string"))]
        trace_id: TraceId,
        /// The W3C trace-flags.
        #[cfg_attr(test, ts(type = "string"))]
        flags: Flags,
        /// The span above it; absent for a trace's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        parent: Option<SpanId>,
        /// The trace's `tracestate`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<String>"))]
        tracestate: String,
        /// Spans of other traces that it belongs with.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Linked>>"))]
        links: Vec<Linked>,
    },
    /// A request, a redirect hop or another attempt of one is about to leave.
    RequestStarted {
        /// When.
        time: f64,
        /// The browser's id of the request, which its hops share.
        request: String,
        /// The span id that it carries; in lightweight mode, one that was made for its span alone.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// The span id of its navigation; absent for the session's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        parent: Option<SpanId>,
        /// The trace id that it carries, where that may be another than the session's: a worker that was just restarted does not know it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        trace_id: Option<TraceId>,
        /// The span of the page's own instrumentation that made it, in the same trace: the one above its span.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        caller: Option<SpanId>,
        /// The context that it had of another trace: overridden, or kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        link: Option<Linked>,
        /// The HTTP method.
        method: String,
        /// The address.
        url: String,
        /// What kind of resource it asks for, in the browser's words: `main_frame`, `script`, `xmlhttprequest` and so on.
        resource: String,
        /// The navigation that begins with it, if it is a navigation's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        navigation: Option<NavigationStart>,
        /// The length of its body in bytes, if it has one and the length is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number", optional))]
        size: Option<u64>,
    },
    /// The first byte of a request's body may be read.
    ResponseStarted {
        /// When.
        time: f64,
        /// The browser's id of the request.
        request: String,
    },
    /// A request was answered with a redirect; another hop follows.
    RequestRedirected {
        /// When.
        time: f64,
        /// The browser's id of the request.
        request: String,
        /// The answer.
        response: Response,
    },
    /// A request has ended with a response.
    RequestCompleted {
        /// When.
        time: f64,
        /// The browser's id of the request.
        request: String,
        /// The answer.
        response: Response,
    },
    /// A request has ended without one, or in the middle of it.
    RequestFailed {
        /// When.
        time: f64,
        /// The browser's id of the request.
        request: String,
        /// What Chromium calls the error, such as `net::ERR_CONNECTION_REFUSED`.
        error: String,
        /// A span id for a request that was never started: it failed before it could leave.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// The HTTP method.
        method: String,
        /// The address.
        url: String,
        /// What kind of resource it asked for.
        resource: String,
    },
    /// A navigation has become the document of its tab. What was there before is gone.
    NavigationCommitted {
        /// When.
        time: f64,
        /// The span id of the navigation.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// Chromium's id of the tab.
        tab_id: i32,
        /// The document's address.
        url: String,
        /// When the navigation began; for one that had no request of its own.
        started: f64,
        /// What brought it about, in the browser's words: `link`, `typed`, `reload` and so on.
        transition: String,
    },
    /// No document came of a navigation: a 204, a download, an abort or an error.
    NavigationFailed {
        /// When.
        time: f64,
        /// The span id of the navigation.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// A navigation's document was parsed: `DOMContentLoaded`.
    DocumentParsed {
        /// When.
        time: f64,
        /// The span id of the navigation.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// A navigation's document and what it asked for were loaded: `load`.
    DocumentLoaded {
        /// When.
        time: f64,
        /// The span id of the navigation.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// A page was measured from inside, when it was loaded and again before it was left. The later values count.
    PageMeasured {
        /// When.
        time: f64,
        /// The span id of the navigation.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// Web vitals by their short names: `cls`, and in milliseconds `fcp`, `inp` and `lcp`.
        vitals: BTreeMap<String, f64>,
        /// The numbers of its `PerformanceNavigationTiming`, by its own names.
        timing: BTreeMap<String, f64>,
    },
    /// A tab was closed.
    TabClosed {
        /// When.
        time: f64,
        /// Chromium's id of the tab.
        tab_id: i32,
    },
}

/// What a context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum IssuedFor {
    /// A navigation.
    Navigation,
    /// A tab, where its navigations share a trace.
    Tab,
    /// Nothing here: it is a span of the client's, whose trace a tab continues.
    Client,
}

/// A span of another trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Linked {
    /// The trace.
    #[cfg_attr(test, ts(type = "string"))]
    pub trace_id: TraceId,
    /// The span.
    #[cfg_attr(test, ts(type = "string"))]
    pub span_id: SpanId,
}

/// The navigation that a request begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NavigationStart {
    /// Chromium's id of the tab.
    pub tab_id: i32,
    /// When the navigation began, which is before its request: milliseconds since the epoch.
    pub started: f64,
}

/// What is known of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Whether the browser's cache answered.
    pub from_cache: bool,
    /// The address of the server, without a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub address: Option<String>,
    /// What the status line begins with, such as `HTTP/1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub protocol: Option<String>,
    /// The length of the body in bytes as it was transferred, if the response says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number", optional))]
    pub size: Option<u64>,
}

impl Observation {
    /// When it happened, in milliseconds since the epoch.
    pub(crate) fn time(&self) -> f64 {
        match self {
            Self::ContextIssued { time, .. }
            | Self::RequestStarted { time, .. }
            | Self::ResponseStarted { time, .. }
            | Self::RequestRedirected { time, .. }
            | Self::RequestCompleted { time, .. }
            | Self::RequestFailed { time, .. }
            | Self::NavigationCommitted { time, .. }
            | Self::NavigationFailed { time, .. }
            | Self::DocumentParsed { time, .. }
            | Self::DocumentLoaded { time, .. }
            | Self::PageMeasured { time, .. }
            | Self::TabClosed { time, .. } => *time,
        }
    }
}
