//! Tests what a browser asks before a page may send spans to another origin.

use reqwest::Method;
use reqwest::blocking::Response;

use crate::collector::{JSON, RunningCollector, request};

const PAGE: &str = "https://shop.test";

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn pages_of_every_origin_may_send_spans() {
    let collector = RunningCollector::start();
    for path in ["traces", "metrics", "logs"] {
        let preflight = collector.client.request(Method::OPTIONS, format!("{}/v1/{path}", collector.endpoint));
        let preflight = preflight
            .header("origin", PAGE)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-encoding,content-type,traceparent,x-own")
            .header("access-control-request-private-network", "true")
            .send()
            .unwrap();
        assert!(preflight.status().is_success(), "{}", preflight.status());
        assert_eq!(header(&preflight, "access-control-allow-origin"), PAGE);
        assert_eq!(header(&preflight, "access-control-allow-credentials"), "true");
        assert_eq!(header(&preflight, "access-control-allow-methods"), "POST");
        let allowed = header(&preflight, "access-control-allow-headers");
        assert_eq!(allowed, "content-encoding,content-type,traceparent,x-own");
        assert_eq!(header(&preflight, "access-control-allow-private-network"), "true");
    }
    let body = |number| serde_json::to_vec(&request("shop", number, 1)).unwrap();
    for (number, kind, status) in [(0, JSON, 200), (1, "text/plain;charset=UTF-8", 200), (2, "image/png", 415)] {
        let response = collector.post(kind, body(number)).header("origin", PAGE).send().unwrap();
        assert_eq!(response.status().as_u16(), status, "{kind}");
        assert_eq!(header(&response, "access-control-allow-origin"), PAGE, "{kind}");
    }
    assert_eq!(collector.spans().len(), 2);
    // Other programs get none of it.
    let plain = collector.post(JSON, body(3)).send().unwrap();
    assert_eq!(header(&plain, "access-control-allow-origin"), "");
}
