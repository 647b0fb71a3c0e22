//! Exports server spans over OTLP if the environment names a collector, as an instrumented backend does.
//!
//! OpenTelemetry's SDK does the work and reads the usual variables. Its tracer is not used, since the spans exist already.

use std::env;
use std::io::{Error, Result};
use std::sync::Arc;

use axum::http::uri::Authority;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, Protocol, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use opentelemetry_semantic_conventions::attribute;

use crate::span::ServerSpan;

/// Sends the spans of one service to a collector in a background thread, which clones share.
#[derive(Clone, Debug)]
pub(crate) struct Exporter(Arc<BatchSpanProcessor>);

impl Exporter {
    /// Makes an exporter for `service`, or `None` if the environment names no collector.
    pub(crate) fn from_environment(service: &'static str) -> Result<Option<Self>> {
        let named = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        if !named(OTEL_EXPORTER_OTLP_ENDPOINT) && !named(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
            return Ok(None);
        }
        // navtrace's features of reqwest need this also for plain HTTP. The other service may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build();
        let mut processor = BatchSpanProcessor::builder(exporter.map_err(Error::other)?).build();
        processor.set_resource(&Resource::builder().with_service_name(service).build());
        Ok(Some(Self(Arc::new(processor))))
    }

    /// Adds a finished span to the next batch if its trace is sampled.
    pub(crate) fn export(&self, span: &ServerSpan) {
        if span.context.sampled() {
            self.0.on_end(convert(span));
        }
    }

    /// Sends the remaining spans within five seconds, and closes the exporter.
    pub(crate) fn close(&self) {
        // The SDK itself logs errors.
        let _ = self.0.shutdown();
    }
}

/// Converts a span to the SDK's type, with the names of the semantic conventions.
fn convert(span: &ServerSpan) -> SpanData {
    let target = span.route.as_ref().unwrap_or(&span.path);
    let (trace_id, span_id) = (TraceId::from(span.context.trace_id), SpanId::from(span.context.span_id));
    let flags = TraceFlags::new(span.context.flags);
    SpanData {
        span_context: SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: SpanKind::Server,
        name: format!("{} {target}", span.method).into(),
        start_time: span.start,
        end_time: span.start + span.duration,
        attributes: attributes(span),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if failure(span).is_some() { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder("shop").build(),
    }
}

fn attributes(span: &ServerSpan) -> Vec<KeyValue> {
    let host = span.host.as_ref();
    let given = [
        Some(KeyValue::new(attribute::HTTP_REQUEST_METHOD, span.method.clone())),
        Some(KeyValue::new(attribute::URL_SCHEME, "http")),
        Some(KeyValue::new(attribute::URL_PATH, span.path.clone())),
        span.route.clone().map(|route| KeyValue::new(attribute::HTTP_ROUTE, route)),
        host.map(|host| KeyValue::new(attribute::SERVER_ADDRESS, host.host().to_owned())),
        host.and_then(Authority::port_u16).map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))),
        span.status.map(|status| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status))),
        failure(span).map(|status| KeyValue::new(attribute::ERROR_TYPE, status.to_string())),
    ];
    given.into_iter().flatten().collect()
}

/// Returns the status if it means that the service failed. Errors of the caller do not count for a server span.
fn failure(span: &ServerSpan) -> Option<u16> {
    span.status.filter(|status| *status >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Header;
    use crate::traceparent::TraceParent;
    use opentelemetry::Value;
    use std::time::{Duration, SystemTime};

    fn span() -> ServerSpan {
        ServerSpan {
            service: "shop",
            method: "GET".to_owned(),
            path: "/products/mug".to_owned(),
            route: Some("/products/{id}".to_owned()),
            host: "shop.test:8765".parse().ok(),
            context: TraceParent { trace_id: 0xa, span_id: 0xb, flags: 1 },
            parent: Some(0xc),
            header: Header::Valid,
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            duration: Duration::from_millis(5),
            status: Some(200),
        }
    }

    fn attribute(span: &ServerSpan, name: &str) -> Option<Value> {
        convert(span).attributes.into_iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value)
    }

    #[test]
    fn keeps_ids_kind_and_times() {
        let data = convert(&span());
        assert_eq!(data.span_context.trace_id().to_string(), "0000000000000000000000000000000a");
        assert_eq!(data.span_context.span_id().to_string(), "000000000000000b");
        assert_eq!(data.parent_span_id.to_string(), "000000000000000c");
        assert!(data.parent_span_is_remote && data.span_context.is_sampled());
        assert_eq!(data.span_kind, SpanKind::Server);
        assert_eq!(data.end_time.duration_since(data.start_time).ok(), Some(Duration::from_millis(5)));
    }

    #[test]
    fn a_span_that_starts_its_trace_has_no_parent() {
        let data = convert(&ServerSpan { parent: None, ..span() });
        assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::INVALID, false));
    }

    #[test]
    fn follows_the_semantic_conventions() {
        for (name, value) in [
            ("http.request.method", Value::from("GET")),
            ("url.scheme", Value::from("http")),
            ("url.path", Value::from("/products/mug")),
            ("http.route", Value::from("/products/{id}")),
            ("server.address", Value::from("shop.test")),
            ("server.port", Value::from(8765)),
            ("http.response.status_code", Value::from(200)),
        ] {
            assert_eq!(attribute(&span(), name), Some(value), "{name}");
        }
    }

    #[test]
    fn is_named_after_the_route_or_else_the_path() {
        assert_eq!(convert(&span()).name, "GET /products/{id}");
        assert_eq!(convert(&ServerSpan { route: None, ..span() }).name, "GET /products/mug");
    }

    #[test]
    fn only_a_failure_of_the_service_is_an_error() {
        for (status, error) in [(Some(200), None), (Some(404), None), (None, None), (Some(502), Some("502"))] {
            let span = ServerSpan { status, ..span() };
            assert_eq!(convert(&span).status == Status::error(""), error.is_some(), "{status:?}");
            assert_eq!(attribute(&span, "error.type"), error.map(Value::from), "{status:?}");
        }
    }
}
