//! Tests what arrives at a collector: one tree in every format of OTLP, and nothing when the export is off.

use std::sync::{Arc, Mutex};

use navtrace::testing::{FailureKind, Observation};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use crate::collector::{attribute, hex, spans};
use crate::observations::{START, committed, completed, navigates, response, span_id, started};
use crate::setup::{ExportTest, files_below, wait_until};
use crate::tree::{Session, assert_tree};

/// Returns two navigations: the first with a redirect, the second with failures, a cache hit and an unfinished request.
fn two_navigations() -> Vec<Observation> {
    let at = |time: f64| START + time;
    vec![
        navigates(0.0, "1", 0xa1, 0xa0),
        Observation::RequestRedirected { time: at(5.0), request: "1".into(), response: response(302, false) },
        navigates(5.5, "1", 0xa2, 0xa0),
        completed(20.0, "1", 200),
        committed(22.0, 0xa0),
        started(23.0, "2", 0xa3, Some(0xa0)),
        completed(30.0, "2", 200),
        Observation::DocumentParsed { time: at(31.0), span_id: span_id(0xa0) },
        Observation::DocumentLoaded { time: at(40.0), span_id: span_id(0xa0) },
        navigates(100.0, "3", 0xb1, 0xb0),
        completed(110.0, "3", 404),
        committed(112.0, 0xb0),
        started(113.0, "4", 0xb2, Some(0xb0)),
        Observation::RequestFailed {
            time: at(114.0),
            request: "4".into(),
            error: "net::ERR_CONNECTION_REFUSED".into(),
            kind: FailureKind::Failed,
            span_id: span_id(0xff),
            parent: None,
            method: "GET".into(),
            url: "http://shop.test/4".into(),
            resource: "script".into(),
        },
        started(115.0, "5", 0xb3, Some(0xb0)),
        Observation::RequestCompleted { time: at(116.0), request: "5".into(), response: response(200, true) },
        started(117.0, "6", 0xb4, Some(0xb0)),
        // A worker's request belongs to no tab.
        started(120.0, "7", 0xc1, None),
        completed(125.0, "7", 200),
        Observation::DocumentLoaded { time: at(130.0), span_id: span_id(0xb0) },
    ]
}

/// The spans of these observations, as [`summary`] shows them.
const TREE: [&str; 11] = [
    "a0<root navigation kind 1 http://shop.test/page/a0 committed +commit +domContentLoaded +load",
    "a1<a0 GET kind 3 http://shop.test/1 302",
    "a2<a0 GET kind 3 http://shop.test/1 200 1",
    "a3<a0 GET kind 3 http://shop.test/2 200",
    "b0<root navigation kind 1 http://shop.test/page/b0 404 committed +commit +load status 2",
    "b1<b0 GET kind 3 http://shop.test/3 404 404 status 2",
    "b2<b0 GET kind 3 http://shop.test/4 net::ERR_CONNECTION_REFUSED status 2 net::ERR_CONNECTION_REFUSED",
    "b3<b0 GET kind 1 http://shop.test/5 200 true",
    "b4<b0 GET kind 3 http://shop.test/6 true",
    "c1<root GET kind 3 http://shop.test/7 200",
    "root< browser session kind 1 ",
];

fn expected() -> Vec<String> {
    [0xa0, 0xa1, 0xa2, 0xa3, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xc1].map(|id| span_id(id).to_string()).to_vec()
}

/// Runs a session with these two navigations to its end.
fn play(test: &ExportTest) -> Session {
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&two_navigations());
    host.end();
    assert_eq!(host.stderr(), "");
    session
}

/// Returns a sorted line for each span: its id and its parent's, name, kind, attributes, events and status. The root's id is `root`.
fn summary(spans: &[Span], session: &Session) -> Vec<String> {
    let name = |id: &[u8]| match hex(id) {
        id if id == session.span_id() => "root".to_owned(),
        id => id.trim_start_matches('0').to_owned(),
    };
    let keys = [
        "url.full",
        "http.response.status_code",
        "http.request.resend_count",
        "error.type",
        "navtrace.request.from_cache",
        "navtrace.navigation.outcome",
        "navtrace.unfinished",
    ];
    let mut lines: Vec<String> = spans
        .iter()
        .map(|span| {
            let about = keys.map(|key| attribute(span, key)).into_iter().filter(|value| !value.is_empty());
            let about: Vec<_> = about.chain(span.events.iter().map(|event| format!("+{}", event.name))).collect();
            let status = span.status.as_ref().map(|status| format!(" status {} {}", status.code, status.message));
            let status = status.unwrap_or_default();
            format!(
                "{}<{} {} kind {} {}{}",
                name(&span.span_id),
                name(&span.parent_span_id),
                span.name,
                span.kind,
                about.join(" "),
                status.trim_end()
            )
        })
        .collect();
    lines.sort();
    lines
}

fn assert_complete(spans: &[Span], session: &Session) {
    assert_tree(spans, session, &expected());
    assert_eq!(summary(spans, session), TREE);
    for span in spans {
        assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
}

#[test]
fn a_session_is_one_tree_in_protobuf() {
    let test = ExportTest::new();
    let session = play(&test);
    assert_complete(&test.collector.spans(), &session);
    for arrived in test.collector.arrived() {
        assert_eq!(arrived.headers["content-type"], "application/x-protobuf");
        assert_eq!(arrived.headers.get("content-encoding"), None);
        let agent = arrived.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("OTel-OTLP-Exporter-navtrace/"), "{agent}");
    }
}

#[test]
fn json_with_gzip_and_headers_carries_the_same_spans() {
    let test = ExportTest::new()
        .set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .set("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%20y,tenant=shop");
    let session = play(&test);
    assert_complete(&test.collector.spans(), &session);
    for arrived in test.collector.arrived() {
        let header = |name: &str| arrived.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            ["content-type", "content-encoding", "api-key", "tenant"].map(header),
            ["application/json", "gzip", "k y", "shop"]
        );
    }
}

#[test]
fn protobuf_with_gzip_carries_the_same_spans() {
    let test = ExportTest::new().set("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip");
    let session = play(&test);
    assert_complete(&test.collector.spans(), &session);
    assert!(test.collector.arrived().iter().all(|arrived| arrived.headers["content-encoding"] == "gzip"));
}

#[test]
fn without_tls_no_certificates_of_the_system_are_needed() {
    let test = ExportTest::new().set("SSL_CERT_FILE", "/nonexistent").set("SSL_CERT_DIR", "/nonexistent");
    let session = play(&test);
    assert_complete(&test.collector.spans(), &session);
}

/// A collector for gRPC, with the requests that arrived and two headers of each.
#[derive(Clone, Default)]
struct Grpc(Arc<Mutex<Vec<(ExportTraceServiceRequest, String)>>>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let header = |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let headers = format!("{} {}", header("api-key"), header("grpc-encoding"));
        self.0.lock().unwrap().push((request.into_inner(), headers));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[test]
fn grpc_carries_the_same_spans() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let grpc = Grpc::default();
    let service = TraceServiceServer::new(grpc.clone()).accept_compressed(CompressionEncoding::Gzip);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let without_scheme = endpoint.trim_start_matches("http://");
    for (compression, headers, endpoint) in
        [("none", "secret -", endpoint.as_str()), ("gzip", "secret gzip", without_scheme)]
    {
        let test = ExportTest::new()
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .set("OTEL_EXPORTER_OTLP_INSECURE", "true")
            .set("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=secret")
            .set("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        let session = play(&test);
        let arrived = std::mem::take(&mut *grpc.0.lock().unwrap());
        let all: Vec<Span> = arrived.iter().flat_map(|(request, _)| spans(request)).collect();
        assert_complete(&all, &session);
        assert!(arrived.iter().all(|(_, found)| found == headers), "{arrived:?}");
    }
}

/// Returns a resource attribute of the first request as text, empty if there is none.
fn resource(test: &ExportTest, key: &str) -> String {
    let arrived = test.collector.arrived();
    let attributes = &arrived[0].request.resource_spans[0].resource.as_ref().unwrap().attributes;
    let found: Vec<_> = attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() <= 1, "{key} is there once: {attributes:?}");
    match found.first().and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(value)) => value,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn the_resource_describes_the_browser() {
    let test = ExportTest::new();
    let mut host = test.host_with_browser();
    host.start_session();
    host.observe(&two_navigations());
    let browser = host.browser();
    host.end();
    assert_eq!(resource(&test, "service.name"), "browser");
    assert_eq!(resource(&test, "process.pid"), browser.to_string());
    assert_eq!(resource(&test, "browser.platform"), "Linux");
    assert_eq!(resource(&test, "telemetry.sdk.name"), "navtrace");
    assert!(resource(&test, "user_agent.original").starts_with("Mozilla/5.0"));
}

#[test]
fn resource_settings_of_the_user_win() {
    let test = ExportTest::new()
        .set("OTEL_SERVICE_NAME", "shop frontend")
        .set("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=t%20est,browser.platform=mine");
    play(&test);
    assert_eq!(
        ["service.name", "deployment.environment.name", "browser.platform"].map(|key| resource(&test, key)),
        ["shop frontend", "t est", "mine"]
    );
}

#[test]
fn nothing_is_sent_or_kept_when_the_export_is_off() {
    for (name, value, flags) in [
        ("OTEL_TRACES_SAMPLER", "always_off", "00"),
        ("OTEL_TRACES_EXPORTER", "none", "01"),
        ("OTEL_SDK_DISABLED", "true", "01"),
    ] {
        let test = ExportTest::new().set(name, value);
        let mut host = test.host_with_browser();
        let session = host.start_session();
        assert_eq!(session.0["flags"], flags, "{name}");
        host.observe(&two_navigations());
        assert_eq!(files_below(&test.state_dir()), [""; 0], "{name}: during the session");
        // The next host writes nothing either.
        host.kill();
        let mut next = test.host_with_browser();
        next.resume(&session);
        next.send_batch("other", 1, &two_navigations());
        next.assert_received("other", 1);
        next.end();
        assert_eq!(files_below(&test.state_dir()), [""; 0], "{name}");
        assert!(test.collector.arrived().is_empty(), "{name}");
        assert_eq!(host.stderr() + &next.stderr(), "", "{name}");
    }
}

#[test]
fn secrets_in_urls_are_neither_sent_nor_kept() {
    let test = ExportTest::new();
    test.collector.behave(crate::collector::Behaviour::Silent);
    let mut host = test.host();
    let session = host.start_session();
    let mut request = started(0.0, "1", 0xa1, None);
    if let Observation::RequestStarted { url, .. } = &mut request {
        "https://me:hunter2@shop.test/?State=hunter3#id_token=hunter4".clone_into(url);
    }
    host.observe(&[request]);
    let journal = test.journals().into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
    assert!(journal.contains("https://REDACTED:REDACTED@shop.test/?State=REDACTED#id_token=REDACTED"), "{journal}");
    assert!(!journal.contains("hunter"), "{journal}");
    wait_until("the journal is there", || journal.contains(&session.trace_id()));
}
