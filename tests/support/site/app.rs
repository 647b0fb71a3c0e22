//! Serves a single-page application of code-split chunks, of which nothing can be cached.
//!
//! The entry imports a chain of chunks, shows the first text, and imports further chunks while it runs. When all of them are there, it calls
//! services and loads images. `window.loaded` resolves at the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::assets::{Parameters, decoded};
use super::template::Labels;
use super::{Shared, generated, media};

/// Requests of one page by kind. CORS preflights come on top if a client sets headers.
pub const APP_REQUESTS: [(&str, usize); 6] =
    [("app-call", 4), ("app-chunk", 11), ("app-font", 1), ("app-image", 6), ("app-style", 2), ("document", 1)];

/// A module of the application.
struct Chunk {
    name: &'static str,
    kib: usize,
    /// Chunks that the browser loads before this one runs.
    imports: &'static [&'static str],
    /// Chunks that this one imports while it runs.
    then: &'static [&'static str],
}

const CHUNKS: [Chunk; 11] = [
    Chunk { name: "entry", kib: 12, imports: &["runtime", "vendor"], then: &["router"] },
    Chunk { name: "runtime", kib: 10, imports: &[], then: &[] },
    Chunk { name: "vendor", kib: 50, imports: &["framework"], then: &[] },
    Chunk { name: "framework", kib: 45, imports: &[], then: &[] },
    Chunk { name: "router", kib: 15, imports: &[], then: &["catalog"] },
    Chunk { name: "catalog", kib: 30, imports: &["menu", "listing", "basket"], then: &["details"] },
    Chunk { name: "menu", kib: 15, imports: &[], then: &[] },
    Chunk { name: "listing", kib: 20, imports: &[], then: &[] },
    Chunk { name: "basket", kib: 15, imports: &[], then: &[] },
    Chunk { name: "details", kib: 25, imports: &["prices"], then: &[] },
    Chunk { name: "prices", kib: 10, imports: &[], then: &[] },
];

impl Chunk {
    /// Returns the imports of a module, as the start of its script.
    fn head(&self) -> String {
        let line = |name: &&str| format!("import {{ ready as {name}Ready }} from '{}';\n", address(name));
        self.imports.iter().map(line).collect()
    }

    /// Returns the end of a module's script: its work, and everything that it waits for.
    fn tail(&self) -> String {
        let mut text = "export const ready = (async () => {\n  work();\n".to_owned();
        for name in self.imports {
            let _ = writeln!(text, "  await {name}Ready;");
        }
        for name in self.then {
            let _ = writeln!(text, "  await (await import('{}')).ready;", address(name));
        }
        text + "})();\n"
    }
}

fn address(chunk: &str) -> String {
    format!("/app/{chunk}.js?kind=app-chunk&{{{{Q}}}}")
}

/// A file of the application.
struct File {
    mime: &'static str,
    /// Template before the body.
    head: String,
    body: Vec<u8>,
    /// Template after the body.
    tail: String,
}

/// All files by name, generated once.
static FILES: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    for chunk in &CHUNKS {
        let end = if chunk.name == "entry" { include_str!("www/app.js") } else { "" };
        let (head, body) = (chunk.head(), generated::script(chunk.name, chunk.kib).into_bytes());
        let file = File { mime: "text/javascript; charset=utf-8", head, body, tail: chunk.tail() + end };
        files.insert(format!("{}.js", chunk.name), file);
    }
    for (name, kib) in [("theme", 12), ("layout", 6)] {
        let body = generated::style(name, kib).into_bytes();
        let tail = if name == "theme" { FONT } else { "" };
        files.insert(format!("{name}.css"), File::new("text/css; charset=utf-8", body).ending(tail));
    }
    for (seed, name) in (1..).zip(["logo", "banner", "product-1", "product-2", "partner-1", "partner-2"]) {
        files.insert(format!("{name}.bmp"), File::new("image/bmp", generated::image(seed)));
    }
    for name in ["products", "basket", "offers", "stock"] {
        files.insert(format!("{name}.json"), File::new("application/json", generated::data(name).into_bytes()));
    }
    files.insert("text.woff".to_owned(), File::new("font/woff", decoded(media::FONT_WOFF)));
    files
});

/// `swap` shows text in another font until this one is there, as most sites do.
const FONT: &str =
    "@font-face { font-family: shop; font-display: swap; src: url('/app/text.woff?kind=app-font&{{Q}}'); }
h1 { font-family: shop, sans-serif; }
";

impl File {
    fn new(mime: &'static str, body: Vec<u8>) -> Self {
        Self { mime, head: String::new(), body, tail: String::new() }
    }

    fn ending(self, tail: &str) -> Self {
        Self { tail: tail.to_owned(), ..self }
    }
}

/// Serves `/app`, the document of the application.
pub(super) async fn document(State(shared): State<Arc<Shared>>, Query(query): Parameters) -> Response {
    let html = Labels::of(&query).fill(include_str!("www/app.html"), &shared);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

/// Serves `/app/NAME`, a file of the application.
pub(super) async fn file(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Parameters,
) -> Response {
    let Some(file) = FILES.get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let labels = Labels::of(&query);
    let (head, tail) = (labels.fill(&file.head, &shared), labels.fill(&file.tail, &shared));
    let body = [head.as_bytes(), &file.body, tail.as_bytes()].concat();
    ([(header::CONTENT_TYPE, file.mime)], body).into_response()
}
