//! Decodes the body of an OTLP request within limits of size and memory.
//!
//! The memory is estimated before decoding, because a span of two bytes becomes one of hundreds of bytes.
//! OTLP/HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::io::Read;

use axum::body::Bytes;
use axum::http::HeaderName;
use axum::http::header::CONTENT_ENCODING;
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collect::{json, protobuf};

/// The maximum size of a body in bytes, compressed and uncompressed.
pub(super) const MAX_BODY: usize = 16 << 20;

/// The maximum memory of a decoded body in bytes.
const MAX_DECODED: usize = 64 << 20;

/// The average memory of a decoded JSON object in bytes.
const JSON_OBJECT: usize = 160;

/// The header for gRPC that names the encoding of a message.
pub(super) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The length of what precedes a message of gRPC: whether it is compressed, and its size.
pub(super) const GRPC_PREFIX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
    /// Protobuf in a message of gRPC.
    Grpc,
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
    ///
    /// `text/plain` is what `navigator.sendBeacon` sends for a string.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self, Refusal> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" | "text/plain" => Ok(Self::Json),
            "application/grpc" | "application/grpc+proto" => Ok(Self::Grpc),
            _ => Err(Refusal::new(
                415,
                "the content type must be application/x-protobuf, application/json or application/grpc",
            )),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
            Self::Grpc => "application/grpc",
        }
    }

    /// Returns the header that names the encoding of a body.
    pub(super) fn encoding_header(self) -> HeaderName {
        if self == Self::Grpc { GRPC_ENCODING } else { CONTENT_ENCODING }
    }
}

/// Returns the protobuf of a gRPC body, which has one message, and its encoding. Refuses other bodies with 400.
///
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
pub(super) fn grpc_message(encoding: Option<&str>, mut body: Bytes) -> Result<(Option<&str>, Bytes), Refusal> {
    let broken = || Refusal::new(400, "the body is not a single message of gRPC");
    let ([is_compressed, length @ ..], _) = body.split_first_chunk::<GRPC_PREFIX>().ok_or_else(broken)?;
    let (is_compressed, length) = (*is_compressed, u32::from_be_bytes(*length));
    let message = body.split_off(GRPC_PREFIX);
    if usize::try_from(length) != Ok(message.len()) {
        return Err(broken());
    }
    match is_compressed {
        0 => Ok((None, message)),
        1 => Ok((encoding, message)),
        _ => Err(broken()),
    }
}

/// Undoes the encoding of a body. Refuses unknown encodings with 415, bodies that become too large with 413, and broken ones with 400.
pub(super) fn inflate(encoding: Option<&str>, body: Bytes) -> Result<Bytes, Refusal> {
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "gzip" => {
            let mut bytes = Vec::new();
            let mut limited = MultiGzDecoder::new(&*body).take(MAX_BODY as u64 + 1);
            let broken = |error| Refusal::new(400, format!("the body is not valid gzip: {error}"));
            limited.read_to_end(&mut bytes).map_err(broken)?;
            if bytes.len() > MAX_BODY { Err(Refusal::too_large()) } else { Ok(bytes.into()) }
        }
        _ => Err(Refusal::new(415, "the content encoding must be gzip or none")),
    }
}

/// The spans of a body, and those of its spans that can't be read.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) request: ExportTraceServiceRequest,
    pub(super) rejected: Rejected,
}

/// Spans that can't be read, in a body whose other spans can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) spans: usize,
    /// Why the first one can't be read.
    pub(super) reason: String,
}

impl Rejected {
    pub(super) fn add(&mut self, reason: String) {
        self.merge(Self { spans: 1, reason });
    }

    pub(super) fn merge(&mut self, further: Self) {
        if self.spans == 0 {
            self.reason = further.reason;
        }
        self.spans += further.spans;
    }
}

/// Decodes a body. Refuses invalid OTLP with 400, and a body that would take too much memory with 413.
pub(super) fn decode(format: Format, body: Bytes) -> Result<Decoded, Refusal> {
    let invalid = |error: String| Refusal::new(400, format!("the body is not valid OTLP: {error}"));
    let estimate = match format {
        Format::Protobuf | Format::Grpc => {
            protobuf::decoded_size(&body, MAX_DECODED).map_err(|error| invalid(error.to_string()))?
        }
        Format::Json => json_size(&body),
    };
    if estimate > MAX_DECODED {
        return Err(Refusal::new(413, "the body has too many parts: send smaller batches"));
    }
    match format {
        Format::Protobuf | Format::Grpc => protobuf::decode(body).map_err(|error| invalid(error.to_string())),
        Format::Json => json::decode(&body).map_err(invalid),
    }
}

/// Estimates the memory of a decoded JSON body: of its objects, and of the texts in its lists. Members of objects count as texts too.
fn json_size(body: &[u8]) -> usize {
    let mut size = 0;
    let mut is_next = false;
    for byte in body {
        match byte {
            b'{' => size += JSON_OBJECT,
            b'"' if is_next => size += size_of::<String>(),
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => {}
        }
        is_next = *byte == b',';
    }
    size
}

/// Checks that a span can be found again.
pub(super) fn check_ids(span: &Span) -> Result<(), String> {
    let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    if is_id(&span.trace_id, 16) && is_id(&span.span_id, 8) {
        return Ok(());
    }
    Err("a trace id has 16 bytes and a span id 8, and neither is all zero".to_owned())
}
