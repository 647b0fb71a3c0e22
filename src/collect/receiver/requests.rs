//! Handles OTLP requests: reads a body within the limits, and writes its spans to the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, Request};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::post;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::lock;
use crate::collect::body::{self, Decoded, Format, MAX_BODY, Refusal, Rejected};
use crate::collect::contents::Contents;
use crate::collect::receiver::cors;
use crate::collect::response::{accept, refuse};
use crate::collect::store::TraceFileWriter;
use crate::export::otlp;

/// Bodies up to this size are read at once; larger ones wait for one of [`MAX_LARGE_BODIES`] permits.
const SMALL_BODY: usize = 64 << 10;

pub(super) const MAX_LARGE_BODIES: usize = 4;

/// How long a large body waits for its permit.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(5);

/// The status of a request that may be sent again.
const UNAVAILABLE: u16 = 503;

/// The time limit of a client for the headers of a request, and for its body.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The state that requests share with the server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Mutex<TraceFileWriter>,
    /// The store's counts, which are known even while the store is stuck.
    pub(super) contents: Arc<Mutex<Contents>>,
    pub(super) activity: Mutex<Activity>,
    /// Notified when a request ends.
    pub(super) changed: Condvar,
    large_bodies: Arc<Semaphore>,
    on_problem: fn(&str),
    reported_write_error: AtomicBool,
    pub(super) unread: Mutex<Unread>,
    reported_other_signals: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Activity {
    /// The number of open requests.
    pub(super) requests: usize,
    /// The end of the latest request.
    pub(super) latest: Instant,
    /// Whether a signal has ended the wait for further requests.
    pub(super) is_cut_short: bool,
}

/// What could not be read. Its senders were told so, and will not send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unread {
    /// The number of requests, of whose spans nothing is known.
    pub(crate) requests: usize,
    /// The number of spans in requests whose other spans could be read.
    pub(crate) spans: usize,
}

impl Shared {
    pub(super) fn new(store: TraceFileWriter, on_problem: fn(&str)) -> Self {
        Self {
            contents: store.contents(),
            store: Mutex::new(store),
            activity: Mutex::new(Activity { requests: 0, latest: Instant::now(), is_cut_short: false }),
            changed: Condvar::new(),
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            on_problem,
            reported_write_error: AtomicBool::new(false),
            unread: Mutex::default(),
            reported_other_signals: AtomicBool::new(false),
        }
    }

    /// Counts a request that is refused, unless its sender will send it again.
    fn count_refused(&self, refusal: &Refusal) {
        if refusal.status == UNAVAILABLE {
            return;
        }
        let mut unread = lock(&self.unread);
        unread.requests += 1;
        if unread.requests == 1 {
            (self.on_problem)(&format!("a request can't be read, and its spans are not kept: {}", refusal.reason));
        }
    }

    fn count_rejected(&self, rejected: &Rejected) {
        let mut unread = lock(&self.unread);
        if unread.spans == 0 && rejected.spans > 0 {
            (self.on_problem)(&format!("a span can't be read and is not kept: {}", rejected.reason));
        }
        unread.spans += rejected.spans;
    }
}

/// Counts a request as open until it is dropped.
struct Active<'a>(&'a Shared);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        let mut activity = lock(&self.0.activity);
        activity.requests -= 1;
        activity.latest = Instant::now();
        self.0.changed.notify_all();
    }
}

/// The paths of the signals, over HTTP and over gRPC.
pub(super) const TRACES: [&str; 2] = ["/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"];
const OTHER_SIGNALS: [&str; 4] = [
    "/v1/metrics",
    "/v1/logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let router = TRACES.iter().fold(Router::new(), |router, path| router.route(path, post(traces)));
    let router = OTHER_SIGNALS.iter().fold(router, |router, path| router.route(path, post(discard_signal)));
    router.fallback(unknown).layer(from_fn(cors::answer)).with_state(shared)
}

/// Answers a request for anything else.
async fn unknown(request: Request<Body>) -> Response {
    let format = Format::of(text(request.headers(), &CONTENT_TYPE)).unwrap_or(Format::Json);
    refuse(format, &Refusal::new(404, "unknown path: send spans to /v1/traces"))
}

async fn traces(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    lock(&shared.activity).requests += 1;
    let _active = Active(&shared);
    let format = Format::of(text(request.headers(), &CONTENT_TYPE));
    let stored = match &format {
        Ok(format) => store_body(&shared, *format, request).await,
        Err(refusal) => Err(refusal.clone()),
    };
    let format = format.unwrap_or(Format::Json);
    match stored {
        Ok(rejected) => accept(format, &rejected),
        Err(refusal) => {
            shared.count_refused(&refusal);
            refuse(format, &refusal)
        }
    }
}

/// Writes the spans of a request to the store and returns those that can't be read.
async fn store_body(shared: &Arc<Shared>, format: Format, request: Request<Body>) -> Result<Rejected, Refusal> {
    let encoding = text(request.headers(), &format.encoding_header()).map(ToOwned::to_owned);
    let (bytes, permit) = read_body(request, &shared.large_bodies).await?;
    let for_writer = Arc::clone(shared);
    let stored = tokio::task::spawn_blocking(move || {
        let stored = store_spans(&for_writer, format, encoding.as_deref(), bytes);
        drop(permit);
        stored
    });
    stored.await.unwrap_or_else(|error| Err(Refusal::new(500, format!("the spans can't be read: {error}"))))
}

/// Accepts metrics and logs without keeping them, so that programs that send all signals to this endpoint see no errors.
async fn discard_signal(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let format = match Format::of(text(request.headers(), &CONTENT_TYPE)) {
        Ok(format) => format,
        Err(refusal) => return refuse(Format::Json, &refusal),
    };
    if let Err(refusal) = read_body(request, &shared.large_bodies).await {
        return refuse(format, &refusal);
    }
    if !shared.reported_other_signals.swap(true, Ordering::Relaxed) {
        (shared.on_problem)("metrics or logs arrived, which are not kept: navtrace collects traces");
    }
    accept(format, &Rejected::default())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a body within the limits. The permit of a large body must be kept until the body is dropped.
pub(super) async fn read_body(
    request: Request<Body>,
    large_bodies: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let announced = text(request.headers(), &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut body = request.into_body();
    if announced.is_some_and(|length: u64| length > MAX_BODY as u64) {
        discard_rest(&mut body).await;
        return Err(Refusal::too_large());
    }
    let mut permit = None;
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::new(400, format!("the body can't be read: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > MAX_BODY {
                drop(std::mem::take(&mut bytes));
                discard_rest(&mut body).await;
                return Err(Refusal::too_large());
            }
            if permit.is_none() && bytes.len() + data.len() > SMALL_BODY {
                let waiting = tokio::time::timeout(LARGE_BODY_WAIT, Arc::clone(large_bodies).acquire_owned()).await;
                permit = waiting.ok().and_then(Result::ok);
                if permit.is_none() {
                    return Err(Refusal::new(UNAVAILABLE, "too many large bodies arrive at once"));
                }
            }
            bytes.extend_from_slice(data);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(CLIENT_TIMEOUT, reading).await {
        Ok(read) => Ok((read?.into(), permit)),
        Err(_) => Err(Refusal::new(408, "the body did not arrive in time")),
    }
}

/// Reads the rest of a body and discards it. A client that is still sending when the connection closes would not see the response.
async fn discard_rest(body: &mut Body) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(CLIENT_TIMEOUT, reading).await;
}

/// Writes the spans of a body to the store and returns those that can't be read.
fn store_spans(shared: &Shared, format: Format, encoding: Option<&str>, bytes: Bytes) -> Result<Rejected, Refusal> {
    let (encoding, bytes) =
        if format == Format::Grpc { body::grpc_message(encoding, bytes)? } else { (encoding, bytes) };
    let Decoded { request, rejected } = body::decode(format, body::inflate(encoding, bytes)?)?;
    shared.count_rejected(&rejected);
    let spans = otlp::count(&request);
    if spans > 0 {
        let mut store = lock(&shared.store);
        if let Err(error) = store.write(&request) {
            if !shared.reported_write_error.swap(true, Ordering::Relaxed) {
                let path = store.path().display();
                (shared.on_problem)(&format!(
                    "{path} can't be written: {error}; spans written so far are kept; new ones are \
                     accepted again once there is disk space"
                ));
            }
            return Err(Refusal::new(UNAVAILABLE, format!("the spans can't be written: {error}")));
        }
    }
    Ok(rejected)
}
