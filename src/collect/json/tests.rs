use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use super::*;

/// A request with every field, in which no value is a default.
fn complete() -> Value {
    let attributes = json!([
        { "key": "text", "value": { "stringValue": "x" } },
        { "key": "yes", "value": { "boolValue": true } },
        { "key": "int", "value": { "intValue": "-9223372036854775808" } },
        { "key": "double", "value": { "doubleValue": 0.5 } },
        { "key": "bytes", "value": { "bytesValue": "AQI=" } },
        { "key": "list", "value": { "arrayValue": { "values": [{ "intValue": 7 }, { "stringValue": "y" }] } } },
        { "key": "map", "value": { "kvlistValue": { "values": [{ "key": "k", "value": { "boolValue": true } }] } } },
    ]);
    let (trace_id, span_id) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let event = json!({ "timeUnixNano": "5", "name": "e", "attributes": attributes, "droppedAttributesCount": 1 });
    let link = json!({
        "traceId": trace_id, "spanId": span_id, "traceState": "a=1", "attributes": attributes,
        "droppedAttributesCount": 2, "flags": 257,
    });
    let span = json!({
        "traceId": trace_id, "spanId": span_id, "parentSpanId": "53995c3f42cd8ad8", "traceState": "a=1", "flags": 769,
        "name": "GET", "kind": 3, "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1_700_000_000_000_000_002_u64,
        "attributes": attributes, "droppedAttributesCount": 3, "events": [event], "droppedEventsCount": 4,
        "links": [link], "droppedLinksCount": 5, "status": { "code": 2, "message": "m" },
    });
    let entity = json!({ "schemaUrl": "s", "type": "service", "idKeys": ["text"], "descriptionKeys": ["yes"] });
    let scope = json!({ "name": "n", "version": "v", "attributes": attributes, "droppedAttributesCount": 6 });
    let scope_spans = json!({ "scope": scope, "spans": [span], "schemaUrl": "s" });
    let resource = json!({ "attributes": attributes, "droppedAttributesCount": 7, "entityRefs": [entity] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [scope_spans], "schemaUrl": "s" }] })
}

fn decoded(body: &Value) -> Decoded {
    decode(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn span_of(body: &Value) -> Span {
    decoded(body).request.resource_spans[0].scope_spans[0].spans[0].clone()
}

/// Returns the pointers of all values.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

#[test]
fn a_complete_request_is_read_as_the_protocols_types_read_it() {
    let body = complete();
    let read = decoded(&body);
    assert_eq!(read.rejected, Rejected::default());
    assert_eq!(read.request, serde_json::from_value(body).unwrap());
}

#[test]
fn null_anywhere_is_the_same_as_nothing() {
    let body = complete();
    let mut all = Vec::new();
    pointers(&body, "", &mut all);
    assert!(all.len() > 150, "{}", all.len());
    for pointer in all {
        let (mut with_null, mut without) = (body.clone(), body.clone());
        *with_null.pointer_mut(&pointer).unwrap() = Value::Null;
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match without.pointer_mut(parent).unwrap() {
            Value::Object(object) => drop(object.remove(key)),
            Value::Array(list) => drop(list.remove(key.parse().unwrap())),
            _ => unreachable!("only these have inner values"),
        }
        let (with_null, without) = (decoded(&with_null), decoded(&without));
        assert_eq!(with_null.request, without.request, "{pointer}");
        let needs_it = pointer.ends_with("spans/0/traceId") || pointer.ends_with("spans/0/spanId");
        let is_span = pointer.ends_with("spans/0");
        assert_eq!(with_null.rejected.spans, usize::from(needs_it || is_span), "{pointer}");
        assert!(is_span || with_null.rejected == without.rejected, "{pointer}");
    }
}

#[test]
fn values_of_an_unknown_kind_are_warnings() {
    let mut body = complete();
    let span = "/resourceSpans/0/scopeSpans/0/spans/0";
    *body.pointer_mut(&format!("{span}/attributes")).unwrap() = json!([
        { "key": "new", "value": { "decimalValue": { "of": ["the", "future"] } } },
        { "key": "bare", "value": "text" },
        { "key": "list", "value": [1] },
        { "key": "wrong", "value": { "intValue": "many" } },
        { "key": "mixed", "value": { "arrayValue": { "values": [{ "boolValue": false }, 5, null, {}] } } },
        { "key": "known", "value": { "stringValue": "x" }, "since": 2030 },
        7,
    ]);
    body.pointer_mut(span).unwrap()["profile"] = json!([{}]);
    body["meta"] = json!({ "a": [1] });
    let span = span_of(&body);
    let value = |key: &str| {
        let pair = span.attributes.iter().find(|pair| pair.key == key).unwrap();
        pair.value.clone().and_then(|value| value.value)
    };
    for key in ["new", "bare", "list", "wrong"] {
        assert_eq!(value(key), None, "{key}");
    }
    let Some(Any::ArrayValue(list)) = value("mixed") else { panic!("{span:?}") };
    assert_eq!(
        list.values.iter().map(|value| value.value.clone()).collect::<Vec<_>>(),
        [Some(Any::BoolValue(false)), None]
    );
    assert_eq!(value("known"), Some(Any::StringValue("x".to_owned())));
    assert_eq!(span.attributes.len(), 6);
}

#[test]
fn numbers_and_enums_are_read_in_every_spelling() {
    let mut body = complete();
    let span = body.pointer_mut("/resourceSpans/0/scopeSpans/0/spans/0").unwrap();
    span["kind"] = json!("SPAN_KIND_SERVER");
    span["status"] = json!({ "code": "STATUS_CODE_ERROR" });
    span["startTimeUnixNano"] = json!(1.7e18);
    span["endTimeUnixNano"] = json!("1.7e18");
    span["flags"] = json!("257");
    span["attributes"] = json!([
        { "key": "a", "value": { "doubleValue": "NaN" } }, { "key": "b", "value": { "doubleValue": "-Infinity" } },
        { "key": "c", "value": { "doubleValue": 3 } }, { "key": "d", "value": { "intValue": 3.0 } },
    ]);
    let span = span_of(&body);
    assert_eq!((span.kind, span.status.unwrap().code, span.flags), (2, 2, 257));
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_700_000_000_000_000_000, 1_700_000_000_000_000_000)
    );
    let values: Vec<Any> = span.attributes.into_iter().map(|pair| pair.value.unwrap().value.unwrap()).collect();
    let [Any::DoubleValue(nan), rest @ ..] = &values[..] else { panic!("{values:?}") };
    assert!(nan.is_nan());
    assert_eq!(rest, [Any::DoubleValue(f64::NEG_INFINITY), Any::DoubleValue(3.0), Any::IntValue(3)]);
}

#[test]
fn the_names_before_scopes_are_read() {
    let text = complete().to_string().replace("scopeSpans", "instrumentationLibrarySpans");
    let body: Value = serde_json::from_str(&text.replace("\"scope\"", "\"instrumentationLibrary\"")).unwrap();
    assert_eq!(decoded(&body).request, decoded(&complete()).request);
}
