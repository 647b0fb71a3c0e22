//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::io::Write;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Response, StatusCode, Url};
use url::Host;

use crate::export::root_cause;
use crate::export::settings::{Protocol, Target};
use crate::export::transport::{Answer, accepted, read_pem};

/// How much of an answer is read.
const MOST_ANSWER: usize = 64 << 10;

/// How much of a collector's own words is passed on.
const MOST_WORDS: usize = 200;

/// A collector that speaks HTTP.
pub(super) struct Client {
    http: reqwest::Client,
    endpoint: Url,
    json: bool,
    gzip: bool,
}

impl Client {
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &target.headers {
            let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, mut value) = pair.ok_or_else(|| format!("the header {name} can't be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("OTel-OTLP-Exporter-navtrace/", env!("CARGO_PKG_VERSION")))
            .timeout(target.timeout)
            // A connection for each request: they are seconds apart, and one that was closed meanwhile is noticed only by losing a request.
            .pool_max_idle_per_host(0)
            // A redirected POST may become a GET, whose success says nothing of the spans.
            .redirect(Policy::none())
            .default_headers(headers);
        if is_loopback(&target.endpoint) {
            // A proxy's own loopback is another one.
            builder = builder.no_proxy();
        }
        if let Some(path) = &target.certificate {
            let found = Certificate::from_pem_bundle(&read_pem(path)?);
            let found = found.map_err(|error| format!("{} has no certificate: {error}", path.display()))?;
            builder = builder.tls_certs_merge(found);
        }
        if let Some((certificate, key)) = &target.client {
            let pem = [read_pem(key)?, read_pem(certificate)?].concat();
            let identity = Identity::from_pem(&pem);
            let identity = identity.map_err(|error| format!("{} can't be used: {error}", certificate.display()))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|error| root_cause(&error))?;
        let json = target.protocol == Protocol::HttpJson;
        Ok(Self { http, endpoint: target.endpoint.clone(), json, gzip: target.gzip })
    }

    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Answer {
        let body = if self.json { serde_json::to_vec(request).unwrap_or_default() } else { request.encode_to_vec() };
        let content_type = if self.json { "application/json" } else { "application/x-protobuf" };
        let mut post = self.http.post(self.endpoint.clone()).header(CONTENT_TYPE, content_type);
        let body = match self.gzip.then(|| gzip(&body)) {
            Some(Ok(packed)) => {
                post = post.header(CONTENT_ENCODING, "gzip");
                packed
            }
            _ => body,
        };
        match post.body(body).send().await {
            Ok(response) => self.answer(response).await,
            // Whether it was the connection, the time or the other side's words: the next try may fare better.
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
            // An answer that can't be read says nothing against the spans.
            return accepted(self.decode(&body).unwrap_or_default());
        }
        let reason = format!("{status}{}", words(&body));
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Answer::Unavailable { reason, retry_after },
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Answer::Refused(reason)
            }
            _ => Answer::Failed(reason),
        }
    }

    fn decode(&self, body: &[u8]) -> Option<ExportTraceServiceResponse> {
        if self.json { serde_json::from_slice(body).ok() } else { ExportTraceServiceResponse::decode(body).ok() }
    }
}

fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads the beginning of an answer: a collector that talks without end takes no memory.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_ANSWER {
            body.truncate(MOST_ANSWER);
            break;
        }
    }
    Ok(body)
}

/// The other side's own words, where they are words.
fn words(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).trim().chars().take(MOST_WORDS).collect();
    let legible = !text.is_empty() && !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    if legible { format!(": {text}") } else { String::new() }
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
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 20:00:00 GMT").unwrap();
        let read = |text: &str| retry_after(Some(&HeaderValue::from_str(text).unwrap()), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Mon, 23 Nov 2026 20:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Mon, 23 Nov 2026 19:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(None, now), None);
    }

    #[test]
    fn only_words_are_passed_on() {
        assert_eq!(words(b" no such tenant\n"), ": no such tenant");
        assert_eq!(words(b"\x0a\x05bytes"), "");
        assert_eq!(words(b""), "");
    }
}
