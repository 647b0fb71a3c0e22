//! Decodes OTLP protobuf. A span that can't be read is rejected alone.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::bytes::Bytes;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};

use crate::collect::body::{Decoded, check_ids};

/// An `ExportTraceServiceRequest` whose spans are not decoded yet, so that an error in one is not one of the body.
#[derive(Clone, PartialEq, Message)]
struct RawRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<RawResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct RawResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<RawScopeSpans>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

#[derive(Clone, PartialEq, Message)]
struct RawScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
    #[prost(string, tag = "3")]
    schema_url: String,
}

/// Decodes a body.
pub(super) fn decode(body: Bytes) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    for RawResourceSpans { resource, scope_spans, schema_url } in RawRequest::decode(body)?.resource_spans {
        let scope_spans = scope_spans.into_iter().map(|RawScopeSpans { scope, spans, schema_url }| {
            let spans = spans.into_iter().filter_map(|bytes| match span(bytes) {
                Ok(span) => Some(span),
                Err(reason) => {
                    decoded.rejected.add(reason);
                    None
                }
            });
            ScopeSpans { scope, spans: spans.collect(), schema_url }
        });
        let scope_spans = scope_spans.collect();
        decoded.request.resource_spans.push(ResourceSpans { resource, scope_spans, schema_url });
    }
    Ok(decoded)
}

/// Decodes a span, or returns why it can't be read.
fn span(bytes: Bytes) -> Result<Span, String> {
    let span = Span::decode(bytes).map_err(|error| error.to_string())?;
    check_ids(&span)?;
    Ok(span)
}

/// The protobuf messages of OTLP.
#[derive(Debug, Clone, Copy)]
enum Part {
    Request,
    ResourceSpans,
    Resource,
    Entity,
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
    Text,
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
            (Self::Resource, 3) => Self::Entity,
            // Lists of texts. A single text is part of its message.
            (Self::Entity, 3 | 4) => Self::Text,
            (Self::KeyValue, 2) | (Self::Array, 1) => Self::AnyValue,
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
            Self::Entity => size_of::<EntityRef>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::Status => size_of::<Status>(),
            Self::KeyValue => size_of::<KeyValue>(),
            Self::AnyValue | Self::Array | Self::KeyValueList => size_of::<AnyValue>(),
            Self::Text => size_of::<String>(),
        }
    }
}

/// Estimates the memory of a decoded protobuf body, without its strings, which are not longer than the body. Stops above `limit`.
pub(super) fn decoded_size(body: &[u8], limit: usize) -> Result<usize, DecodeError> {
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
            if size > limit {
                return Ok(size);
            }
            if !matches!(inner, Part::Text) {
                open.push((inner, message));
            }
            rest = after;
        }
    }
    Ok(size)
}
