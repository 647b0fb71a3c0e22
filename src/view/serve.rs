//! Serves a page on loopback, to whoever was told its address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rand::RngExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::say::say;

/// Serves a page and opens it, until a signal says that it is enough.
///
/// # Errors
///
/// Whatever keeps it from being served.
pub fn serve(html: String) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    // Other users of this machine can reach the port, but don't know the path.
    let path = format!("/{:032x}/", rand::rng().random::<u128>());
    let url = format!("http://{address}{path}");
    let page = move |request: Request| async move { answer(&request, address, html) };
    let router = Router::new().route(&path, get(page));
    std::thread::spawn(move || runtime.block_on(async { axum::serve(listener, router).await }));
    match open::that_detached(&url) {
        Ok(()) => say(&format!("the page: {url} (Ctrl-C ends it)")),
        Err(error) => say(&format!("the page: {url} (Ctrl-C ends it); no browser could be started: {error}")),
    }
    signals.forever().next();
    Ok(())
}

/// Gives the page to whoever asks this address: a page of elsewhere whose name was made to lead here has another one.
fn answer(request: &Request, address: SocketAddr, html: String) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host != Some(address.to_string().as_str()) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response = (headers, Html(html)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
