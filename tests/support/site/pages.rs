//! The pages that are made for a navigation: plain ones, and the ways in which a navigation can go otherwise.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::assets::{Parameters, decoded};
use super::template::{Words, escape, number, parameter, word};
use super::{Shared, media};

/// How many resources `/cached` has.
const CACHEABLE: usize = 32;

/// Answers `/page?subs=K&delay=MS`: a page with K sub-resources in its markup, each answered after `delay`, and two fetches.
pub(super) async fn page(Query(query): Parameters) -> Html<String> {
    Html(plain(&query))
}

/// Answers `/slow?ms=MS`: a plain page that takes its time, so that the navigation to it can be aborted.
pub(super) async fn slow(Query(query): Parameters) -> Html<String> {
    tokio::time::sleep(Duration::from_millis(number(&query, "ms", 1000))).await;
    Html(plain(&query))
}

/// Answers `/endless?nav=NAME.NUMBER`: a page that fetches without an end and goes on to the next number after a while.
/// Its requests say which of the page's requests have ended, and when.
pub(super) async fn endless(Query(query): Parameters) -> Html<String> {
    let words = Words::of(&query);
    let page = include_str!("www/endless.html").replace("{{Q}}", &words.query()).replace("{{RUN}}", &words.run);
    Html(with_resources(&page, &query))
}

fn plain(query: &[(String, String)]) -> String {
    with_resources(include_str!("www/page.html"), query)
}

fn with_resources(page: &str, query: &[(String, String)]) -> String {
    let words = Words::of(query);
    let delay = number(query, "delay", 0);
    let url = |file: &str, kind: &str, i: u64| format!("/asset/{file}?kind={kind}&i={i}&ms={delay}&{}", words.query());
    let (mut head, mut body) = (String::new(), String::new());
    for i in 0..number(query, "subs", 4) {
        let _ = match i {
            0 => writeln!(head, "<script src=\"{}\"></script>", url("empty.js", "script", i)),
            1 => writeln!(head, "<link rel=\"stylesheet\" href=\"{}\">", url("empty.css", "style", i)),
            _ => writeln!(body, "<img alt=\"\" src=\"{}\">", url("pixel.png", "image", i)),
        };
    }
    page.replace("{{NAV}}", &words.nav)
        .replace("{{HEAD}}", &head)
        .replace("{{BODY}}", &body)
        .replace("{{FETCH}}", &url("data.json", "fetch", 0))
        .replace("{{LATE}}", &url("data.json", "fetch-late", 0))
}

/// Answers `/opener?open=A,B&blank=C,D`: buttons that call `window.open`, and links with `target=_blank`, each for a navigation.
pub(super) async fn opener(Query(query): Parameters) -> Html<String> {
    let words = Words::of(&query);
    let navs = |name| parameter(&query, name).unwrap_or_default().split(',').map(word).filter(|nav| !nav.is_empty());
    let url = |nav: &str| format!("/page?kind=document&nav={nav}&run={}&subs=2", words.run);
    let mut body = String::new();
    for (i, nav) in navs("open").enumerate() {
        let _ = writeln!(body, "<button id=\"open-{i}\" onclick=\"window.open('{}')\">open {nav}</button>", url(&nav));
    }
    for (i, nav) in navs("blank").enumerate() {
        let _ = writeln!(body, "<a id=\"blank-{i}\" target=\"_blank\" href=\"{}\">{nav}</a>", url(&nav));
    }
    Html(include_str!("www/opener.html").replace("{{NAV}}", &words.nav).replace("{{BODY}}", &body))
}

/// Answers `/otel?propagation=own|server-timing`: a page that is instrumented with OpenTelemetry's own SDK. Its script,
/// `tests/support/sdk/web/page.js`, says what it does.
pub(super) async fn otel(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> Html<String> {
    Html(Words::of(&query).fill(include_str!("www/otel.html"), &shared))
}

/// Answers `/cached`: a page with 32 resources that may be kept. Their URLs name the run only, or no cache could serve them again.
pub(super) async fn cached(Query(query): Parameters) -> Html<String> {
    let words = Words::of(&query);
    let mut tags = String::new();
    for i in 0..CACHEABLE {
        let url = |ending| format!("/cacheable/{i}.{ending}?kind=cached&run={}", words.run);
        let _ = match i % 4 {
            0 => writeln!(tags, "<script src=\"{}\"></script>", url("js")),
            1 => writeln!(tags, "<link rel=\"stylesheet\" href=\"{}\">", url("css")),
            _ => writeln!(tags, "<img alt=\"\" src=\"{}\">", url("png")),
        };
    }
    Html(include_str!("www/cached.html").replace("{{NAV}}", &words.nav).replace("{{BODY}}", &tags))
}

/// Answers `/cacheable/I.ENDING`, to be kept for an hour.
pub(super) async fn cacheable(Path(name): Path<String>) -> Response {
    let (mime, body) = match name.rsplit('.').next() {
        Some("js") => ("text/javascript", b"// kept\n".to_vec()),
        Some("css") => ("text/css", b"/* kept */\n".to_vec()),
        _ => ("image/png", decoded(media::IMAGE_PNG)),
    };
    ([(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "public, max-age=3600")], body).into_response()
}

/// Answers `/redirect?to=URL&n=HOPS`: a chain of 302s; every hop and the target carry the `kind`, `nav` and `run` of the first.
pub(super) async fn redirect(OriginalUri(uri): OriginalUri, Query(query): Parameters) -> Response {
    let to = parameter(&query, "to").unwrap_or("/empty");
    let hops = number(&query, "n", 1);
    let names = ["kind", "nav", "run"];
    let words = names.iter().filter_map(|name| Some((*name, parameter(&query, name)?)));
    let location = if hops > 1 {
        words.fold(format!("{}?to={}&n={}", uri.path(), escape(to), hops - 1), add)
    } else {
        // What the target's own URL says goes first.
        let own = |name: &str| to.contains(&format!("?{name}=")) || to.contains(&format!("&{name}="));
        words.filter(|(name, _)| !own(name)).fold(to.to_owned(), add)
    };
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn add(mut url: String, (name, value): (&str, &str)) -> String {
    url.push(if url.contains('?') { '&' } else { '?' });
    let _ = write!(url, "{name}={}", escape(value));
    url
}

/// Answers `/download`: a navigation that ends as a file.
pub(super) async fn download() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"file.bin\""),
    ];
    (headers, "content\n")
}

/// Answers `/events`: one event; the page closes the stream then.
pub(super) async fn events() -> impl IntoResponse {
    // The stream ends after its event, and a page that missed it must not come back within the test.
    ([(header::CONTENT_TYPE, "text/event-stream")], "retry: 600000\ndata: 1\n\n")
}

/// Answers `/ws`: greets and closes.
pub(super) async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        let _ = socket.send(Message::Text("hello".into())).await;
        let _ = socket.send(Message::Close(None)).await;
    })
}

/// Answers `/seen`: how often each kind has arrived for the run and navigation that ask.
pub(super) async fn seen(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> impl IntoResponse {
    let words = Words::of(&query);
    Json(shared.record.kinds_of(&words.run, &words.nav))
}
