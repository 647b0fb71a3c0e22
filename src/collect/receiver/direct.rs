//! Receives spans for this process itself, which writes none of them to a file.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::Semaphore;

use crate::base::failure::Failure;
use crate::base::threads;
use crate::collect::body::{self, Decoded, Format, Refusal, Rejected};
use crate::collect::receiver::requests::{MAX_LARGE_BODIES, TRACES, read_body, text};
use crate::collect::receiver::{MAX_CONNECTIONS, not_received, prepare_server, serve};
use crate::collect::response::{accept, refuse};

/// Takes the spans of one request.
type OnSpans = dyn Fn(ExportTraceServiceRequest) + Send + Sync;

struct Receiving {
    on_spans: Box<OnSpans>,
    large_bodies: Arc<Semaphore>,
}

/// Receives spans on a loopback port until this process ends, and passes them on. A request is answered when that is done.
///
/// # Errors
///
/// Fails if the system refuses a port, a thread or further open files.
pub(crate) fn receive(
    on_spans: impl Fn(ExportTraceServiceRequest) + Send + Sync + 'static,
) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(not_received)?;
    let address = listener.local_addr().map_err(not_received)?;
    let (runtime, listeners) = prepare_server(vec![listener]).map_err(not_received)?;
    let large_bodies = Arc::new(Semaphore::new(MAX_LARGE_BODIES));
    let router = Router::new().route(TRACES[0], post(traces));
    let router = router.with_state(Arc::new(Receiving { on_spans: Box::new(on_spans), large_bodies }));
    threads::start("spans", move || {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for listener in listeners {
            runtime.block_on(serve(listener, router.clone(), Arc::clone(&connections)));
        }
    })?;
    Ok(address)
}

async fn traces(State(receiving): State<Arc<Receiving>>, request: Request<Body>) -> Response {
    let format = match Format::of(text(request.headers(), &CONTENT_TYPE)) {
        Ok(format) => format,
        Err(refusal) => return refuse(Format::Json, &refusal),
    };
    match pass_on(receiving, format, request).await {
        Ok(rejected) => accept(format, &rejected),
        Err(refusal) => refuse(format, &refusal),
    }
}

async fn pass_on(receiving: Arc<Receiving>, format: Format, request: Request<Body>) -> Result<Rejected, Refusal> {
    let encoding = text(request.headers(), &format.encoding_header()).map(ToOwned::to_owned);
    let (bytes, permit) = read_body(request, &receiving.large_bodies).await?;
    let passed = tokio::task::spawn_blocking(move || {
        let bytes = body::inflate(encoding.as_deref(), bytes)?;
        let Decoded { request, rejected } = body::decode(format, bytes)?;
        drop(permit);
        (receiving.on_spans)(request);
        Ok(rejected)
    });
    passed.await.unwrap_or_else(|error| Err(Refusal::new(500, io::Error::other(error).to_string())))
}
