//! Decodes the body of an OTLP request within limits of size and memory.
//!
//! The memory is estimated before decoding, because a span of two bytes becomes one of hundreds of bytes.
//! OTLP/HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::borrow::Cow;
use std::io::Read;
use std::mem::size_of;

use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The maximum size of a body in bytes, compressed and uncompressed.
pub(super) const MAX_BODY: usize = 16 << 20;

/// The maximum memory of a decoded body in bytes.
const MAX_DECODED: usize = 64 << 20;

/// The average memory of a decoded JSON object in bytes.
const JSON_OBJECT: usize = 160;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

/// A response with an HTTP error status, and the reason as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(super) fn too_large() -> Self {
        Self::new(413, format!("the body has more than {} MiB: send smaller batches", MAX_BODY >> 20))
    }
}

impl Format {
    /// Reads a `Content-Type`. Refuses unknown types with 415.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self, Refusal> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refusal::new(415, "the content type must be application/x-protobuf or application/json")),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Undoes the `Content-Encoding`. Refuses unknown encodings with 415, bodies that become too large with 413, and broken ones with 400.
pub(super) fn inflate<'a>(encoding: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        "gzip" => {
            let mut bytes = Vec::new();
            let mut limited = MultiGzDecoder::new(body).take(MAX_BODY as u64 + 1);
            let broken = |error| Refusal::new(400, format!("the body is not valid gzip: {error}"));
            limited.read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() > MAX_BODY { Err(Refusal::too_large()) } else { Ok(Cow::Owned(bytes)) }
        }
        _ => Err(Refusal::new(415, "the content encoding must be gzip or none")),
    }
}

/// Decodes a body. Refuses invalid OTLP with 400, and a body that would take too much memory with 413.
pub(super) fn decode(format: Format, body: &[u8]) -> Result<ExportTraceServiceRequest, Refusal> {
    let invalid = |error: &dyn std::error::Error| Refusal::new(400, format!("the body is not valid OTLP: {error}"));
    let estimate = match format {
        Format::Protobuf => decoded_size(body).map_err(|error| invalid(&error))?,
        Format::Json => body.split(|byte| *byte == b'{').skip(1).count() * JSON_OBJECT,
    };
    if estimate > MAX_DECODED {
        return Err(Refusal::new(413, "the body has too many parts: send smaller batches"));
    }
    match format {
        Format::Protobuf => ExportTraceServiceRequest::decode(body).map_err(|error| invalid(&error)),
        Format::Json => serde_json::from_slice(body).map_err(|error| invalid(&error)),
    }
}

/// Removes spans with invalid ids and returns their number.
pub(super) fn reject_invalid(request: &mut ExportTraceServiceRequest) -> usize {
    let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    let mut rejected = 0;
    for scope in request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
        let before = scope.spans.len();
        scope.spans.retain(|span| is_id(&span.trace_id, 16) && is_id(&span.span_id, 8));
        rejected += before - scope.spans.len();
    }
    rejected
}

/// The protobuf messages of OTLP.
#[derive(Debug, Clone, Copy)]
enum Part {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    Array,
    KeyValueList,
}

impl Part {
    /// Returns the message in a field, by the field numbers of `trace.proto`, `resource.proto` and `common.proto`.
    fn inner(self, field: u32) -> Option<Self> {
        Some(match (self, field) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 15) => Self::Status,
            (Self::Resource | Self::KeyValueList, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Link, 4)
            | (Self::Span, 9) => Self::KeyValue,
            // A resource's entities are rare and counted like values.
            (Self::KeyValue, 2) | (Self::Array, 1) | (Self::Resource, 3) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }

    /// Returns the size of the decoded message in bytes.
    fn size(self) -> usize {
        match self {
            Self::Request => 0,
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::Resource => size_of::<Resource>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::Status => size_of::<Status>(),
            Self::KeyValue => size_of::<KeyValue>(),
            Self::AnyValue | Self::Array | Self::KeyValueList => size_of::<AnyValue>(),
        }
    }
}

/// Estimates the memory of a decoded protobuf body, without its strings, which are not longer than the body.
fn decoded_size(body: &[u8]) -> Result<usize, prost::DecodeError> {
    let mut size = 0;
    let mut open = vec![(Part::Request, body)];
    while let Some((part, mut rest)) = open.pop() {
        while !rest.is_empty() {
            let (field, wire_type) = decode_key(&mut rest)?;
            let inner = part.inner(field).filter(|_| wire_type == WireType::LengthDelimited);
            let Some(inner) = inner else {
                skip_field(wire_type, field, &mut rest, DecodeContext::default())?;
                continue;
            };
            let length = usize::try_from(decode_varint(&mut rest)?).unwrap_or(usize::MAX);
            let Some((message, after)) = rest.split_at_checked(length) else {
                // The body is cut off. Decoding it will return the error.
                return Ok(size);
            };
            size += inner.size();
            if size > MAX_DECODED {
                return Ok(size);
            }
            open.push((inner, message));
            rest = after;
        }
    }
    Ok(size)
}
