//! Serves the coverage page and the files that it loads.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::template::{Labels, number};
use super::{Shared, media};
use crate::support::sdk::page_script;

pub(super) type Parameters = Query<Vec<(String, String)>>;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the site.
enum Asset {
    /// Media type and template, which is filled with the labels of the requested URL.
    Text(&'static str, &'static str),
    /// Media type and body in base64.
    Media(&'static str, &'static str),
}

macro_rules! text {
    ($mime:expr, $file:literal) => {
        Asset::Text($mime, include_str!(concat!("www/", $file)))
    };
}

fn find(name: &str) -> Option<Asset> {
    Some(match name {
        "clip.webm" => Asset::Media("video/webm", media::VIDEO_WEBM),
        "font.woff" => Asset::Media("font/woff", media::FONT_WOFF),
        "pixel.png" => Asset::Media("image/png", media::IMAGE_PNG),
        "tone.wav" => Asset::Media("audio/wav", media::AUDIO_WAV),
        "coverage.js" => text!(SCRIPT, "coverage.js"),
        "cross-frame.html" => text!(HTML, "cross-frame.html"),
        "data.json" => Asset::Text("application/json", "{\"ok\": true}\n"),
        "drawing.svg" => text!("image/svg+xml", "drawing.svg"),
        "empty.css" => Asset::Text(STYLE, "/* nothing */\n"),
        "empty.js" => Asset::Text(SCRIPT, "// nothing\n"),
        "frame.html" => text!(HTML, "frame.html"),
        "imported.css" => text!(STYLE, "imported.css"),
        "module.mjs" => text!(SCRIPT, "module.mjs"),
        "navigation-preload.js" => text!(SCRIPT, "navigation-preload.js"),
        "plain.html" => text!(HTML, "plain.html"),
        "prerender.html" => text!(HTML, "prerender.html"),
        "sandbox.html" => text!(HTML, "sandbox.html"),
        "service-worker.js" => text!(SCRIPT, "service-worker.js"),
        "service-worker-page.html" => text!(HTML, "service-worker-page.html"),
        "shared-worker.js" => text!(SCRIPT, "shared-worker.js"),
        "style.css" => text!(STYLE, "style.css"),
        "worker.js" => text!(SCRIPT, "worker.js"),
        _ => return None,
    })
}

/// Serves `/coverage?limit=MS`, the page with every kind of request. Each request fails after `limit`, 20 s by default, so the page always
/// ends.
pub(super) async fn coverage(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> Response {
    let labels = Labels::of(&query);
    ([(header::CONTENT_TYPE, HTML)], labels.fill(include_str!("www/coverage.html"), &shared)).into_response()
}

/// Serves `/asset/NAME?ms=MS`, after `ms` milliseconds.
pub(super) async fn asset(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Parameters,
) -> Response {
    let wait = number(&query, "ms", 0);
    if wait > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    }
    answer(&name, &Labels::of(&query), &shared)
}

/// Serves the same files as `/sw/.../NAME`, a path that can be the scope of a service worker.
pub(super) async fn service_worker(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<String>,
    Query(query): Parameters,
) -> Response {
    let name = path.rsplit('/').next().unwrap_or_default();
    answer(name, &Labels::of(&query), &shared)
}

/// Serves `/otel.js`, which a test must bundle first.
pub(super) async fn otel_script() -> Response {
    let script = page_script().expect("the test has called `sdk::make_page_script`");
    ([(header::CONTENT_TYPE, SCRIPT)], script).into_response()
}

fn answer(name: &str, labels: &Labels, shared: &Shared) -> Response {
    match find(name) {
        Some(Asset::Text(mime, template)) => {
            ([(header::CONTENT_TYPE, mime)], labels.fill(template, shared)).into_response()
        }
        Some(Asset::Media(mime, body)) => ([(header::CONTENT_TYPE, mime)], decoded(body)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) fn decoded(body: &str) -> Vec<u8> {
    STANDARD.decode(body).expect("the media bodies are valid base64")
}
