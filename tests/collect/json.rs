//! Tests JSON as SDKs send it in the wild, and that a span that can't be read costs no other span.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use serde_json::{Value, json};

use crate::collector::{JSON, PROTOBUF, RunningCollector, request};

fn span(number: u64) -> Value {
    json!({ "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": format!("{number:016x}"), "name": "GET", "kind": 3,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000" })
}

fn with(number: u64, changes: &Value) -> Value {
    let mut span = span(number);
    for (key, value) in changes.as_object().unwrap() {
        span[key] = value.clone();
    }
    span
}

fn body(spans: &[Value]) -> Vec<u8> {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }], "droppedAttributesCount": null });
    let scope = json!({ "scope": null, "spans": spans, "schemaUrl": null });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [scope] }] }).to_string().into_bytes()
}

#[test]
fn nulls_and_unknown_kinds_of_values_are_no_errors() {
    let collector = RunningCollector::start();
    let spans = [
        with(1, &json!({ "parentSpanId": null })),
        with(
            2,
            &json!({ "traceState": null, "attributes": null, "events": null, "links": null, "status": null, "flags": null }),
        ),
        with(
            3,
            &json!({ "attributes": [{ "key": "a", "value": null }, { "key": "b", "value": { "newValue": {} } }, null] }),
        ),
        with(4, &json!({ "status": { "code": null, "message": null }, "kind": null, "droppedAttributesCount": null })),
    ];
    let response = collector.post(JSON, body(&spans)).send().unwrap();
    assert_eq!((response.status().as_u16(), response.text().unwrap().as_str()), (200, "{}"));
    let ids: Vec<Vec<u8>> = collector.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids, [1_u64, 2, 3, 4].map(|id| id.to_be_bytes().to_vec()));
}

#[test]
fn a_span_that_cannot_be_read_costs_no_other() {
    let collector = RunningCollector::start();
    let bad = [
        with(9, &json!({ "traceId": "xyz" })),
        with(9, &json!({ "spanId": null })),
        with(9, &json!({ "startTimeUnixNano": "noon" })),
        with(9, &json!({ "attributes": { "a": 1 } })),
        json!(7),
    ];
    let spans = [&[span(1)], &bad[..], &[span(2)]].concat();
    let response = collector.post(JSON, body(&spans)).send().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let answer: Value = serde_json::from_str(&response.text().unwrap()).unwrap();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedSpans"].to_string().trim_matches('"'), "5", "{answer}");
    assert_eq!(partial["errorMessage"], "traceId is not hex", "{answer}");

    // A name that is no UTF-8, as programs in C++ and PHP send.
    let mut sent = request("shop", 3, 3);
    "damaged".clone_into(&mut sent.resource_spans[0].scope_spans[0].spans[1].name);
    let mut bytes = sent.encode_to_vec();
    let at = bytes.windows(7).position(|window| window == b"damaged").unwrap();
    bytes[at] = 0xff;
    assert!(ExportTraceServiceRequest::decode(&*bytes).is_err());
    let response = collector.post(PROTOBUF, bytes).send().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let answer = ExportTraceServiceResponse::decode(response.bytes().unwrap()).unwrap().partial_success.unwrap();
    assert_eq!(answer.rejected_spans, 1);
    assert!(answer.error_message.contains("UTF-8"), "{answer:?}");

    let ids: Vec<Vec<u8>> = collector.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids, [1_u64, 2, 4, 6].map(|id| id.to_be_bytes().to_vec()));
    let (code, messages, _) = collector.stop();
    assert!(
        code == 0 && messages.starts_with("navtrace: a span can't be read and is not kept: traceId is not hex\n"),
        "{messages}"
    );
}
