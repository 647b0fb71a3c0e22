//! Responses to OTLP requests, in the format of the request.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>, <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response>

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;
use tonic::Code;

use crate::collect::body::{Format, GRPC_PREFIX, Refusal, Rejected};

/// The `Retry-After` of a response with status 503.
const RETRY_SECONDS: u64 = 1;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Characters that are encoded in a `grpc-message`.
const IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Returns a success, which names the spans that were rejected.
pub(super) fn accept(format: Format, rejected: &Rejected) -> Response {
    let partial_success = (rejected.spans > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected.spans).unwrap_or(i64::MAX),
        error_message: rejected.reason.clone(),
    });
    let body = match format {
        Format::Protobuf => ExportTraceServiceResponse { partial_success }.encode_to_vec(),
        // Written by hand for success, because the type would write its missing field as `null`.
        Format::Json => partial_success.map_or_else(
            || b"{}".to_vec(),
            |partial| serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes(),
        ),
        Format::Grpc => return grpc_answer(&ExportTraceServiceResponse { partial_success }),
    };
    ([(CONTENT_TYPE, format.content_type())], body).into_response()
}

/// Returns a failure with a `google.rpc.Status`.
pub(super) fn refuse(format: Format, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = code_of(status);
    let body = match format {
        Format::Protobuf => {
            let status =
                tonic_types::Status { code: code.into(), message: refusal.reason.clone(), details: Vec::new() };
            status.encode_to_vec()
        }
        Format::Json => {
            serde_json::json!({ "code": i32::from(code), "message": refusal.reason }).to_string().into_bytes()
        }
        Format::Grpc => return grpc_failure(code, &refusal.reason),
    };
    let mut response = (status, [(CONTENT_TYPE, format.content_type())], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    response
}

/// Returns the code of gRPC for a status of HTTP. Clients send again what was refused with some of them, as with the status.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
        _ => Code::InvalidArgument,
    }
}

fn grpc_answer(message: &ExportTraceServiceResponse) -> Response {
    let mut body = vec![0; GRPC_PREFIX];
    message.encode(&mut body).unwrap_or_else(|_| unreachable!("a vector has room"));
    // An answer is far from 4 GiB.
    let length = u32::try_from(body.len() - GRPC_PREFIX).unwrap_or_default();
    body[1..GRPC_PREFIX].copy_from_slice(&length.to_be_bytes());
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(i32::from(Code::Ok)))]);
    let body = Full::new(Bytes::from(body)).with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
    ([(CONTENT_TYPE, Format::Grpc.content_type())], Body::new(body)).into_response()
}

/// Returns a failure, which has its status in the headers and no body.
fn grpc_failure(code: Code, reason: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, Format::Grpc.content_type().to_owned()),
        (GRPC_STATUS, i32::from(code).to_string()),
        (GRPC_MESSAGE, utf8_percent_encode(reason, IN_MESSAGE).to_string()),
        (GRPC_ACCEPT_ENCODING, "identity,gzip".to_owned()),
    ];
    (headers, ()).into_response()
}
