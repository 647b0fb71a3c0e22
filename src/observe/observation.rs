//! The observations that the extension sends: events of requests and navigations. `extension/protocol.d.ts` is generated from these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::context::ids::{Flags, SpanId, TraceId};
use crate::context::issuer::SessionContext;

/// A batch of observations, in the order in which the browser reported them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// A random id of the service worker's run, which tells its batches from those of an earlier run.
    pub worker: String,
    /// The number of the batch within the worker's run, from 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub number: u64,
    /// The number of observations that this worker has dropped so far because no host took them.
    #[cfg_attr(test, ts(type = "number"))]
    pub dropped: u64,
    /// The session of these observations if it is not the current one: requests that were open when a new trace began end in the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub session: Option<SessionContext>,
    /// The observations.
    pub observations: Vec<Observation>,
}

/// An event.
///
/// `time` is in milliseconds since the epoch, with fractions. `request` is the browser's id of a request, which its redirect hops share. `span_id` in
/// events of navigations and documents is the span id of the navigation. `tab_id` is Chromium's id of the tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "what", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the comment above explains the fields that many variants share")]
pub enum Observation {
    /// A context was made that differs from the session's: with another trace, its own sampling decision, or steering. Comes before any event that
    /// names the context, which may never be used.
    ContextIssued {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        issued_for: IssuedFor,
        #[cfg_attr(test, ts(type = "string"))]
        trace_id: TraceId,
        #[cfg_attr(test, ts(type = "string"))]
        flags: Flags,
        /// The parent span; absent for a trace's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        parent: Option<SpanId>,
        /// The trace's `tracestate`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<String>"))]
        tracestate: String,
        /// Related spans of other traces.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<SpanLink>>"))]
        links: Vec<SpanLink>,
    },
    /// A request, a redirect hop or a further attempt is about to be sent.
    RequestStarted {
        time: f64,
        request: String,
        /// The span id that the request carries; in lightweight mode, an id that only its span has.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// The span id of its navigation; absent if the parent is the session's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        parent: Option<SpanId>,
        /// The trace id that it carries, where it may differ from the session's: a worker that has just restarted does not know the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        trace_id: Option<TraceId>,
        /// The parent span if the page's own instrumentation made one in the same trace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        caller: Option<SpanId>,
        /// The context of another trace that the page had set, which was overridden or kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        link: Option<SpanLink>,
        method: String,
        url: String,
        /// Chromium's type of the resource: `main_frame`, `script`, `xmlhttprequest` and so on.
        resource: String,
        /// The navigation that begins with this request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        navigation: Option<NavigationStart>,
        /// The length of the request's body in bytes, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "number", optional))]
        size: Option<u64>,
    },
    /// The server or a proxy asks for credentials (401, 407). Where the browser has them, it repeats the request with the same headers and reports no
    /// other start, so only a later response with another status tells that there was a second exchange.
    RequestChallenged {
        time: f64,
        request: String,
        /// The span id of this exchange if a second one follows, which has the id that both carry.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        response: Response,
    },
    /// The response is a redirect; another hop follows, unless the page does not want it.
    RequestRedirected {
        time: f64,
        request: String,
        response: Response,
    },
    /// The request ended with a response.
    RequestCompleted {
        time: f64,
        request: String,
        response: Response,
    },
    /// The request ended without a response, or in the middle of it.
    RequestFailed {
        time: f64,
        request: String,
        /// Chromium's name of the error, such as `net::ERR_CONNECTION_REFUSED`.
        error: String,
        /// How it ended; absent for a failure.
        #[serde(default, skip_serializing_if = "FailureKind::is_failed")]
        #[cfg_attr(test, ts(optional, as = "Option<FailureKind>"))]
        kind: FailureKind,
        /// The span id to use if the request was never sent, so that this event is all there is of it.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// The span id of its navigation if the request was never sent; absent if the parent is the session's root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(type = "string", optional))]
        parent: Option<SpanId>,
        method: String,
        /// Empty if it is no target.
        url: String,
        resource: String,
    },
    /// The last page of the request's browser context was closed while the request was under way. If no other observation of the request follows,
    /// it ended then: where the context closes too, the browser reports no end.
    RequestLeft {
        time: f64,
        request: String,
    },
    /// The navigation's document has replaced the tab's previous document.
    NavigationCommitted {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        tab_id: i32,
        url: String,
        /// The start of the navigation, which may have had no request.
        started: f64,
        /// Chromium's reason of the navigation (`link`, `typed`, `reload` and so on), or why an open document has a navigation without being loaded:
        /// `new-trace`, or `already-open` when a worker starts.
        transition: String,
    },
    /// The navigation ended without a document that is traced.
    NavigationFailed {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// How it ended, if nothing went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        end: Option<NavigationEnd>,
    },
    /// `DOMContentLoaded`.
    DocumentParsed {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// `load`.
    DocumentLoaded {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// Measurements from inside the page, taken after it has loaded and again before it is left. Later values replace earlier ones.
    PageMeasured {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// Web vitals by their short names: `cls`, and in milliseconds `fcp`, `inp` and `lcp`.
        vitals: BTreeMap<String, f64>,
        /// The numbers of its `PerformanceNavigationTiming`, by its own names.
        timing: BTreeMap<String, f64>,
    },
    TabClosed {
        time: f64,
        tab_id: i32,
    },
    /// The last page of a browser context was closed.
    ContextClosed {
        time: f64,
        /// The span of the context; the session's root for the context that has the session's own trace.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
    },
    /// A script has described the root span of its page's trace. Comes after the context of that span, and again with another description.
    RootDescribed {
        time: f64,
        /// The span of the session, a tab or a client.
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        /// The name of a client's span that nobody else makes; absent for spans that exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        name: Option<String>,
        /// Attributes of the span.
        attributes: BTreeMap<String, String>,
    },
    /// k6 has given a document the id of a span of its own, in its trace of the iteration.
    K6Span {
        time: f64,
        #[cfg_attr(test, ts(type = "string"))]
        span_id: SpanId,
        #[cfg_attr(test, ts(type = "string"))]
        k6_span_id: SpanId,
    },
}

/// The owner of a context's span id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum IssuedFor {
    /// A navigation.
    Navigation,
    /// A tab whose navigations share a trace.
    Tab,
    /// A browser context whose navigations share a trace, below a span that the host has named or as a root.
    Context,
    /// The browser process, if the session's own trace is that of a browser context and there is another one.
    Session,
    /// A span of the automation client, whose trace a tab continues. It has no span here.
    Client,
}

/// A link to a span of another trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Linked"))]
#[serde(rename_all = "camelCase")]
pub struct SpanLink {
    #[cfg_attr(test, ts(type = "string"))]
    pub trace_id: TraceId,
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
    /// The start of the navigation, before its request: milliseconds since the epoch.
    pub started: f64,
    /// Whether a page began it, and not the client or the user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub by_page: bool,
}

/// How a request ended that has no complete response. The extension decides this once, for everything that shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// By an error of the network or the server.
    #[default]
    Failed,
    /// The page, the user or the end of the page stopped it.
    Cancelled,
    /// The browser, an extension or a policy did not let it through.
    Blocked,
}

impl FailureKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_failed(&self) -> bool {
        *self == Self::Failed
    }
}

/// How a navigation ended that has no traced document, though nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum NavigationEnd {
    /// With a 204, a 205 or a download.
    NoDocument,
    /// With a redirect to an address that is no target.
    Elsewhere,
}

/// The head of a response.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Whether it came from the browser's cache.
    pub from_cache: bool,
    /// The server's IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub address: Option<String>,
    /// The start of the status line, such as `HTTP/1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub protocol: Option<String>,
}

impl Observation {
    /// Returns the time of the event in milliseconds since the epoch.
    pub(crate) fn time(&self) -> f64 {
        match self {
            Self::ContextIssued { time, .. }
            | Self::RequestStarted { time, .. }
            | Self::RequestChallenged { time, .. }
            | Self::RequestRedirected { time, .. }
            | Self::RequestCompleted { time, .. }
            | Self::RequestFailed { time, .. }
            | Self::RequestLeft { time, .. }
            | Self::NavigationCommitted { time, .. }
            | Self::NavigationFailed { time, .. }
            | Self::DocumentParsed { time, .. }
            | Self::DocumentLoaded { time, .. }
            | Self::PageMeasured { time, .. }
            | Self::RootDescribed { time, .. }
            | Self::TabClosed { time, .. }
            | Self::ContextClosed { time, .. }
            | Self::K6Span { time, .. } => *time,
        }
    }
}
