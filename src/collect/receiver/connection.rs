//! Serves a connection: HTTP/1, or HTTP/2 if the client begins with its preface, as gRPC does.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::collect::receiver::requests::CLIENT_TIMEOUT;

/// What a client of HTTP/2 sends first: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Pause before a part of the preface is looked at again.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// The number of requests to serve at once on a connection of HTTP/2; a client waits with further ones.
const MAX_STREAMS: u32 = 8;

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, router: Router) -> Result<(), Box<dyn Error + Send + Sync>> {
    let is_http2 = timeout(CLIENT_TIMEOUT, begins_with_preface(&stream)).await??;
    let service = TowerToHyperService::new(router);
    let stream = TokioIo::new(stream);
    if is_http2 {
        return serve_http2(stream, service).await;
    }
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(CLIENT_TIMEOUT);
    server.serve_connection(stream, service).await?;
    Ok(())
}

/// Serves requests until none comes for a while, since idle connections would keep new ones out. The client then opens another one.
async fn serve_http2(
    stream: TokioIo<TcpStream>,
    router: TowerToHyperService<Router>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let is_used = AtomicBool::new(true);
    let service = service_fn(|request| {
        is_used.store(true, Ordering::Relaxed);
        router.call(request)
    });
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
    let mut connection = pin!(server.serve_connection(stream, service));
    while is_used.swap(false, Ordering::Relaxed) {
        if let Ok(ended) = timeout(CLIENT_TIMEOUT, &mut connection).await {
            return Ok(ended?);
        }
    }
    // The client hears of the end, and open requests are answered.
    connection.as_mut().graceful_shutdown();
    Ok(timeout(CLIENT_TIMEOUT, connection).await??)
}

/// Waits for the first bytes and leaves them to be read.
async fn begins_with_preface(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        if length == 0 || start[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        sleep(PREFACE_PAUSE).await;
    }
}
