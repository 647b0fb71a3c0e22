//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Response, StatusCode, Url};

use crate::export::options::{Endpoint, Protocol};
use crate::export::root_cause;
use crate::export::transport::resolve::Resolver;
use crate::export::transport::{Answer, MAX_ERROR_TEXT, accepted, read_pem};

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

pub(super) struct HttpClient {
    http: reqwest::Client,
    url: Url,
    json: bool,
    gzip: bool,
}

impl HttpClient {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, mut value) = pair.ok_or_else(|| format!("the header {name} can't be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("OTel-OTLP-Exporter-navtrace/", env!("CARGO_PKG_VERSION")))
            // Each request has its own connection: requests are seconds apart, and an idle connection that the collector closed costs a request.
            .pool_max_idle_per_host(0)
            // A redirect may turn the POST into a GET, whose success would not mean that the spans were accepted.
            .redirect(Policy::none())
            .dns_resolver(std::sync::Arc::new(Resolver))
            .default_headers(headers);
        if let Some(timeout) = endpoint.timeout {
            builder = builder.timeout(timeout);
        }
        if endpoint.is_loopback() {
            // A proxy would send the request to its own loopback address.
            builder = builder.no_proxy();
        }
        if !may_need_tls(&endpoint.url) {
            // To read the system's certificates takes time, and fails where there are none, as in small containers.
            builder = builder.tls_certs_only([]);
        }
        if let Some(path) = &endpoint.certificate {
            let found = Certificate::from_pem_bundle(&read_pem(path)?);
            let found = found.map_err(|error| format!("{} has no certificate: {error}", path.display()))?;
            builder = builder.tls_certs_merge(found);
        }
        if let Some((certificate, key)) = &endpoint.client {
            let pem = [read_pem(key)?, read_pem(certificate)?].concat();
            let identity = Identity::from_pem(&pem);
            let identity = identity.map_err(|error| format!("{} can't be used: {error}", certificate.display()))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|error| root_cause(&error))?;
        let json = endpoint.protocol == Protocol::HttpJson;
        Ok(Self { http, url: endpoint.url.clone(), json, gzip: endpoint.gzip })
    }

    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Answer {
        let body = if self.json { serde_json::to_vec(request).unwrap_or_default() } else { request.encode_to_vec() };
        let content_type = if self.json { "application/json" } else { "application/x-protobuf" };
        let mut post = self.http.post(self.url.clone()).header(CONTENT_TYPE, content_type);
        let body = match self.gzip.then(|| gzip(&body)) {
            Some(Ok(packed)) => {
                post = post.header(CONTENT_ENCODING, "gzip");
                packed
            }
            _ => body,
        };
        match post.body(body).send().await {
            Ok(response) => self.answer(response).await,
            // A failed connection, a timeout or a malformed response: the next attempt may succeed.
            Err(error) => Answer::Unavailable { reason: root_cause(&error.without_url()), retry_after: None },
        }
    }

    async fn answer(&self, response: Response) -> Answer {
        let status = response.status();
        let retry_after = retry_after(response.headers().get(RETRY_AFTER), SystemTime::now());
        let body = match read(response).await {
            Ok(body) => body,
            Err(error) if status.is_success() => {
                tracing::debug!("the collector's answer was cut off: {error}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        if status.is_success() {
            // A status of success counts even if the body can't be decoded.
            return accepted(self.decode(&body).unwrap_or_default());
        }
        let reason = format!("{status}{}", error_text(&body, self.json));
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Answer::Unavailable { reason, retry_after },
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Refused(reason)
            }
            _ => Answer::Failed { kind: status.to_string(), reason },
        }
    }

    fn decode(&self, body: &[u8]) -> Option<ExportTraceServiceResponse> {
        if self.json { serde_json::from_slice(body).ok() } else { ExportTraceServiceResponse::decode(body).ok() }
    }
}

/// Reads the beginning of a body, so that an endless answer does not fill the memory.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            body.truncate(MAX_ANSWER);
            break;
        }
    }
    Ok(body)
}

/// Returns the collector's explanation as `: text` if it is readable, else nothing. A collector sends a `google.rpc.Status` in the encoding of the
/// request, and a proxy before it plain text.
fn error_text(body: &[u8], json: bool) -> String {
    let message = if json {
        let status: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        status.and_then(|status| status["message"].as_str().map(ToOwned::to_owned))
    } else {
        tonic_types::Status::decode(body).ok().map(|status| status.message)
    };
    let text = message.filter(|message| !message.is_empty());
    let text = text.map_or_else(|| String::from_utf8_lossy(body), Cow::Owned);
    let text: String = text.trim().chars().take(MAX_ERROR_TEXT).collect();
    let is_readable = !text.is_empty() && !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    if is_readable { format!(": {text}") } else { String::new() }
}

/// Returns whether requests to `url`, or to a proxy on the way, may be encrypted.
fn may_need_tls(url: &Url) -> bool {
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(std::env::var);
    url.scheme() != "http" || proxies.iter().flatten().any(|proxy| proxy.trim_start().starts_with("https:"))
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: Option<&HeaderValue>, now: SystemTime) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_in_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 20:00:00 GMT").unwrap();
        let read = |text: &str| retry_after(Some(&HeaderValue::from_str(text).unwrap()), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Mon, 23 Nov 2026 20:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Mon, 23 Nov 2026 19:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(None, now), None);
    }

    #[test]
    fn only_readable_error_text_is_shown() {
        for json in [false, true] {
            assert_eq!(error_text(b" no such tenant\n", json), ": no such tenant");
            assert_eq!(error_text(b"\x0a\x05bytes", json), "");
            assert_eq!(error_text(b"", json), "");
        }
    }

    #[test]
    fn the_message_of_a_status_is_shown() {
        let status = tonic_types::Status { code: 14, message: "sending queue is full".to_owned(), details: Vec::new() };
        assert_eq!(error_text(&status.encode_to_vec(), false), ": sending queue is full");
        assert_eq!(error_text(br#"{"code":14,"message":"sending queue is full"}"#, true), ": sending queue is full");
        assert_eq!(error_text(br#"{"error":"no"}"#, true), r#": {"error":"no"}"#);
    }
}
