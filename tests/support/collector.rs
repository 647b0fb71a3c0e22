//! A collector that takes OTLP over HTTP and keeps it, and that can be made to behave as a real one can't be brought to.
//!
//! Every test binary uses a part of this only.
#![allow(dead_code, unreachable_pub)]

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

use super::reserved_port::ReservedPort;

/// How the collector answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Accepts,
    /// With this status and, where there is one, this `Retry-After`.
    Refuses(u16, Option<&'static str>),
    /// It takes a request, and rejects so many spans of it.
    Rejects(i64),
    /// As it should, but only after this time.
    Slow(Duration),
    /// Not at all.
    Silent,
}

/// One request that arrived, whatever it was answered.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub at: Instant,
    /// `at` by the wall clock.
    pub time: SystemTime,
    pub headers: HeaderMap,
    pub request: ExportTraceServiceRequest,
    /// Whether it was accepted.
    pub accepted: bool,
}

struct Shared {
    /// One for each request to come. The last one stays.
    behaviours: VecDeque<Behaviour>,
    arrived: Vec<Arrived>,
}

/// A collector on the loopback.
pub struct Collector {
    /// Kept also while the collector is down.
    port: ReservedPort,
    shared: Arc<Mutex<Shared>>,
    /// None while it is down.
    runtime: Option<Runtime>,
}

impl Collector {
    /// Starts one that accepts everything.
    pub fn start() -> Self {
        let mut collector = Self::down();
        collector.up();
        collector
    }

    /// One that is not there yet.
    pub fn down() -> Self {
        let shared = Shared { behaviours: [Behaviour::Accepts].into(), arrived: Vec::new() };
        Self { port: ReservedPort::new(), shared: Arc::new(Mutex::new(shared)), runtime: None }
    }

    /// Brings it up, where it was before.
    pub fn up(&mut self) {
        let runtime = Runtime::new().unwrap();
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&self.shared));
        let listener = self.port.listen();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await });
        self.runtime = Some(runtime);
    }

    /// Kills it; its connections are cut.
    pub fn kill(&mut self) {
        // This waits until the listener and all connections are closed.
        drop(self.runtime.take());
    }

    /// Has it answer in another way from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behave_in_turn([behaviour]);
    }

    /// Answers one request after the other in these ways, and all that follow in the last of them.
    pub fn behave_in_turn(&self, behaviours: impl Into<VecDeque<Behaviour>>) {
        self.lock().behaviours = behaviours.into();
    }

    /// What goes into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// What arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.lock().arrived.clone()
    }

    /// The spans that were accepted so far, with the name of the service that they belong to.
    pub fn spans(&self) -> Vec<Span> {
        let accepted = self.arrived().into_iter().filter(|arrived| arrived.accepted);
        accepted.flat_map(|arrived| spans(&arrived.request)).collect()
    }

    /// Waits until what was accepted is as it should be.
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

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The spans of a request.
pub fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

/// Reads batches of the spool, which is one line of OTLP JSON per batch.
pub fn read_line(line: &str) -> ExportTraceServiceRequest {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// An id as it stands in a `traceparent`.
pub fn hex(id: &[u8]) -> String {
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// An attribute as text; empty when there is none.
pub fn attribute(span: &Span, key: &str) -> String {
    value(&span.attributes, key)
}

/// Finds a value among the attributes of a span, an event or a resource, as text; empty when there is none.
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
            return match retry_after {
                Some(after) => (status, [("retry-after", after)], "not now").into_response(),
                None => (status, "not now").into_response(),
            };
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
