//! Serves the site over TLS: HTTP/2, and HTTP/1.1 for a WebSocket.
//!
//! Browsers stream uploads and heed Early Hints (status 103) only over HTTP/2. No server in the crates of the other origins can send a 103, so
//! this one uses `h2` itself.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{Response, StatusCode, header};
use axum::serve::Listener;
use h2::RecvStream;
use h2::server::SendResponse;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

use super::assets::decoded;
use super::server::{Connection, Cuttable};

/// A certificate for `localhost` and `127.0.0.1`, signed by its own key, made by `openssl req -x509 -newkey ec`.
const CERTIFICATE: &str = "\
    MIIBnDCCAUGgAwIBAgIUHNjuXp+1rwoFOdc5Ta2xfAeKzyIwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTA5NTMyMFoYDzIxMjYxMTA1\
    MDk1MzIwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT2NRSu+oFsze0t7GdJiiDRDefOvnQgxRd6qkmj1mFTxJIthkZQggmR\
    EkGH33JhiIstlSJswN0W9ki5nwHQYyEJo28wbTAdBgNVHQ4EFgQU/q3l0/E5XczwrzzMh+eu4JVXbzQwHwYDVR0jBBgwFoAU/q3l0/E5XczwrzzMh+eu4JVXbzQwDwYD\
    VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSQAwRgIhAM2X8kAD31ngBTqIENy0OuSFz9j5YHbDBL/5ajtYQOSZAiEA\
    zhChPrmNhH5t1Jv5pK1Ww04bcOdWf1M7uAl2GG2GCQE=";

/// The key of the certificate. It protects nothing.
const KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgl2tLyjBoNXyDPAUE5f/XrlN0SGlj0MJJ2BJgec6WsO6hRANCAAT2NRSu+oFsze0t7GdJiiDRDefOvnQg\
    xRd6qkmj1mFTxJIthkZQggmREkGH33JhiIstlSJswN0W9ki5nwHQYyEJ";

/// The argument without its dashes by which Chromium accepts the certificate: the hash of the public key. By `ignore-certificate-errors` it
/// would accept any, but cache nothing.
pub const ACCEPTING: &str = "ignore-certificate-errors-spki-list=Q4Bhb61X8kPL0NvjUbQ9k2kiSNEH8SGS31g3HtWGZkQ=";

/// Value of the `Link` header of a 103, which is sent before the response that has this as its extension.
#[derive(Debug, Clone)]
pub(super) struct EarlyHints(pub(super) String);

/// Serves one origin until the runtime ends.
pub(super) async fn serve(mut listener: Cuttable, router: Router) {
    let acceptor = TlsAcceptor::from(Arc::new(configuration()));
    loop {
        let (connection, _) = listener.accept().await;
        let acceptor = acceptor.clone();
        let router = router.clone().layer(axum::Extension(ConnectInfo(connection.cut.clone())));
        // A browser may end any connection at any time.
        tokio::spawn(async move { drop(connected(connection, &acceptor, TowerToHyperService::new(router)).await) });
    }
}

fn configuration() -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(decoded(KEY)).into();
    let mut configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(decoded(CERTIFICATE))], key)
        .expect("the key is that of the certificate");
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    configuration
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn connected(
    connection: Connection,
    acceptor: &TlsAcceptor,
    service: TowerToHyperService<Router>,
) -> Result<(), Failure> {
    let stream = acceptor.accept(connection).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return multiplexed(stream, service).await;
    }
    Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
}

async fn multiplexed(stream: TlsStream<Connection>, service: TowerToHyperService<Router>) -> Result<(), Failure> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let service = service.clone();
        tokio::spawn(async move { drop(answered(request, respond, &service).await) });
    }
    Ok(())
}

/// Reads a request to its end and answers it.
async fn answered(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    service: &TowerToHyperService<Router>,
) -> Result<(), Failure> {
    let (head, mut received) = request.into_parts();
    let mut content = Vec::new();
    while let Some(data) = received.data().await {
        let data = data?;
        received.flow_control().release_capacity(data.len())?;
        content.extend_from_slice(&data);
    }
    let (head, mut body) = service.call(Request::from_parts(head, Body::from(content))).await?.into_parts();
    if let Some(EarlyHints(link)) = head.extensions.get() {
        let hints = Response::builder().status(StatusCode::EARLY_HINTS).header(header::LINK, link).body(())?;
        respond.send_informational(hints)?;
    }
    let mut stream = respond.send_response(Response::from_parts(head, ()), false)?;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            stream.send_data(data, false)?;
        }
    }
    Ok(stream.send_data(Bytes::new(), true)?)
}
