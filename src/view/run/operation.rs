//! What spans are grouped by: the endpoint that they call or answer. Pure.

use std::borrow::Cow;

use serde::Serialize;
use url::Url;

use crate::base::text::short_name;
use crate::export::otlp::own;
use crate::view::parsed::ParsedSpan;
use crate::view::trace::Role;

/// What a span did, apart from ids and other values that differ from one to the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Operation {
    /// How it took part.
    pub kind: OperationKind,
    /// The service.
    pub service: String,
    /// The method with the route, or with host and path; else the name of the span.
    pub name: String,
}

/// How a span takes part in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// A navigation of a browser.
    Page,
    /// A request of a browser.
    Request,
    /// An answer of a service.
    Server,
    /// A call of a service.
    Client,
    /// A message that a service received.
    Consumer,
    /// A message that a service sent.
    Producer,
    /// Work within a service, or a step of a test.
    Internal,
    /// A test, in a comparison.
    Test,
}

impl OperationKind {
    /// Whether spans are listed by this operation. What is internal is part of others.
    pub(crate) fn is_endpoint(self) -> bool {
        self != Self::Internal
    }
}

impl Operation {
    /// Returns the operation of a span of this service.
    pub(crate) fn of(span: &ParsedSpan, service: &str) -> Self {
        let method = span.first_text(&["http.request.method", "http.method"]);
        let address = || span.first_text(&["url.full", "http.url"]).and_then(|url| Url::parse(url).ok());
        let (kind, name) = match span.role() {
            Role::Navigation => (OperationKind::Page, address().map(|url| place(&url))),
            Role::Request if span.kind == "client" => {
                let name = address().map(|url| format!("{} {}", method.unwrap_or_default(), place(&url)));
                (OperationKind::Request, name)
            }
            _ => {
                let kind = match span.kind {
                    "server" => OperationKind::Server,
                    "client" => OperationKind::Client,
                    "consumer" => OperationKind::Consumer,
                    "producer" => OperationKind::Producer,
                    _ => OperationKind::Internal,
                };
                let name = method.and_then(|method| {
                    let path = || span.first_text(&["url.path", "http.target", "http.path"]).map(ToOwned::to_owned);
                    let path = match (kind, span.first_text(&["http.route"])) {
                        (OperationKind::Server, Some(route)) => route.to_owned(),
                        (OperationKind::Server, None) => {
                            let path = path().or_else(|| Some(address()?.path().to_owned()))?;
                            without_ids(path.split('?').next().unwrap_or_default()).into_owned()
                        }
                        _ => place(&address()?),
                    };
                    Some(format!("{method} {path}"))
                });
                (kind, name)
            }
        };
        let name = name.unwrap_or_else(|| span.name.clone());
        Self { kind, service: short_name(service).into_owned(), name: short_name(&name).into_owned() }
    }
}

/// Returns whether the browser's cache has answered a request.
pub(crate) fn is_cached(span: &ParsedSpan) -> bool {
    span.role() == Role::Request && span.attribute(own::FROM_CACHE).is_some_and(|value| *value == true)
}

/// Returns host and path of an address.
fn place(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}{}", url.host_str().unwrap_or_default(), without_ids(url.path()))
}

/// Replaces parts of a path that are ids, so that paths which differ in these alone are one operation.
fn without_ids(path: &str) -> Cow<'_, str> {
    if !path.split('/').any(is_id) {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> = path.split('/').map(|part| if is_id(part) { "{id}" } else { part }).collect();
    Cow::Owned(parts.join("/"))
}

/// Returns whether a part of a path is a number, a UUID, or a hexadecimal number of 16 digits or more.
fn is_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    digits > 0 && (digits == part.len() || is_hex && part.len() >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scope: &str, kind: &'static str, name: &str, attributes: &[(&str, &str)]) -> (OperationKind, String) {
        let span = ParsedSpan {
            scope: scope.to_owned(),
            kind,
            name: name.to_owned(),
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect(),
            ..ParsedSpan::default()
        };
        let Operation { kind, name, .. } = Operation::of(&span, "s");
        (kind, name)
    }

    #[test]
    fn spans_are_grouped_by_endpoint() {
        use OperationKind::{Client, Consumer, Internal, Page, Request, Server};
        let get = ("http.request.method", "GET");
        for (scope, kind, name, attributes, expected) in [
            (
                "navtrace",
                "internal",
                "navigation",
                &[("url.full", "http://shop.test:81/cart/7?q=1")][..],
                (Page, "shop.test:81/cart/{id}"),
            ),
            (
                "navtrace",
                "client",
                "GET",
                &[get, ("url.full", "http://shop.test/a/b2?q=1")],
                (Request, "GET shop.test/a/b2"),
            ),
            // From the cache, or never sent.
            ("navtrace", "internal", "GET", &[get, ("url.full", "http://shop.test/a")], (Internal, "GET shop.test/a")),
            ("navtrace", "internal", "browser session", &[], (Internal, "browser session")),
            (
                "axum",
                "server",
                "x",
                &[get, ("http.route", "/api/orders/:id"), ("url.path", "/api/orders/7")],
                (Server, "GET /api/orders/:id"),
            ),
            ("axum", "server", "x", &[get, ("url.path", "/api/orders/7")], (Server, "GET /api/orders/{id}")),
            ("old", "server", "x", &[("http.method", "PUT"), ("http.target", "/o/7?id=1")], (Server, "PUT /o/{id}")),
            (
                "old",
                "server",
                "x",
                &[("http.method", "PUT"), ("http.url", "http://s/o/7?id=1")],
                (Server, "PUT /o/{id}"),
            ),
            ("rpc", "server", "shop.Cart/Add", &[], (Server, "shop.Cart/Add")),
            (
                "axum",
                "client",
                "GET",
                &[get, ("url.full", "http://stock:8080/items/7")],
                (Client, "GET stock:8080/items/{id}"),
            ),
            ("pg", "client", "SELECT orders", &[], (Client, "SELECT orders")),
            ("amqp", "consumer", "process orders", &[], (Consumer, "process orders")),
        ] {
            assert_eq!(of(scope, kind, name, attributes), (expected.0, expected.1.to_owned()));
        }
    }

    #[test]
    fn ids_in_paths_are_recognized() {
        for (path, expected) in [
            ("/", "/"),
            ("/cart/12/items/", "/cart/{id}/items/"),
            ("/o/4bf92f35-77b3-4da6-a33e-f53705a74581", "/o/{id}"),
            ("/t/4bf92f3577b34da6", "/t/{id}"),
            ("/api/v2/face/cafe-babe", "/api/v2/face/cafe-babe"),
            ("/decade-facade-added", "/decade-facade-added"),
            ("/app.3f9a2c17.js", "/app.3f9a2c17.js"),
        ] {
            assert_eq!(without_ids(path), expected);
        }
    }
}
