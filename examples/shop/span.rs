//! Makes a server span for every request that a service receives.
//!
//! A finished span goes to the [`Record`] and to the [`Exporter`], if any.

use std::io::Result;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;

use crate::export::Exporter;
use crate::record::Record;
use crate::traceparent::TraceParent;

/// How the `traceparent` of a request was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Header {
    /// The span continues the caller's trace.
    Valid,
    /// There was none, so the span starts a trace.
    Missing,
    /// It was invalid or came twice, so the span starts a trace.
    Invalid,
}

/// A finished server span.
#[derive(Clone, Debug)]
pub(crate) struct ServerSpan {
    pub(crate) service: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The matched pattern, such as `/products/{id}`.
    pub(crate) route: Option<String>,
    /// The host and port in the request.
    pub(crate) host: Option<Authority>,
    pub(crate) context: TraceParent,
    /// The caller's span, or `None` if this span starts the trace.
    pub(crate) parent: Option<u64>,
    pub(crate) header: Header,
    pub(crate) start: SystemTime,
    pub(crate) duration: Duration,
    /// `None` if the caller disconnected before the response.
    pub(crate) status: Option<u16>,
}

/// The trace context of a request, which handlers pass on to other services.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// With the id of the server span, the parent of all calls that the handler makes.
    pub(crate) traceparent: TraceParent,
    /// Passed on unchanged, and only within the caller's trace.
    pub(crate) tracestate: Option<String>,
}

/// Makes the spans of one service.
#[derive(Clone)]
pub(crate) struct Tracer {
    service: &'static str,
    record: Record,
    exporter: Option<Exporter>,
}

impl Tracer {
    /// Makes a tracer for `service` that records spans in `record`.
    pub(crate) fn new(service: &'static str, record: Record) -> Result<Self> {
        Ok(Self { service, record, exporter: Exporter::from_environment(service)? })
    }

    /// Exports the remaining spans and closes the exporter.
    pub(crate) fn close(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.close();
        }
    }

    fn finish(&self, span: ServerSpan) {
        if let Some(exporter) = &self.exporter {
            exporter.export(&span);
        }
        self.record.add(span);
    }
}

/// Middleware that wraps each request in a server span and passes the [`Context`] to the handler.
pub(crate) async fn trace(State(tracer): State<Tracer>, mut request: Request, next: Next) -> Response {
    let (header, caller) = read(request.headers());
    let traceparent = caller.map_or_else(TraceParent::new_trace, TraceParent::child);
    let tracestate = caller.and_then(|_| joined(request.headers(), "tracestate"));
    request.extensions_mut().insert(Context { traceparent, tracestate });

    let mut active = ActiveSpan {
        began: Instant::now(),
        span: ServerSpan {
            service: tracer.service,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            route: request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned()),
            host: host(request.headers()),
            context: traceparent,
            parent: caller.map(|c| c.span_id),
            header,
            start: SystemTime::now(),
            duration: Duration::ZERO,
            status: None,
        },
        tracer,
    };
    let response = next.run(request).await;
    active.span.status = Some(response.status().as_u16());
    response
}

/// Finishes its span when it is dropped, which also happens if the caller disconnects.
struct ActiveSpan {
    tracer: Tracer,
    began: Instant,
    span: ServerSpan,
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        self.span.duration = self.began.elapsed();
        self.tracer.finish(self.span.clone());
    }
}

/// Reads the caller's context from exactly one valid `traceparent`.
fn read(headers: &HeaderMap) -> (Header, Option<TraceParent>) {
    let mut values = headers.get_all("traceparent").iter();
    match (values.next(), values.next()) {
        (None, _) => (Header::Missing, None),
        (Some(value), None) => match value.to_str().ok().and_then(TraceParent::parse) {
            Some(caller) => (Header::Valid, Some(caller)),
            None => (Header::Invalid, None),
        },
        (Some(_), Some(_)) => (Header::Invalid, None),
    }
}

/// Returns the host and port in a request.
fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}

/// Joins the lines of a list header.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn tells_valid_missing_and_invalid_apart() {
        for (values, expected) in [
            (&[][..], Header::Missing),
            (&[VALUE][..], Header::Valid),
            (&["nonsense"][..], Header::Invalid),
            (&[VALUE, VALUE][..], Header::Invalid),
        ] {
            let (header, caller) = read(&headers("traceparent", values));
            assert_eq!(header, expected, "{values:?}");
            assert_eq!(caller.is_some(), header == Header::Valid);
        }
    }

    #[test]
    fn joins_the_lines_of_a_tracestate() {
        let headers = headers("tracestate", &["a=1", "b=2"]);
        assert_eq!(joined(&headers, "tracestate").as_deref(), Some("a=1,b=2"));
    }
}
