//! Serves generated pages, and navigations that end in other ways.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};

use super::assets::{Parameters, decoded};
use super::http2::EarlyHints;
use super::template::{Labels, escape, label, number, parameter};
use super::{Shared, media};

/// Resources of `/cached`.
const CACHEABLE: usize = 32;

/// Serves `/page?subs=K&delay=MS`, a page with K subresources, each answered after `delay`, and two fetches.
pub(super) async fn page(Query(query): Parameters) -> Html<String> {
    Html(plain(&query))
}

/// Serves `/settled`, the same page, which makes these requests only when the rules of the browser have changed.
pub(super) async fn settled(Query(query): Parameters) -> Html<String> {
    let held = "<template>{{HEAD}}{{BODY}}</template>\n";
    let page = include_str!("www/page.html").replace("{{HEAD}}", "").replace("{{BODY}}", held);
    Html(with_resources(&page, &query))
}

/// Serves `/slow?ms=MS`, a plain page after a delay in which the navigation can be aborted.
pub(super) async fn slow(Query(query): Parameters) -> Html<String> {
    tokio::time::sleep(Duration::from_millis(number(&query, "ms", 1000))).await;
    Html(plain(&query))
}

/// Serves `/endless?nav=NAME.NUMBER`, a page that fetches without end, and navigates to the next number after a while. Its requests name the
/// requests of the page that have ended, and when.
pub(super) async fn endless(Query(query): Parameters) -> Html<String> {
    let labels = Labels::of(&query);
    let page = include_str!("www/endless.html").replace("{{Q}}", &labels.query()).replace("{{RUN}}", &labels.run);
    Html(with_resources(&page, &query))
}

fn plain(query: &[(String, String)]) -> String {
    with_resources(include_str!("www/page.html"), query)
}

fn with_resources(page: &str, query: &[(String, String)]) -> String {
    let labels = Labels::of(query);
    let delay = number(query, "delay", 0);
    let url = |file: &str, kind: &str, i: u64| format!("/asset/{file}?kind={kind}&i={i}&ms={delay}&{}", labels.query());
    let (mut head, mut body) = (String::new(), String::new());
    for i in 0..number(query, "subs", 4) {
        let _ = match i {
            0 => writeln!(head, "<script src=\"{}\"></script>", url("empty.js", "script", i)),
            1 => writeln!(head, "<link rel=\"stylesheet\" href=\"{}\">", url("empty.css", "style", i)),
            _ => writeln!(body, "<img alt=\"\" src=\"{}\">", url("pixel.png", "image", i)),
        };
    }
    page.replace("{{NAV}}", &labels.nav)
        .replace("{{HEAD}}", &head)
        .replace("{{BODY}}", &body)
        .replace("{{SETTLING}}", &format!("/carried?kind=settling&{}", labels.query()))
        .replace("{{FETCH}}", &url("data.json", "fetch", 0))
        .replace("{{LATE}}", &url("data.json", "fetch-late", 0))
}

/// Serves `/opener?open=A,B&blank=C,D`: a button with `window.open` or a link with `target=_blank` for each navigation.
pub(super) async fn opener(Query(query): Parameters) -> Html<String> {
    let labels = Labels::of(&query);
    let navs = |name| parameter(&query, name).unwrap_or_default().split(',').map(label).filter(|nav| !nav.is_empty());
    let url = |nav: &str| format!("/page?kind=document&nav={nav}&run={}&subs=2", labels.run);
    let mut body = String::new();
    for (i, nav) in navs("open").enumerate() {
        let _ = writeln!(body, "<button id=\"open-{i}\" onclick=\"window.open('{}')\">open {nav}</button>", url(&nav));
    }
    for (i, nav) in navs("blank").enumerate() {
        let _ = writeln!(body, "<a id=\"blank-{i}\" target=\"_blank\" href=\"{}\">{nav}</a>", url(&nav));
    }
    Html(include_str!("www/opener.html").replace("{{NAV}}", &labels.nav).replace("{{BODY}}", &body))
}

/// Serves `/otel?propagation=own|server-timing`, a page that is instrumented with OpenTelemetry's web SDK. Its script is
/// `tests/support/sdk/web/page.js`.
pub(super) async fn otel(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> Html<String> {
    Html(Labels::of(&query).fill(include_str!("www/otel.html"), &shared))
}

/// Serves `/cached`, a page with 32 cacheable resources. Their only label is the run, so that a cache can serve them again.
pub(super) async fn cached(Query(query): Parameters) -> Html<String> {
    let labels = Labels::of(&query);
    let mut tags = String::new();
    for i in 0..CACHEABLE {
        let url = |ending| format!("/cacheable/{i}.{ending}?kind=cached&run={}", labels.run);
        let _ = match i % 4 {
            0 => writeln!(tags, "<script src=\"{}\"></script>", url("js")),
            1 => writeln!(tags, "<link rel=\"stylesheet\" href=\"{}\">", url("css")),
            _ => writeln!(tags, "<img alt=\"\" src=\"{}\">", url("png")),
        };
    }
    Html(include_str!("www/cached.html").replace("{{NAV}}", &labels.nav).replace("{{BODY}}", &tags))
}

/// Serves `/cacheable/I.ENDING`, which may be cached for an hour.
pub(super) async fn cacheable(Path(name): Path<String>) -> Response {
    let (mime, body) = match name.rsplit('.').next() {
        Some("js") => ("text/javascript", b"// kept\n".to_vec()),
        Some("css") => ("text/css", b"/* kept */\n".to_vec()),
        _ => ("image/png", decoded(media::IMAGE_PNG)),
    };
    ([(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "public, max-age=3600")], body).into_response()
}

/// Serves `/redirect?to=URL&n=HOPS`, a chain of 302s. All hops and the target have the labels of the first URL.
pub(super) async fn redirect(OriginalUri(uri): OriginalUri, Query(query): Parameters) -> Response {
    let to = parameter(&query, "to").unwrap_or("/empty");
    let hops = number(&query, "n", 1);
    let names = ["kind", "nav", "run"];
    let labels = names.iter().filter_map(|name| Some((*name, parameter(&query, name)?)));
    let location = if hops > 1 {
        labels.fold(format!("{}?to={}&n={}", uri.path(), escape(to), hops - 1), add)
    } else {
        // Labels in the target's own URL win.
        let own = |name: &str| to.contains(&format!("?{name}=")) || to.contains(&format!("&{name}="));
        labels.filter(|(name, _)| !own(name)).fold(to.to_owned(), add)
    };
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn add(mut url: String, (name, value): (&str, &str)) -> String {
    url.push(if url.contains('?') { '&' } else { '?' });
    let _ = write!(url, "{name}={}", escape(value));
    url
}

/// Serves `/download`, a navigation that becomes a file.
pub(super) async fn download() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"file.bin\""),
    ];
    (headers, "content\n")
}

/// Serves `/hinting`, a plain page. Over HTTP/2, Early Hints let the browser load an image before it has the page.
pub(super) async fn hinting(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> impl IntoResponse {
    let labels = Labels::of(&query);
    let hints = EarlyHints(format!("</cacheable/0.png?kind=hinted&{}>; rel=preload; as=image", labels.query()));
    (Extension(hints), Html(labels.fill(include_str!("www/plain.html"), &shared)))
}

/// Serves `/events`, a stream of one event, after which the page closes it.
pub(super) async fn events() -> impl IntoResponse {
    // The page must not reconnect during the test.
    ([(header::CONTENT_TYPE, "text/event-stream")], "retry: 600000\ndata: 1\n\n")
}

/// Serves `/ws`, a WebSocket that sends a message and closes.
pub(super) async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        let _ = socket.send(Message::Text("hello".into())).await;
        let _ = socket.send(Message::Close(None)).await;
    })
}

/// Serves `/carried`: the `traceparent` of the request, or else its `b3`.
pub(super) async fn carried(headers: HeaderMap) -> Vec<u8> {
    let context = headers.get("traceparent").or_else(|| headers.get("b3"));
    context.map(|value| value.as_bytes().to_vec()).unwrap_or_default()
}

/// Serves `/seen`: how often each kind has arrived for a run and navigation.
pub(super) async fn seen(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> impl IntoResponse {
    let labels = Labels::of(&query);
    Json(shared.record.kinds_of(&labels.run, &labels.nav))
}
