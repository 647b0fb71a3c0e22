//! Reads the body of an OTLP request, whatever somebody sends. Pure.
//!
//! OTLP/HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. What a body would take in memory is estimated before it is decoded, since a
//! span of two bytes becomes one of hundreds.

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

/// How many bytes a body may have, compressed or not.
pub(crate) const MOST_BODY: usize = 16 << 20;

/// How many bytes a decoded body may take.
const MOST_DECODED: usize = 64 << 20;

/// What an object of JSON takes, on average over the kinds that OTLP has.
const JSON_OBJECT: usize = 160;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// Why a body is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// One sentence.
    pub(crate) reason: String,
}

impl Refusal {
    /// Makes a refusal.
    pub(crate) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// A body that is larger than is taken.
    pub(crate) fn too_large() -> Self {
        Self::new(413, format!("the body has more than {} MiB: send smaller batches", MOST_BODY >> 20))
    }
}

impl Format {
    /// Reads a `Content-Type`.
    ///
    /// # Errors
    ///
    /// A refusal with 415 when it is none of OTLP's.
    pub(crate) fn of(content_type: Option<&str>) -> Result<Self, Refusal> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refusal::new(415, "the content type must be application/x-protobuf or application/json")),
        }
    }

    /// The `Content-Type` of answers.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Undoes the `Content-Encoding`, as far as a body may reach.
///
/// # Errors
///
/// A refusal: 415 for an encoding that is not known, 413 for a body that gets too large, 400 for one that is broken.
pub(crate) fn inflate<'a>(encoding: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        "gzip" => {
            let mut bytes = Vec::new();
            let mut limited = MultiGzDecoder::new(body).take(MOST_BODY as u64 + 1);
            let broken = |error| Refusal::new(400, format!("the body is no gzip: {error}"));
            limited.read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() > MOST_BODY { Err(Refusal::too_large()) } else { Ok(Cow::Owned(bytes)) }
        }
        _ => Err(Refusal::new(415, "the content encoding must be gzip or none")),
    }
}

/// Decodes a body.
///
/// # Errors
///
/// A refusal: 400 for one that is no OTLP, 413 for one that would take too much memory.
pub(crate) fn decode(format: Format, body: &[u8]) -> Result<ExportTraceServiceRequest, Refusal> {
    let no_otlp = |error: &dyn std::error::Error| Refusal::new(400, format!("the body is no OTLP: {error}"));
    let estimate = match format {
        Format::Protobuf => decoded_size(body).map_err(|error| no_otlp(&error))?,
        Format::Json => body.split(|byte| *byte == b'{').skip(1).count() * JSON_OBJECT,
    };
    if estimate > MOST_DECODED {
        return Err(Refusal::new(413, "the body has too many parts: send smaller batches"));
    }
    match format {
        Format::Protobuf => ExportTraceServiceRequest::decode(body).map_err(|error| no_otlp(&error)),
        Format::Json => serde_json::from_slice(body).map_err(|error| no_otlp(&error)),
    }
}

/// Takes out spans whose ids are no ids, and tells how many those were.
pub(crate) fn reject_invalid(request: &mut ExportTraceServiceRequest) -> usize {
    let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    let mut rejected = 0;
    for scope in request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
        let before = scope.spans.len();
        scope.spans.retain(|span| is_id(&span.trace_id, 16) && is_id(&span.span_id, 8));
        rejected += before - scope.spans.len();
    }
    rejected
}

/// The messages of OTLP that may come many times.
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
    /// What a field of this message holds, by its number in `trace.proto`, `resource.proto` and `common.proto`.
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
            // Entities of a resource, which few have, are as dear as a value.
            (Self::KeyValue, 2) | (Self::Array, 1) | (Self::Resource, 3) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::KeyValueList,
            _ => return None,
        })
    }

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

/// Estimates what a protobuf body takes when it is decoded, without its texts, which can't be longer than the body.
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
                // Decoding says it in the words that it has for that.
                return Ok(size);
            };
            size += inner.size();
            if size > MOST_DECODED {
                return Ok(size);
            }
            open.push((inner, message));
            rest = after;
        }
    }
    Ok(size)
}
