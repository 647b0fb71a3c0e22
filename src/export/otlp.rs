//! Converts spans to OTLP.
//!
//! OpenTelemetry semantic conventions, HTTP client spans: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::attribute as semconv;
use url::Url;

use crate::export::otlp::test_parts::{step_parts, test_parts};
use crate::observe::observation::{NavigationEnd, SpanLink};
use crate::observe::span::{Navigation, Operation, Request, Span, SpanError};

/// Attributes that no convention covers.
pub(crate) mod own {
    pub(crate) const FROM_CACHE: &str = "navtrace.request.from_cache";
    pub(crate) const CANCELLED: &str = "navtrace.request.cancelled";
    pub(crate) const BLOCKED: &str = "navtrace.request.blocked";
    pub(super) const UNSENT: &str = "navtrace.request.unsent";
    pub(super) const CHALLENGED: &str = "navtrace.request.challenged";
    pub(crate) const RESOURCE_TYPE: &str = "navtrace.request.resource_type";
    pub(crate) const UNFINISHED: &str = "navtrace.unfinished";
    pub(crate) const OUTCOME: &str = "navtrace.navigation.outcome";
    pub(super) const TRANSITION: &str = "navtrace.navigation.transition";
    pub(super) const TAB: &str = "navtrace.tab.id";
    pub(super) const TEST_PROJECT: &str = "navtrace.test.project";
    pub(super) const TEST_STATUS: &str = "navtrace.test.status";
    pub(super) const TEST_RETRY: &str = "navtrace.test.retry";
    pub(super) const TEST_WORKER: &str = "navtrace.test.worker";
    pub(super) const TEST_TAGS: &str = "navtrace.test.tags";
    pub(super) const DROPPED_STEPS: &str = "navtrace.test.dropped_steps";
    pub(crate) const STEP_CATEGORY: &str = "navtrace.step.category";
    /// In the resource: what all browsers of a run share, on however many machines.
    pub(crate) const RUN_ID: &str = "navtrace.run.id";
    /// In the resource, too: a number.
    pub(crate) const RUN_ATTEMPT: &str = "navtrace.run.attempt";
}

/// Methods that may be used as span names: those of RFC 9110 (section 9), PATCH of RFC 5789, and QUERY.
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// The fields of a `PerformanceNavigationTiming` with their attributes in the conventions for browsers, which are still in development. Times are
/// in milliseconds since the start of the navigation, sizes in bytes.
const TIMING: [(&str, &str); 22] = [
    ("domComplete", "browser.navigation_timing.dom_complete"),
    ("domContentLoadedEventEnd", "browser.navigation_timing.dom_content_loaded_event_end"),
    ("domContentLoadedEventStart", "browser.navigation_timing.dom_content_loaded_event_start"),
    ("domInteractive", "browser.navigation_timing.dom_interactive"),
    ("loadEventEnd", "browser.navigation_timing.load_event_end"),
    ("loadEventStart", "browser.navigation_timing.load_event_start"),
    ("redirectCount", "browser.navigation_timing.redirect_count"),
    ("unloadEventEnd", "browser.navigation_timing.unload_event_end"),
    ("unloadEventStart", "browser.navigation_timing.unload_event_start"),
    ("connectEnd", "browser.resource_timing.connect_end"),
    ("connectStart", "browser.resource_timing.connect_start"),
    ("decodedBodySize", "browser.resource_timing.decoded_body_size"),
    ("domainLookupEnd", "browser.resource_timing.domain_lookup_end"),
    ("domainLookupStart", "browser.resource_timing.domain_lookup_start"),
    ("duration", "browser.resource_timing.duration"),
    ("encodedBodySize", "browser.resource_timing.encoded_body_size"),
    ("fetchStart", "browser.resource_timing.fetch_start"),
    ("requestStart", "browser.resource_timing.request_start"),
    ("responseEnd", "browser.resource_timing.response_end"),
    ("responseStart", "browser.resource_timing.response_start"),
    ("secureConnectionStart", "browser.resource_timing.secure_connection_start"),
    ("transferSize", "browser.resource_timing.transfer_size"),
];

/// Flags of an OTLP span: it is known whether the parent is in another process; the parent is in another process.
pub(crate) const HAS_IS_REMOTE: u32 = 0x100;
pub(crate) const IS_REMOTE: u32 = 0x200;

/// The name of a session's root span.
pub(crate) const SESSION_NAME: &str = "browser session";

/// The name of a browser context's span.
pub(crate) const CONTEXT_NAME: &str = "browser context";

/// The name of a navigation's span.
pub(crate) const NAVIGATION_NAME: &str = "navigation";

/// Builds an export request.
pub(crate) fn request<'a>(spans: impl IntoIterator<Item = &'a Span>, resource: &Resource) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.into_iter().map(otlp_span).collect();
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA_URL.to_owned() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![scope_spans],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    }
}

/// Counts the spans of a request.
pub(crate) fn count(request: &ExportTraceServiceRequest) -> usize {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
}

/// Returns the text of an attribute.
pub(crate) fn text_attribute<'a>(span: &'a OtlpSpan, key: &str) -> Option<&'a str> {
    match value_of(span, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Returns the whole number of an attribute.
pub(crate) fn int_attribute(span: &OtlpSpan, key: &str) -> Option<i64> {
    match value_of(span, key)? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

fn value_of<'a>(span: &'a OtlpSpan, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn otlp_span(span: &Span) -> OtlpSpan {
    let mut parts = match &span.operation {
        Operation::Session => Parts::new(SESSION_NAME, SpanKind::Internal),
        Operation::Tab => Parts::new("browser tab", SpanKind::Internal),
        Operation::Context => Parts::new(CONTEXT_NAME, SpanKind::Internal),
        Operation::Navigation(navigation) => navigation_parts(navigation, span.end),
        Operation::Request(request) => request_parts(request),
        Operation::Test(test) => test_parts(test, span.end),
        Operation::Step(step) => step_parts(step),
    };
    if span.unfinished {
        parts.flag(own::UNFINISHED);
    }
    if let Some(description) = &span.description {
        parts.describe(description);
    }
    let Parts { name, kind, attributes, events, status } = parts;
    OtlpSpan {
        trace_id: span.trace_id.bytes().to_vec(),
        span_id: span.id.bytes().to_vec(),
        trace_state: span.tracestate.to_string(),
        parent_span_id: span.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
        flags: u32::from(span.flags.byte()) | HAS_IS_REMOTE | if span.is_remote { IS_REMOTE } else { 0 },
        name,
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes,
        events,
        links: span.links.iter().map(link).collect(),
        status,
        ..OtlpSpan::default()
    }
}

/// The fields of a span that depend on its kind.
struct Parts {
    name: String,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    status: Option<Status>,
}

impl Parts {
    fn new(name: &str, kind: SpanKind) -> Self {
        Self { name: name.to_owned(), kind, attributes: Vec::new(), events: Vec::new(), status: None }
    }

    fn text(&mut self, key: &str, value: impl Into<String>) {
        self.attributes.push(text(key, value));
    }

    fn number(&mut self, key: &str, value: impl TryInto<i64>) {
        if let Ok(value) = value.try_into() {
            self.attributes.push(attribute(key, Value::IntValue(value)));
        }
    }

    fn flag(&mut self, key: &str) {
        self.attributes.push(attribute(key, Value::BoolValue(true)));
    }

    fn event(&mut self, name: &str, time: Option<u64>) {
        if let Some(time) = time {
            self.event_with(name, time, Vec::new());
        }
    }

    fn event_with(&mut self, name: &str, time_unix_nano: u64, attributes: Vec<KeyValue>) {
        self.events.push(Event { time_unix_nano, name: name.to_owned(), attributes, ..Event::default() });
    }

    /// Marks an error as the conventions specify: the name of an error is also the description, but an HTTP status code needs none.
    fn error(&mut self, error: Option<&SpanError>) {
        let (kind, message) = match error {
            None => return,
            Some(SpanError::Cancelled) => return self.flag(own::CANCELLED),
            Some(SpanError::Blocked(name)) => {
                self.text(semconv::ERROR_TYPE, &**name);
                return self.flag(own::BLOCKED);
            }
            Some(SpanError::Status(status)) => (status.to_string(), String::new()),
            Some(SpanError::Network(name)) => (name.to_string(), name.to_string()),
        };
        self.text(semconv::ERROR_TYPE, kind);
        self.status = Some(Status { message, code: StatusCode::Error.into() });
    }
}

fn navigation_parts(navigation: &Navigation, end: u64) -> Parts {
    let mut parts = Parts::new(NAVIGATION_NAME, SpanKind::Internal);
    if !navigation.url.is_empty() {
        parts.text(semconv::URL_FULL, &*navigation.url);
    }
    if let Some(outcome) = outcome(navigation) {
        parts.text(own::OUTCOME, outcome);
    }
    if let Some(transition) = &navigation.transition {
        parts.text(own::TRANSITION, &**transition);
    }
    if let Some(tab) = navigation.tab_id {
        parts.number(own::TAB, tab);
    }
    parts.event("commit", navigation.committed);
    parts.event("domContentLoaded", navigation.parsed);
    parts.event("load", navigation.loaded);
    if !navigation.timing.is_empty() {
        let known = TIMING.iter().filter_map(|(name, key)| Some(double(key, *navigation.timing.get(*name)?)));
        parts.event_with("browser.navigation_timing", navigation.loaded.unwrap_or(end), known.collect());
    }
    for (name, value) in &navigation.vitals {
        // Each vital is reported once, so the delta is the whole value.
        let attributes = vec![
            text("browser.web_vital.name", name),
            double("browser.web_vital.value", *value),
            double("browser.web_vital.delta", *value),
        ];
        parts.event_with("browser.web_vital", end, attributes);
    }
    parts.error(navigation.error.as_ref());
    parts
}

/// Returns how a navigation ended, if that is known.
fn outcome(navigation: &Navigation) -> Option<&'static str> {
    if !navigation.failed {
        return navigation.committed.map(|_| "committed");
    }
    Some(match (navigation.end, &navigation.error) {
        (Some(NavigationEnd::NoDocument), _) => "no-document",
        (Some(NavigationEnd::Elsewhere), _) => "elsewhere",
        (None, Some(SpanError::Cancelled)) => "cancelled",
        (None, Some(SpanError::Blocked(_))) => "blocked",
        (None, _) => "failed",
    })
}

fn request_parts(request: &Request) -> Parts {
    let known = METHODS.contains(&&*request.method);
    // A response from the cache calls no service, nor does what never leaves. A client span would add a call to maps of services.
    let calls = !request.from_cache && !request.unsent;
    let kind = if calls { SpanKind::Client } else { SpanKind::Internal };
    let mut parts = Parts::new(if known { &request.method } else { "HTTP" }, kind);
    parts.text(semconv::HTTP_REQUEST_METHOD, if known { &*request.method } else { "_OTHER" });
    if !known {
        parts.text(semconv::HTTP_REQUEST_METHOD_ORIGINAL, &*request.method);
    }
    parts.text(semconv::URL_FULL, &*request.url);
    if let Some((host, port)) = server(&request.url) {
        parts.text(semconv::SERVER_ADDRESS, host);
        parts.number(semconv::SERVER_PORT, port);
    }
    if let Some(status) = request.status {
        parts.number(semconv::HTTP_RESPONSE_STATUS_CODE, status);
    }
    if request.resend_count > 0 {
        parts.number(semconv::HTTP_REQUEST_RESEND_COUNT, request.resend_count);
    }
    if let Some(address) = request.address.as_ref().filter(|_| !request.from_cache) {
        parts.text(semconv::NETWORK_PEER_ADDRESS, &**address);
    }
    if let Some(version) = protocol_version(request) {
        parts.text(semconv::NETWORK_PROTOCOL_VERSION, version);
    }
    if let Some(size) = request.size {
        parts.number(semconv::HTTP_REQUEST_BODY_SIZE, size);
    }
    parts.text(own::RESOURCE_TYPE, &*request.resource);
    for (is_set, key) in
        [(request.from_cache, own::FROM_CACHE), (request.unsent, own::UNSENT), (request.challenged, own::CHALLENGED)]
    {
        if is_set {
            parts.flag(key);
        }
    }
    parts.error(request.error.as_ref());
    parts
}

/// Returns host and port, or none if the address has no host, such as `data:`.
fn server(address: &str) -> Option<(String, u16)> {
    let url = Url::parse(address).ok()?;
    let host = match url.host()? {
        url::Host::Ipv6(ip) => ip.to_string(),
        host => host.to_string(),
    };
    let port = url.port_or_known_default()?;
    Some((host, port))
}

/// Returns the HTTP version of the status line for unencrypted connections. For encrypted ones, Chromium writes `HTTP/1.1` also for HTTP/2 and
/// HTTP/3.
fn protocol_version(request: &Request) -> Option<&str> {
    let version = request.protocol.as_ref()?.strip_prefix("HTTP/")?;
    let plain = request.url.starts_with("http:") || request.url.starts_with("ws:");
    (plain && !request.from_cache).then_some(version)
}

fn link(linked: &SpanLink) -> Link {
    Link { trace_id: linked.trace_id.bytes().to_vec(), span_id: linked.span_id.bytes().to_vec(), ..Link::default() }
}

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

mod description;
mod test_parts;
#[cfg(test)]
mod tests;
