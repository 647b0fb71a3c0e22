//! Serves the page on loopback, at a secret URL.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rand::RngExt;

use crate::base::signals;
use crate::base::stdio::say;
use crate::base::threads;

/// Serves a page and opens it in the browser. Returns on SIGINT, SIGTERM or SIGHUP.
pub(crate) fn serve(html: String) -> io::Result<()> {
    let mut signals = signals::catch(&signals::ENDING).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    // Other users of this machine can reach the port, but can't guess the path.
    let path = format!("/{:032x}/", rand::rng().random::<u128>());
    let url = format!("http://{address}{path}");
    let page = move |request: Request| async move { answer(&request, html) };
    let router = Router::new().route(&path, get(page));
    threads::start("page", move || runtime.block_on(async { axum::serve(listener, router).await }))
        .map_err(io::Error::other)?;
    let opened = open::that_detached(&url);
    let problem = opened.err().map_or_else(String::new, |error| format!("; no browser could be started: {error}"));
    say(&format!("the page: {url} (Ctrl-C ends it){problem}"));
    signals.forever().next();
    Ok(())
}

/// Answers with the page. A request with a foreign Host header is refused: it may come from a website by DNS rebinding.
fn answer(request: &Request, html: String) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let headers = [
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, policy(&html)),
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Html(html)).into_response()
}

/// Returns whether a Host header names this machine. The port may differ, since the page may be reached through a tunnel.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the page's own Content-Security-Policy with `frame-ancestors`, which only a header can set.
fn policy(html: &str) -> String {
    let start = "http-equiv=\"Content-Security-Policy\" content=\"";
    let policy = html.split_once(start).and_then(|(_, rest)| rest.split_once('"'));
    format!("{}; frame-ancestors 'none'", policy.map_or("default-src 'none'", |(policy, _)| policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::page::{self, Page};

    #[test]
    fn only_loopback_hosts_are_served() {
        for host in ["127.0.0.1:4318", "127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:80"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "evil.test", "localhost.evil.test", "127.0.0.1.evil.test:80", "0.0.0.0:80", "[::2]", "a b"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_header_has_the_policy_of_the_page() {
        let html = page::render(&Page {
            source: "x",
            traces: &[],
            left_out_traces: 0,
            left_out_spans: 0,
            run: None,
            correct_clocks: false,
        });
        let policy = policy(&html);
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(policy.ends_with("; form-action 'none'; frame-ancestors 'none'"), "{policy}");
    }
}
