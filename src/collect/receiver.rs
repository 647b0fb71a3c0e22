//! The server: OTLP over HTTP on a loopback port.
//!
//! Whatever arrives, memory is bounded: connections and large bodies are counted, a body has a limit in bytes and in time, and one body at a
//! time is decoded. A client that sends slowly holds up nobody but itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use axum::routing::post;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::collect::answer::{accept, refuse};
use crate::collect::body::{self, Format, MOST_BODY, Refusal};
use crate::collect::store::{Contents, Store};
use crate::export::otlp;

/// OTLP's port for HTTP.
pub(crate) const PORT: u16 = 4318;

/// How many connections are served at once; more wait.
const MOST_CONNECTIONS: usize = 256;

/// A body of up to this is always read.
const SMALL_BODY: usize = 64 << 10;

/// How many larger ones are read at once; more wait for a moment.
const MOST_LARGE_BODIES: usize = 4;

/// How long a large body waits to be read.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(5);

/// How long a client may take for the headers of a request, and how long for its body.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long nobody is let in after that failed: files that are open come back as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long what is still being received is waited for.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Takes a port: the one that was named; else OTLP's, or any if that is taken.
pub(crate) fn bind(named: Option<SocketAddr>) -> io::Result<TcpListener> {
    match named {
        Some(address) => TcpListener::bind(address),
        None => TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))),
    }
}

/// A running collector.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    activity: Mutex<Activity>,
    changed: Condvar,
    large_bodies: Arc<Semaphore>,
    on_problem: fn(&str),
    told_full: AtomicBool,
    told_other: AtomicBool,
    lost: AtomicUsize,
}

/// Whether something is arriving.
#[derive(Debug)]
struct Activity {
    requests: usize,
    latest: Instant,
}

/// A request that is being served.
struct Active<'a>(&'a Shared);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        let mut activity = lock(&self.0.activity);
        activity.requests -= 1;
        activity.latest = Instant::now();
        self.0.changed.notify_all();
    }
}

/// What was collected.
#[derive(Debug)]
pub(crate) struct Collected {
    /// What the file has.
    pub(crate) contents: Contents,
    /// How many spans could not be written.
    pub(crate) lost: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// Serves in the background, and hands problems to `on_problem`, each kind of them once.
    pub(crate) fn start(listener: TcpListener, store: Store, on_problem: fn(&str)) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            activity: Mutex::new(Activity { requests: 0, latest: Instant::now() }),
            changed: Condvar::new(),
            large_bodies: Arc::new(Semaphore::new(MOST_LARGE_BODIES)),
            on_problem,
            told_full: AtomicBool::new(false),
            told_other: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        });
        // One thread to write, so that one body at a time is decoded.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let for_server = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("collector".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, for_server) => {}
                    _ = stopped => {}
                }
            });
            // Whoever sends without an end is not waited for.
            runtime.shutdown_timeout(LAST_REQUESTS);
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The endpoint for OTLP's settings, such as `http://127.0.0.1:4318`.
    pub(crate) fn endpoint(&self) -> String {
        // Whoever listens everywhere is reached here.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                Ipv4Addr::LOCALHOST.into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        format!("http://{address}")
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until nothing has arrived for `quiet`, at most until `timeout` has passed; then stops, and gives what was collected.
    pub(crate) fn finish(mut self, quiet: Duration, timeout: Duration) -> Collected {
        let began = Instant::now();
        let mut activity = lock(&self.shared.activity);
        loop {
            let now = Instant::now();
            // Spans that were on their way when the command ended arrive after that.
            let idle = now.duration_since(activity.latest.max(began));
            if (activity.requests == 0 && idle >= quiet) || now.duration_since(began) >= timeout {
                break;
            }
            let pause = quiet.saturating_sub(idle).max(Duration::from_millis(1));
            let waited = self.shared.changed.wait_timeout(activity, pause);
            activity = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(activity);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let contents = lock(&self.shared.store).contents().clone();
        Collected { contents, lost: self.shared.lost.load(Ordering::Relaxed) }
    }
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(dropped))
        .route("/v1/logs", post(dropped))
        .with_state(shared);
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("a connection can't be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(CLIENT_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!("a connection ended: {error}");
            }
            drop(permit);
        });
    }
}

/// `POST /v1/traces`.
async fn traces(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let format = match Format::of(text(request.headers(), &CONTENT_TYPE)) {
        Ok(format) => format,
        Err(refusal) => return refuse(Format::Json, &refusal),
    };
    lock(&shared.activity).requests += 1;
    let _active = Active(&shared);
    let encoding = text(request.headers(), &CONTENT_ENCODING).map(ToOwned::to_owned);
    let (bytes, permit) = match read(request, &shared.large_bodies).await {
        Ok(read) => read,
        Err(refusal) => return refuse(format, &refusal),
    };
    let for_writer = Arc::clone(&shared);
    let kept = tokio::task::spawn_blocking(move || {
        let kept = keep(&for_writer, format, encoding.as_deref(), &bytes);
        drop(permit);
        kept
    });
    match kept.await {
        Ok(Ok(rejected)) => accept(format, rejected),
        Ok(Err(refusal)) => refuse(format, &refusal),
        Err(error) => refuse(format, &Refusal::new(500, format!("the spans can't be read: {error}"))),
    }
}

/// `POST /v1/metrics` and `/v1/logs`: whoever was given the endpoint may send them too, and is not to be disturbed by errors.
async fn dropped(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let format = match Format::of(text(request.headers(), &CONTENT_TYPE)) {
        Ok(format) => format,
        Err(refusal) => return refuse(Format::Json, &refusal),
    };
    if let Err(refusal) = read(request, &shared.large_bodies).await {
        return refuse(format, &refusal);
    }
    if !shared.told_other.swap(true, Ordering::Relaxed) {
        (shared.on_problem)("metrics or logs arrived, which are not kept: navtrace collects traces");
    }
    accept(format, 0)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a body, within the limits.
async fn read(
    request: Request<Body>,
    large_bodies: &Arc<Semaphore>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Refusal> {
    let announced = text(request.headers(), &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut body = request.into_body();
    if announced.is_some_and(|length: u64| length > MOST_BODY as u64) {
        discard(&mut body).await;
        return Err(Refusal::too_large());
    }
    let mut permit = None;
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::new(400, format!("the body can't be read: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > MOST_BODY {
                drop(std::mem::take(&mut bytes));
                discard(&mut body).await;
                return Err(Refusal::too_large());
            }
            if permit.is_none() && bytes.len() + data.len() > SMALL_BODY {
                let waiting = tokio::time::timeout(LARGE_BODY_WAIT, Arc::clone(large_bodies).acquire_owned()).await;
                permit = waiting.ok().and_then(Result::ok);
                if permit.is_none() {
                    return Err(Refusal::new(503, "too many large bodies arrive at once"));
                }
            }
            bytes.extend_from_slice(data);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(CLIENT_TIMEOUT, reading).await {
        Ok(read) => Ok((read?, permit)),
        Err(_) => Err(Refusal::new(408, "the body did not arrive in time")),
    }
}

/// Reads what is left of a body and keeps nothing of it: a client that is still sending when the connection is closed sees that, and not the answer.
async fn discard(body: &mut Body) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(CLIENT_TIMEOUT, reading).await;
}

/// Writes the spans of a body to the file, and tells how many it did not want.
fn keep(shared: &Shared, format: Format, encoding: Option<&str>, bytes: &[u8]) -> Result<usize, Refusal> {
    let mut request = body::decode(format, &body::inflate(encoding, bytes)?)?;
    let rejected = body::reject_invalid(&mut request);
    let spans = otlp::count(&request);
    if spans > 0 {
        let mut store = lock(&shared.store);
        if let Err(error) = store.put(&request) {
            shared.lost.fetch_add(spans, Ordering::Relaxed);
            if !shared.told_full.swap(true, Ordering::Relaxed) {
                let path = store.path().display();
                (shared.on_problem)(&format!(
                    "{path} can't be written: {error}; what is there stays, and spans are taken again once there is room"
                ));
            }
            return Err(Refusal::new(503, format!("the spans can't be written: {error}")));
        }
    }
    Ok(rejected)
}
