//! What arrives at a collector: one tree, in every form that OTLP has, and nothing where nothing is wanted.

use std::sync::{Arc, Mutex};

use navtrace::testing::Observation;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use crate::bench::{Bench, Session, assert_tree, files_below, wait_until};
use crate::collector::{attribute, hex, spans};
use crate::observations::{START, committed, completed, navigates, response, span_id, started};

/// Two navigations: a redirect and a beacon of the first, a failure, a cache hit and a request that is still open of the second.
fn two_navigations() -> Vec<Observation> {
    let at = |time: f64| START + time;
    vec![
        navigates(0.0, "1", 0xa1, 0xa0),
        Observation::RequestRedirected { time: at(5.0), request: "1".into(), response: response(302, false) },
        navigates(5.5, "1", 0xa2, 0xa0),
        completed(20.0, "1", 200),
        committed(22.0, 0xa0),
        started(23.0, "2", 0xa3, Some(0xa0)),
        Observation::ResponseStarted { time: at(25.0), request: "2".into() },
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
            span_id: span_id(0xff),
            method: "GET".into(),
            url: "http://shop.test/4".into(),
            resource: "script".into(),
        },
        started(115.0, "5", 0xb3, Some(0xb0)),
        Observation::RequestCompleted { time: at(116.0), request: "5".into(), response: response(200, true) },
        started(117.0, "6", 0xb4, Some(0xb0)),
        // Of no tab: a worker's.
        started(120.0, "7", 0xc1, None),
        completed(125.0, "7", 200),
        Observation::DocumentLoaded { time: at(130.0), span_id: span_id(0xb0) },
    ]
}

/// What becomes of them.
const TREE: [&str; 11] = [
    "a0<root navigation kind 1 http://shop.test/page/a0 committed +commit +domContentLoaded +load",
    "a1<a0 GET kind 3 http://shop.test/1 302",
    "a2<a0 GET kind 3 http://shop.test/1 200 1",
    "a3<a0 GET kind 3 http://shop.test/2 200 +response",
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

/// Plays a session of those two navigations to its end.
fn play(bench: &Bench) -> Session {
    let mut host = bench.host_of_browser();
    let session = host.greet();
    host.observe(&two_navigations());
    host.end();
    assert_eq!(host.said(), "");
    session
}

/// One line for each span: its id and its parent's, its name and kind, and what it is about. The root is called that.
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

/// The same wherever it arrives.
fn assert_complete(spans: &[Span], session: &Session) {
    assert_tree(spans, session, &expected());
    assert_eq!(summary(spans, session), TREE);
    for span in spans {
        assert!(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }
}

#[test]
fn a_session_is_one_tree_in_protobuf() {
    let bench = Bench::new();
    let session = play(&bench);
    assert_complete(&bench.collector.spans(), &session);
    for arrived in bench.collector.arrived() {
        assert_eq!(arrived.headers["content-type"], "application/x-protobuf");
        assert_eq!(arrived.headers.get("content-encoding"), None);
        let agent = arrived.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("OTel-OTLP-Exporter-navtrace/"), "{agent}");
    }
}

#[test]
fn the_same_in_json_with_gzip_and_with_headers() {
    let bench = Bench::new()
        .set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .set("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%20y,tenant=shop");
    let session = play(&bench);
    assert_complete(&bench.collector.spans(), &session);
    for arrived in bench.collector.arrived() {
        let header = |name: &str| arrived.headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            ["content-type", "content-encoding", "api-key", "tenant"].map(header),
            ["application/json", "gzip", "k y", "shop"]
        );
    }
}

#[test]
fn the_same_in_protobuf_with_gzip() {
    let bench = Bench::new().set("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip");
    let session = play(&bench);
    assert_complete(&bench.collector.spans(), &session);
    assert!(bench.collector.arrived().iter().all(|arrived| arrived.headers["content-encoding"] == "gzip"));
}

/// A collector that speaks gRPC: the requests that came, and one header of each.
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
fn the_same_over_grpc() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let grpc = Grpc::default();
    let service = TraceServiceServer::new(grpc.clone()).accept_compressed(CompressionEncoding::Gzip);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    for (compression, headers) in [("none", "secret -"), ("gzip", "secret gzip")] {
        let bench = Bench::new()
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .set("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=secret")
            .set("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        let session = play(&bench);
        let arrived = std::mem::take(&mut *grpc.0.lock().unwrap());
        let all: Vec<Span> = arrived.iter().flat_map(|(request, _)| spans(request)).collect();
        assert_complete(&all, &session);
        assert!(arrived.iter().all(|(_, found)| found == headers), "{arrived:?}");
    }
}

/// The resource of everything that arrived, as text.
fn resource(bench: &Bench, key: &str) -> String {
    let arrived = bench.collector.arrived();
    let attributes = &arrived[0].request.resource_spans[0].resource.as_ref().unwrap().attributes;
    let found: Vec<_> = attributes.iter().filter(|attribute| attribute.key == key).collect();
    assert!(found.len() <= 1, "{key} is there once: {attributes:?}");
    match found.first().and_then(|found| found.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn spans_belong_to_the_browser() {
    let bench = Bench::new();
    let mut host = bench.host_of_browser();
    host.greet();
    host.observe(&two_navigations());
    let browser = host.browser();
    host.end();
    assert_eq!(resource(&bench, "service.name"), "browser");
    assert_eq!(resource(&bench, "process.pid"), browser.to_string());
    assert_eq!(resource(&bench, "browser.platform"), "Linux");
    assert_eq!(resource(&bench, "telemetry.sdk.name"), "navtrace");
    assert!(resource(&bench, "user_agent.original").starts_with("Mozilla/5.0"));
}

#[test]
fn what_the_user_says_of_the_resource_wins() {
    let bench = Bench::new()
        .set("OTEL_SERVICE_NAME", "shop frontend")
        .set("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=t%20est,browser.platform=mine");
    play(&bench);
    assert_eq!(
        ["service.name", "deployment.environment.name", "browser.platform"].map(|key| resource(&bench, key)),
        ["shop frontend", "t est", "mine"]
    );
}

#[test]
fn nothing_is_sent_or_kept_where_that_is_not_wanted() {
    for (name, value, flags) in [
        ("OTEL_TRACES_SAMPLER", "always_off", "00"),
        ("OTEL_TRACES_EXPORTER", "none", "01"),
        ("OTEL_SDK_DISABLED", "true", "01"),
    ] {
        let bench = Bench::new().set(name, value);
        let mut host = bench.host_of_browser();
        let session = host.greet();
        assert_eq!(session.0["flags"], flags, "{name}");
        host.observe(&two_navigations());
        assert_eq!(files_below(&bench.state()), [""; 0], "{name}: while the session goes on");
        // A host that takes over keeps nothing either.
        host.kill();
        let mut next = bench.host_of_browser();
        next.resume(&session);
        next.tell("other", 1, &two_navigations());
        next.assert_received("other", 1);
        next.end();
        assert_eq!(files_below(&bench.state()), [""; 0], "{name}");
        assert!(bench.collector.arrived().is_empty(), "{name}");
        assert_eq!(host.said() + &next.said(), "", "{name}");
    }
}

#[test]
fn secrets_of_addresses_are_neither_sent_nor_kept() {
    let bench = Bench::new();
    bench.collector.behave(crate::collector::Behaviour::Silent);
    let mut host = bench.host();
    let session = host.greet();
    let mut request = started(0.0, "1", 0xa1, None);
    if let Observation::RequestStarted { url, .. } = &mut request {
        "https://me:hunter2@shop.test/?token=hunter3".clone_into(url);
    }
    host.observe(&[request]);
    let journal = bench.journals().into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
    assert!(journal.contains("https://REDACTED:REDACTED@shop.test/?token=REDACTED"), "{journal}");
    assert!(!journal.contains("hunter"), "{journal}");
    wait_until("the journal is there", || journal.contains(&session.trace_id()));
}
