//! A collector for OTLP over HTTP that stores what arrives, and can be told to fail in ways that a real one can't.
//!
//! Every test binary uses only a part of this.
#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::reserved_port::ReservedPort;

/// How the collector answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    Accepts,
    /// With this status and this `Retry-After`, if any, and with "not now" as the real Collector writes it.
    Refuses(u16, Option<&'static str>),
    /// Accepts the request, but says that it rejects this many spans.
    Rejects(i64),
    /// Accepts the request after this time.
    Slow(Duration),
    /// Never.
    Silent,
}

/// A request that arrived, accepted or not.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub at: Instant,
    /// `at` on the wall clock.
    pub time: SystemTime,
    pub headers: HeaderMap,
    pub request: ExportTraceServiceRequest,
    pub accepted: bool,
}

thread_local! {
    /// What the collectors of this thread's test have received.
    static OF_TEST: RefCell<Vec<Weak<Mutex<Shared>>>> = const { RefCell::new(Vec::new()) };
}

struct Shared {
    /// One for each future request. The last one stays.
    behaviours: VecDeque<Behaviour>,
    arrived: Vec<Arrived>,
}

/// A collector on a loopback port, which stays its own also while it is down.
pub struct Collector {
    port: ReservedPort,
    shared: Arc<Mutex<Shared>>,
    /// `None` while it is down.
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Collector {
    /// Starts a collector that accepts everything.
    pub fn start() -> Self {
        let mut collector = Self::down();
        collector.up();
        collector
    }

    /// Makes a collector that does not listen yet. Connections are refused.
    pub fn down() -> Self {
        let shared = Shared { behaviours: [Behaviour::Accepts].into(), arrived: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        OF_TEST.with_borrow_mut(|all| all.push(Arc::downgrade(&shared)));
        Self { port: ReservedPort::new(), shared, running: None }
    }

    /// Forgets what the collectors that this thread made have received, before a test runs its client once more.
    pub fn clear_all() {
        for shared in OF_TEST.with_borrow(Clone::clone).iter().filter_map(Weak::upgrade) {
            shared.lock().unwrap_or_else(PoisonError::into_inner).arrived.clear();
        }
    }

    /// Listens on the collector's port.
    pub fn up(&mut self) {
        let runtime = Runtime::new().unwrap();
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&self.shared));
        let listener = self.port.listen();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) }).await.unwrap();
        });
        self.running = Some(Running { runtime, server, stop });
    }

    /// Answers the requests that have arrived, then closes the listener and all connections.
    pub fn stop(&mut self) {
        let Running { runtime, server, stop } = self.running.take().unwrap();
        drop(stop);
        runtime.block_on(server).unwrap();
    }

    /// Changes how requests are answered from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behave_in_turn([behaviour]);
    }

    /// Answers the next requests in these ways, one after the other, and all later ones in the last.
    pub fn behave_in_turn(&self, behaviours: impl Into<VecDeque<Behaviour>>) {
        self.lock().behaviours = behaviours.into();
    }

    /// Returns the value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Returns the requests so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.lock().arrived.clone()
    }

    /// Returns the spans that were accepted so far.
    pub fn spans(&self) -> Vec<Span> {
        let accepted = self.arrived().into_iter().filter(|arrived| arrived.accepted);
        accepted.flat_map(|arrived| spans(&arrived.request)).collect()
    }

    /// Waits until the accepted spans satisfy `ready`, and returns them.
    pub fn wait_for(&self, timeout: Duration, mut ready: impl FnMut(&[Span]) -> bool) -> Vec<Span> {
        let deadline = Instant::now() + timeout;
        loop {
            let spans = self.spans();
            if ready(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "{} spans were accepted in time", spans.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the spans of a request.
pub fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

/// Parses a line of OTLP JSON.
pub fn read_line(line: &str) -> ExportTraceServiceRequest {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Returns the spans in a file of OTLP JSON lines.
pub fn spans_in(content: &str) -> Vec<Span> {
    content.lines().flat_map(|line| spans(&read_line(line))).collect()
}

/// Returns an id in hexadecimal digits.
pub fn hex(id: &[u8]) -> String {
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Returns a span's attribute as text, empty if there is none.
pub fn attribute(span: &Span, key: &str) -> String {
    value(&span.attributes, key)
}

/// Returns the value of an attribute as text, empty if there is none.
pub fn value(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        None => String::new(),
        Some(other) => format!("{other:?}"),
    }
}

async fn take(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    let body = if is("content-encoding", "gzip") {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut unpacked).unwrap();
        unpacked
    } else {
        body.to_vec()
    };
    let json = is("content-type", "application/json");
    let request = if json {
        serde_json::from_slice(&body).unwrap()
    } else {
        assert!(is("content-type", "application/x-protobuf"), "{headers:?}");
        ExportTraceServiceRequest::decode(&body[..]).unwrap()
    };
    let behaviour = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if shared.behaviours.len() > 1 { shared.behaviours.pop_front() } else { None };
        let behaviour = next.unwrap_or_else(|| shared.behaviours[0].clone());
        let accepted = matches!(behaviour, Behaviour::Accepts | Behaviour::Rejects(_) | Behaviour::Slow(_));
        shared.arrived.push(Arrived { at: Instant::now(), time: SystemTime::now(), headers, request, accepted });
        behaviour
    };
    let rejected = match behaviour {
        Behaviour::Accepts => 0,
        Behaviour::Rejects(rejected) => rejected,
        Behaviour::Slow(time) => {
            tokio::time::sleep(time).await;
            0
        }
        Behaviour::Silent => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            0
        }
        Behaviour::Refuses(status, retry_after) => {
            let status = StatusCode::from_u16(status).unwrap();
            let retry_after = retry_after.map(|after| [("retry-after", after)]);
            return (status, retry_after, explanation(json, "not now")).into_response();
        }
    };
    let error_message = if rejected > 0 { "too old".to_owned() } else { String::new() };
    let partial_success =
        (rejected > 0).then_some(ExportTracePartialSuccess { rejected_spans: rejected, error_message });
    let response = ExportTraceServiceResponse { partial_success };
    if json {
        axum::Json(response).into_response()
    } else {
        ([("content-type", "application/x-protobuf")], response.encode_to_vec()).into_response()
    }
}

/// Returns the body of a refusal, a `google.rpc.Status` in the encoding of the request.
fn explanation(json: bool, message: &str) -> Response {
    let status = tonic_types::Status { code: 14, message: message.to_owned(), details: Vec::new() };
    if json {
        let status = serde_json::json!({ "code": status.code, "message": status.message });
        axum::Json(status).into_response()
    } else {
        ([("content-type", "application/x-protobuf")], status.encode_to_vec()).into_response()
    }
}
