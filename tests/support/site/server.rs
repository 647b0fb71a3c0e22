//! The servers of the two origins: routes, recording, CORS, and connections that a handler can cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::record::{Origin, Recorded};
use super::{Shared, app, assets, pages};

/// Serves one origin over HTTP/1.1 until the runtime ends.
pub(super) async fn serve(listener: Cuttable, router: Router) {
    let service = router.into_make_service_with_connect_info::<Cut>();
    axum::serve(listener, service).await.expect("serving never ends by itself");
}

/// Returns all routes of an origin.
pub(super) fn router(origin: Origin, shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/coverage", any(assets::coverage))
        .route("/asset/{name}", any(assets::asset))
        .route("/sw/{*path}", any(assets::service_worker))
        .route("/app", any(app::document))
        .route("/app/{name}", any(app::file))
        .route("/page", any(pages::page))
        .route("/settled", any(pages::settled))
        .route("/endless", any(pages::endless))
        .route("/opener", any(pages::opener))
        .route("/otel", any(pages::otel))
        .route("/otel.js", any(assets::otel_script))
        .route("/cached", any(pages::cached))
        .route("/cacheable/{name}", any(pages::cacheable))
        .route("/redirect", any(pages::redirect))
        .route("/slow", any(pages::slow))
        .route("/download", any(pages::download))
        .route("/hinting", any(pages::hinting))
        .route("/empty", any(async || StatusCode::NO_CONTENT))
        .route("/reset", any(reset))
        .route("/events", any(pages::events))
        .route("/ws", any(pages::websocket))
        .route("/carried", any(pages::carried))
        .route(SEEN, any(pages::seen))
        .with_state(Arc::clone(&shared))
        .layer(from_fn_with_state((origin, shared), watch))
}

/// Path at which a page asks what has arrived. It is not recorded.
const SEEN: &str = "/seen";

/// The `Server-Timing` of responses to URLs with the parameter `timing`: that of a server which names a context of its own.
const OWN_TIMING: [&str; 2] = [
    "db;dur=12, traceparent;desc=\"00-dddddddddddddddddddddddddddddddd-dddddddddddddddd-01\"",
    "cache;desc=\"a, traceparent;desc=x\";dur=1, traceparent;desc=\"00-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-eeeeeeeeeeeeeeee-01\"",
];

/// Records a request before it is answered, so that aborted ones count too, and adds the headers for CORS.
async fn watch(State((origin, shared)): State<(Origin, Arc<Shared>)>, request: Request, next: Next) -> Response {
    let recorded = Recorded::of(origin, &request);
    let allowed = allowed_headers(&recorded);
    let has_own_timing = recorded.query.iter().any(|(name, _)| name == "timing");
    if request.uri().path() != SEEN {
        shared.record.add(recorded);
    }
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for value in if has_own_timing { OWN_TIMING.as_slice() } else { &[] } {
        headers.append("server-timing", HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if origin == Origin::Other {
        let main = HeaderValue::from_str(&shared.main).expect("an origin is a valid header value");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, main);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("0"));
    }
    response
}

/// Returns the headers that a page of the main origin may set.
fn allowed_headers(request: &Recorded) -> &'static str {
    match &request.kind {
        // The web SDK and clients that set headers for the application do, so preflights ask for them.
        Some(kind) if kind.starts_with("sdk-") || kind.starts_with("app-") => "x-own, traceparent, tracestate",
        // Only this one. If a `traceparent` counted for CORS, a preflight would ask for it and fail.
        _ => "x-own",
    }
}

/// Closes the connection without an answer.
///
/// Chromium repeats such a request on other connections if it tried idle ones first. So a navigation may arrive several times with the same
/// headers.
async fn reset(ConnectInfo(cut): ConnectInfo<Cut>) {
    cut.0.store(true, Ordering::Relaxed);
}

/// A flag that makes a connection fail instead of writing.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Cuttable>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Cuttable>) -> Self {
        stream.io().cut.clone()
    }
}

/// A listener whose connections a handler can cut.
pub(super) struct Cuttable(TcpListener);

impl Cuttable {
    /// Takes a listener over. Must be called in a runtime.
    pub(super) fn new(listener: std::net::TcpListener) -> Self {
        listener.set_nonblocking(true).expect("a listener can be made nonblocking");
        Self(TcpListener::from_std(listener).expect("the runtime accepts a listener"))
    }
}

impl Listener for Cuttable {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Responses are small and many, so waiting for full packets would slow the tests.
        let _ = stream.set_nodelay(true);
        (Connection { stream, cut: Cut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    pub(super) cut: Cut,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.0.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
