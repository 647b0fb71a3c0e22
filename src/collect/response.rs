//! Responses to OTLP requests, in the format of the request.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use crate::collect::body::{Format, Refusal, Rejected};

/// The `Retry-After` of a response with status 503.
const RETRY_SECONDS: u64 = 1;

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
    };
    ([(CONTENT_TYPE, format.content_type())], body).into_response()
}

/// Returns a failure with a `google.rpc.Status` as its body.
pub(super) fn refuse(format: Format, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // UNAVAILABLE and INVALID_ARGUMENT of `google.rpc.Code`.
    let code = if status == StatusCode::SERVICE_UNAVAILABLE { 14 } else { 3 };
    let body = match format {
        Format::Protobuf => {
            let status = tonic_types::Status { code, message: refusal.reason.clone(), details: Vec::new() };
            status.encode_to_vec()
        }
        Format::Json => serde_json::json!({ "code": code, "message": refusal.reason }).to_string().into_bytes(),
    };
    let mut response = (status, [(CONTENT_TYPE, format.content_type())], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
    }
    response
}
