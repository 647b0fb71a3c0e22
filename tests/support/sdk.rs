//! Runs OpenTelemetry's own SDKs, which decide what a header means: servers in JavaScript and Go that answer with the context they read
//! from a request, and the script of a page that is instrumented with the web SDK.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::header::HeaderValue;
use serde::Deserialize;

/// The Go server, which `install/lib.sh` builds.
const GO_PROGRAM: &str = "sdk-server-go";

/// The script of the page `/otel`, after [`make_page_script`].
static PAGE_SCRIPT: OnceLock<Vec<u8>> = OnceLock::new();

/// Limit of an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Headers that belong to a connection or a body, which a repeated request has its own of.
const OF_THE_CONNECTION: [&str; 8] =
    ["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// The contexts that an SDK reads from the headers of a request, with each propagator alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Contexts {
    /// `traceparent` and `tracestate`.
    pub tracecontext: Option<SpanContext>,
    /// The single header `b3`.
    pub b3: Option<SpanContext>,
    /// The `X-B3-*` headers.
    pub b3multi: Option<SpanContext>,
    /// `uber-trace-id`.
    pub jaeger: Option<SpanContext>,
    /// Keys and decoded values, sorted by key.
    pub baggage: Vec<(String, String)>,
}

/// A span context as an SDK has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpanContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The flags; bit 0 is `sampled`.
    pub trace_flags: u8,
    /// The `tracestate`, if any.
    pub trace_state: Option<String>,
    /// Whether the span belongs to another process.
    pub is_remote: bool,
}

/// A span of the web SDK, as `page.js` logs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageSpan {
    /// `GET`, `documentLoad`, `documentFetch`, `resourceFetch`, `CORS Preflight`, or the page's own `page-work`.
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent, of the page or remote.
    pub parent_span_id: Option<String>,
    /// `internal`, `client`, ...
    pub kind: String,
    attributes: PageAttributes,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PageAttributes {
    #[serde(rename = "url.full")]
    url: Option<String>,
}

impl PageSpan {
    /// Returns the URL that was requested.
    pub fn url(&self) -> Option<&str> {
        self.attributes.url.as_deref()
    }

    /// Tells whether the span is about a request of this kind.
    pub fn is_of_kind(&self, kind: &str) -> bool {
        let query = self.url().and_then(|url| url.split_once('?')).map(|(_, query)| query);
        query.is_some_and(|query| query.split('&').any(|pair| pair.strip_prefix("kind=") == Some(kind)))
    }
}

/// The spans of one load of the page, as `otel.js` logs them behind `OTEL `.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageSpans {
    pub run: String,
    /// In the order of their ends.
    pub spans: Vec<PageSpan>,
    /// The `traceparent` in the navigation's `Server-Timing`.
    pub server_timing: Option<String>,
}

/// A running server that answers with the contexts of a request. It ends when it is dropped or the test process ends.
#[derive(Debug)]
pub struct SdkServer {
    name: &'static str,
    child: Child,
    /// The server exits when this is closed.
    stdin: Option<ChildStdin>,
    url: String,
    client: Client,
}

impl SdkServer {
    /// Starts the server with the SDK for JavaScript.
    pub fn node() -> Self {
        let mut command = Command::new("node");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sdk/node/server.mjs"));
        Self::start("the node server, which needs node on PATH and `npm ci`", command)
    }

    /// Starts the server with the SDK for Go.
    pub fn go() -> Self {
        Self::start("sdk-server-go, which tests/run.sh builds and puts on PATH", Command::new(GO_PROGRAM))
    }

    fn start(name: &'static str, mut command: Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name}, can't be started: {error}"));
        let stdin = child.stdin.take();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("its output is a pipe")).read_line(&mut line);
        let port = line.trim_end().strip_prefix("listening ");
        let port = port.unwrap_or_else(|| panic!("{name}, does not listen: {read:?}, {line:?}"));
        // navtrace's features of reqwest need this also for plain HTTP. Another test may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The server could close an idle connection at the moment of the next request.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER).build();
        Self { name, child, stdin, url: format!("http://127.0.0.1:{port}/"), client: client.expect("an HTTP client") }
    }

    /// Sends these headers and returns the contexts that the SDK reads from them.
    pub fn contexts(&self, headers: &[(String, String)]) -> Contexts {
        let mut request = self.client.get(&self.url);
        for (name, value) in headers.iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str())) {
            // From bytes, since text would have to be ASCII.
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("what was received can be sent");
            request = request.header(name, value);
        }
        let answer = request.send().and_then(reqwest::blocking::Response::text);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{}: {error}: {answer}", self.name))
    }
}

impl Drop for SdkServer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Bundles the script of the page `/otel`. A test that loads the page calls this first.
pub fn make_page_script() {
    PAGE_SCRIPT.get_or_init(|| {
        let mut command = Command::new("node");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/sdk/web/bundle.mjs"));
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("node, which has to be on PATH: {error}"));
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the page's script can't be made; is `npm ci` done? {reason}");
        output.stdout
    });
}

/// Returns the script of the page `/otel`, if a test has called [`make_page_script`].
pub fn page_script() -> Option<&'static [u8]> {
    PAGE_SCRIPT.get().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::{Contexts, SdkServer, SpanContext};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn read(servers: &[SdkServer; 2], headers: &[(&str, &str)]) -> Contexts {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let [node, go] = servers.each_ref().map(|server| server.contexts(&headers));
        assert_eq!(node, go, "{headers:?}");
        node
    }

    fn span(trace_flags: u8, trace_state: Option<&str>) -> SpanContext {
        let trace_state = trace_state.map(ToOwned::to_owned);
        SpanContext { trace_id: TRACE.into(), span_id: SPAN.into(), trace_flags, trace_state, is_remote: true }
    }

    #[test]
    fn both_servers_read_each_format_alone() {
        let servers = [SdkServer::node(), SdkServer::go()];
        let nothing = Contexts { tracecontext: None, b3: None, b3multi: None, jaeger: None, baggage: Vec::new() };
        assert_eq!(read(&servers, &[("accept", "*/*"), ("connection", "close")]), nothing);

        let traceparent = format!("00-{TRACE}-{SPAN}-01");
        let w3c = [("traceparent", traceparent.as_str()), ("tracestate", "a=1,b=2"), ("baggage", "k=v%20w,a=1;p=2")];
        let baggage = [("a", "1"), ("k", "v w")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let tracecontext = Some(span(1, Some("a=1,b=2")));
        assert_eq!(read(&servers, &w3c), Contexts { tracecontext, baggage: baggage.into(), ..nothing.clone() });

        let b3 = format!("{TRACE}-{SPAN}-0");
        assert_eq!(read(&servers, &[("b3", &b3)]), Contexts { b3: Some(span(0, None)), ..nothing.clone() });

        let b3multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
        assert_eq!(read(&servers, &b3multi), Contexts { b3multi: Some(span(1, None)), ..nothing.clone() });

        let jaeger = format!("{TRACE}:{SPAN}:0:1");
        assert_eq!(read(&servers, &[("uber-trace-id", &jaeger)]), Contexts { jaeger: Some(span(1, None)), ..nothing });
    }

    #[test]
    fn the_page_script_can_be_bundled() {
        super::make_page_script();
        let script = std::str::from_utf8(super::page_script().expect("it is made")).expect("it is text");
        assert!(script.contains("traceparent"), "{} bytes", script.len());
        let span = serde_json::json!({
            "name": "GET", "traceId": TRACE, "spanId": SPAN, "parentSpanId": null, "kind": "client",
            "attributes": { "url.full": "http://127.0.0.1:1/asset/data.json?kind=sdk-fetch&run=0&nav=0" },
        });
        let span: super::PageSpan = serde_json::from_value(span).expect("it is a span");
        assert!(span.is_of_kind("sdk-fetch") && !span.is_of_kind("sdk"));
    }
}
