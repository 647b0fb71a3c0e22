use std::collections::BTreeMap;

use super::*;
use crate::context::ids::{Flags, SpanId};
use crate::context::issuer::SessionContext;
use crate::observe::test_span::{CodePlace, Step, Test, TestError};

const SESSION: &str = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;

fn session() -> SessionContext {
    serde_json::from_str(SESSION).unwrap()
}

/// Returns a plain session span.
fn root() -> Span {
    let session = session();
    Span {
        trace_id: session.trace_id,
        id: session.span_id,
        parent: None,
        is_remote: false,
        flags: Flags::SAMPLED,
        tracestate: Box::default(),
        links: Vec::new(),
        start: 1,
        end: 2,
        unfinished: false,
        operation: Operation::Session,
        description: None,
    }
}

fn exported(operation: Operation) -> OtlpSpan {
    let session = session();
    let id: SpanId = "b7ad6b7169203331".parse().unwrap();
    let span = Span {
        trace_id: session.trace_id,
        id,
        parent: Some(session.span_id),
        start: 5,
        end: 9,
        unfinished: false,
        operation,
        ..root()
    };
    let mut request = request([&span], &Resource::default());
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

/// Returns attributes as text.
fn attributes(span: &OtlpSpan) -> BTreeMap<&str, String> {
    let text = |value: &KeyValue| match value.value.clone().and_then(|any| any.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    span.attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

fn get() -> Request {
    Request {
        method: "GET".into(),
        url: "https://shop.test/api?q=1".into(),
        resource: "xmlhttprequest".into(),
        resend_count: 0,
        size: None,
        status: Some(200),
        from_cache: false,
        unsent: false,
        challenged: false,
        address: Some("192.0.2.1".into()),
        protocol: Some("HTTP/1.1".into()),
        error: None,
    }
}

fn exported_request(request: Request) -> OtlpSpan {
    exported(Operation::Request(Box::new(request)))
}

#[test]
fn a_request_is_a_client_span_as_the_conventions_specify() {
    let span = exported_request(get());
    assert_eq!((span.name.as_str(), span.kind()), ("GET", SpanKind::Client));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano, span.flags), (5, 9, 0x101));
    assert_eq!(span.trace_id, session().trace_id.bytes());
    assert_eq!(span.parent_span_id, session().span_id.bytes());
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("navtrace.request.resource_type", "xmlhttprequest"),
        ("network.peer.address", "192.0.2.1"),
        ("server.address", "shop.test"),
        ("server.port", "443"),
        ("url.full", "https://shop.test/api?q=1"),
    ];
    assert_eq!(attributes(&span), expected.map(|(key, value)| (key, value.to_owned())).into());
    assert_eq!((span.status, span.links.len(), span.events.len()), (None, 0, 0));
}

#[test]
fn unknown_methods_are_not_used_as_span_names() {
    let span = exported_request(Request { method: "BREW".into(), ..get() });
    let attributes = attributes(&span);
    assert_eq!(span.name, "HTTP");
    assert_eq!(attributes["http.request.method"], "_OTHER");
    assert_eq!(attributes["http.request.method_original"], "BREW");
}

#[test]
fn failures_are_errors_and_cancellations_are_not() {
    let with = |error| exported_request(Request { error: Some(error), ..get() });
    let span = with(SpanError::Status(404));
    assert_eq!(span.status, Some(Status { code: StatusCode::Error.into(), message: String::new() }));
    assert_eq!(attributes(&span)["error.type"], "404");
    let span = with(SpanError::Network("net::ERR_TIMED_OUT".into()));
    assert_eq!(span.status.as_ref().unwrap().message, "net::ERR_TIMED_OUT");
    assert_eq!(attributes(&span)["error.type"], "net::ERR_TIMED_OUT");
    let span = with(SpanError::Cancelled);
    assert_eq!(span.status, None);
    assert_eq!(attributes(&span)["navtrace.request.cancelled"], "true");
    assert!(!attributes(&span).contains_key("error.type"));
    let span = with(SpanError::Blocked("net::ERR_BLOCKED_BY_ORB".into()));
    assert_eq!(span.status, None);
    assert_eq!(attributes(&span)["navtrace.request.blocked"], "true");
    assert_eq!(attributes(&span)["error.type"], "net::ERR_BLOCKED_BY_ORB");
    assert_eq!(span.kind(), SpanKind::Client, "it left");
}

#[test]
fn what_never_left_is_no_client_span() {
    let span = exported_request(Request { unsent: true, status: None, ..get() });
    assert_eq!(span.kind(), SpanKind::Internal);
    assert_eq!(attributes(&span)["navtrace.request.unsent"], "true");
    let span = exported_request(Request { challenged: true, status: Some(401), ..get() });
    assert_eq!((span.kind(), span.status.is_none()), (SpanKind::Client, true));
    assert_eq!(attributes(&span)["navtrace.request.challenged"], "true");
}

#[test]
fn a_response_from_the_cache_is_no_client_span() {
    let span = exported_request(Request { from_cache: true, ..get() });
    assert_eq!(span.kind(), SpanKind::Internal);
    assert_eq!(attributes(&span)["navtrace.request.from_cache"], "true");
    assert!(!attributes(&span).contains_key("network.peer.address"));
}

#[test]
fn the_http_version_is_given_for_unencrypted_requests() {
    let version = |url: &str, protocol: &str| {
        let span = exported_request(Request { url: url.into(), protocol: Some(protocol.into()), ..get() });
        attributes(&span).get("network.protocol.version").cloned()
    };
    assert_eq!(version("http://shop.test/", "HTTP/1.0").as_deref(), Some("1.0"));
    assert_eq!(version("ws://shop.test/", "HTTP/1.1").as_deref(), Some("1.1"));
    assert_eq!(version("https://shop.test/", "HTTP/1.1"), None);
}

#[test]
fn redirect_hops_and_body_sizes_are_attributes() {
    let span = exported_request(Request { method: "POST".into(), resend_count: 2, size: Some(10), ..get() });
    assert_eq!(attributes(&span)["http.request.resend_count"], "2");
    assert_eq!(attributes(&span)["http.request.body.size"], "10");
}

#[test]
fn a_navigation_has_its_steps_as_events() {
    let navigation = Navigation {
        url: "https://shop.test/".into(),
        tab_id: Some(7),
        transition: Some("link".into()),
        committed: Some(6),
        loaded: Some(8),
        error: Some(SpanError::Status(500)),
        vitals: [("lcp".to_owned(), 12.5)].into(),
        timing: [("responseStart".to_owned(), 3.5), ("of a later browser".to_owned(), 1.0)].into(),
        ..Navigation::default()
    };
    let span = exported(Operation::Navigation(navigation));
    assert_eq!((span.name.as_str(), span.kind()), ("navigation", SpanKind::Internal));
    let events: Vec<_> = span.events.iter().map(|event| (event.name.as_str(), event.time_unix_nano)).collect();
    assert_eq!(events, [("commit", 6), ("load", 8), ("browser.navigation_timing", 8), ("browser.web_vital", 9)]);
    assert_eq!(span.events[2].attributes, [double("browser.resource_timing.response_start", 3.5)]);
    assert_eq!(
        span.events[3].attributes[..2],
        [text("browser.web_vital.name", "lcp"), double("browser.web_vital.value", 12.5)]
    );
    let attributes = attributes(&span);
    assert_eq!(attributes["navtrace.navigation.outcome"], "committed");
    assert_eq!(attributes["error.type"], "500");
}

#[test]
fn a_navigation_without_a_document_says_why() {
    let outcome = |end, error| {
        let span = exported(Operation::Navigation(Navigation { failed: true, end, error, ..Navigation::default() }));
        attributes(&span)["navtrace.navigation.outcome"].clone()
    };
    assert_eq!(outcome(None, None), "failed");
    assert_eq!(outcome(None, Some(SpanError::Network("net::ERR_TIMED_OUT".into()))), "failed");
    assert_eq!(outcome(None, Some(SpanError::Cancelled)), "cancelled");
    assert_eq!(outcome(None, Some(SpanError::Blocked("net::ERR_BLOCKED_BY_CLIENT".into()))), "blocked");
    assert_eq!(outcome(Some(NavigationEnd::NoDocument), None), "no-document");
    assert_eq!(outcome(Some(NavigationEnd::Elsewhere), None), "elsewhere");
}

#[test]
fn flags_tracestate_links_and_remote_parent_are_exported() {
    let built = |span: Span| {
        let mut request = request([&span], &Resource::default());
        assert_eq!(count(&request), 1);
        request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
    };
    let plain = built(Span { unfinished: true, ..root() });
    assert_eq!((plain.flags, plain.trace_state.as_str(), plain.links.len()), (0x101, "", 0));
    assert_eq!(plain.parent_span_id, [0; 0]);
    assert_eq!(attributes(&plain)["navtrace.unfinished"], "true");
    let session = session();
    let linked = SpanLink { trace_id: session.trace_id, span_id: session.span_id };
    let special = built(Span {
        parent: Some(session.span_id),
        is_remote: true,
        flags: "03".parse().unwrap(),
        tracestate: "a=1,b=2".into(),
        links: vec![linked],
        operation: Operation::Tab,
        ..root()
    });
    assert_eq!((special.name.as_str(), special.flags, special.trace_state.as_str()), ("browser tab", 0x303, "a=1,b=2"));
    assert_eq!(special.links[0].trace_id, session.trace_id.bytes());
    assert_eq!(special.links[0].span_id, session.span_id.bytes());
}

#[test]
fn otlp_json_has_ids_in_hex() {
    let request = request([&root()], &Resource::default());
    let json = serde_json::to_value(&request).unwrap();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["startTimeUnixNano"], "1");
    assert_eq!(span["name"], "browser session");
    assert_eq!(serde_json::from_value::<ExportTraceServiceRequest>(json).unwrap(), request);
}

#[test]
fn the_server_is_the_host_and_the_port() {
    assert_eq!(server("https://shop.test/x"), Some(("shop.test".to_owned(), 443)));
    assert_eq!(server("wss://shop.test:8443/x"), Some(("shop.test".to_owned(), 8443)));
    assert_eq!(server("http://[::1]:8080/"), Some(("::1".to_owned(), 8080)));
    assert_eq!(server("data:text/plain,x"), None);
    assert_eq!(server("nonsense"), None);
}

#[test]
fn a_test_has_the_attributes_of_the_conventions() {
    let error = |kind: Option<&str>, message: &str| TestError {
        kind: kind.map(Into::into),
        message: message.into(),
        stack: kind.map(|_| "at a.spec.js:3".into()),
    };
    let test = Test {
        name: "cart › buys".into(),
        full_name: "a.spec.js › cart › buys".into(),
        suite: "cart".into(),
        project: "web".into(),
        place: CodePlace { file: Some("/tests/a.spec.js".into()), line: Some(3) },
        retry: 1,
        worker: 2,
        tags: vec!["@smoke".into()],
        status: "failed".into(),
        passed: Some(false),
        errors: vec![error(Some("TypeError"), "no lamp"), error(None, "no mug")],
        dropped_steps: 7,
    };
    let span = exported(Operation::Test(Box::new(test.clone())));
    assert_eq!((span.name.as_str(), span.kind()), ("cart › buys", SpanKind::Internal));
    let found = attributes(&span);
    for (key, value) in [
        ("test.case.name", "a.spec.js › cart › buys"),
        ("test.case.result.status", "fail"),
        ("test.suite.name", "cart"),
        ("code.file.path", "/tests/a.spec.js"),
        ("code.line.number", "3"),
        ("error.type", "TypeError"),
        ("navtrace.test.project", "web"),
        ("navtrace.test.status", "failed"),
        ("navtrace.test.retry", "1"),
        ("navtrace.test.worker", "2"),
        ("navtrace.test.dropped_steps", "7"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(found["navtrace.test.tags"].contains("@smoke"), "{found:?}");
    assert_eq!(span.status, Some(Status { message: "no lamp".to_owned(), code: StatusCode::Error.into() }));
    let events: Vec<_> = span.events.iter().map(|event| (event.name.as_str(), event.time_unix_nano)).collect();
    assert_eq!(events, [("exception", 9), ("exception", 9)]);
    let keys: Vec<_> = span.events[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["exception.message", "exception.type", "exception.stacktrace"]);

    let passed = Test { passed: Some(true), errors: Vec::new(), status: "passed".into(), ..test.clone() };
    let span = exported(Operation::Test(Box::new(passed)));
    assert_eq!((attributes(&span)["test.case.result.status"].as_str(), span.status.as_ref()), ("pass", None));
    // A test may end otherwise than expected without an error.
    let silent = Test { errors: Vec::new(), status: "timedOut".into(), ..test.clone() };
    assert_eq!(attributes(&exported(Operation::Test(Box::new(silent))))["error.type"], "timedOut");
    let skipped = Test { passed: None, errors: Vec::new(), ..test };
    let span = exported(Operation::Test(Box::new(skipped)));
    assert!(!attributes(&span).contains_key("test.case.result.status") && span.status.is_none());
}

#[test]
fn a_step_has_its_category_place_and_error() {
    let step = Step {
        name: "Navigate".into(),
        category: "pw:api".into(),
        url: Some("http://shop.test/".into()),
        place: CodePlace { file: Some("/tests/a.spec.js".into()), line: Some(3) },
        error: Some(TestError { kind: None, message: "refused".into(), stack: None }),
    };
    let span = exported(Operation::Step(Box::new(step)));
    assert_eq!((span.name.as_str(), span.kind()), ("Navigate", SpanKind::Internal));
    let expected = [
        ("code.file.path", "/tests/a.spec.js"),
        ("code.line.number", "3"),
        ("error.type", "_OTHER"),
        ("navtrace.step.category", "pw:api"),
        ("url.full", "http://shop.test/"),
    ];
    assert_eq!(attributes(&span), expected.map(|(key, value)| (key, value.to_owned())).into());
    assert_eq!(span.status.unwrap().message, "refused");
}
