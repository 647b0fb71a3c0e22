//! Parses OTLP JSON: lines of the Collector's file exporter, and single documents. Pure.
//!
//! Attributes, events and links stay raw text until they are needed, which makes skipped spans cheap.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::view::jaeger_json::JaegerTrace;
use crate::view::parsed::{Detail, ParsedEvent, ParsedSpan, SpanSink, kind_by_name, number};
use crate::view::trace::Link;

/// A JSON document in one of the known formats. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    resource_spans: Option<Vec<ResourceSpans<'a>>>,
    /// The answer of Jaeger's API, version 3, has OTLP in here.
    #[serde(borrow)]
    result: Option<Box<Document<'a>>>,
    /// Jaeger's own format.
    #[serde(borrow)]
    data: Option<Vec<JaegerTrace<'a>>>,
    /// Other signals, which the Collector may write to the same file.
    resource_metrics: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    scope_spans: Option<Vec<ScopeSpans<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow)]
    scope: Option<InstrumentationScope<'a>>,
    #[serde(borrow)]
    spans: Option<Vec<OtlpSpan<'a>>>,
}

#[derive(Debug, Deserialize)]
struct InstrumentationScope<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpSpan<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanId")]
    id: Cow<'a, str>,
    #[serde(borrow)]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    kind: Value,
    #[serde(deserialize_with = "number")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "number")]
    end_time_unix_nano: u64,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Value,
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpEvent<'a> {
    #[serde(deserialize_with = "number")]
    time_unix_nano: u64,
    name: String,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    key: String,
    value: Value,
}

impl Document<'_> {
    pub(super) fn is_known(&self) -> bool {
        self.resource_spans.is_some()
            || self.data.is_some()
            || self.resource_metrics.is_some()
            || self.resource_logs.is_some()
            || self.result.as_ref().is_some_and(|inner| inner.is_known())
    }

    /// Adds the spans of accepted traces to the sink.
    pub(super) fn read(&self, sink: &mut dyn SpanSink) {
        if let Some(inner) = &self.result {
            inner.read(sink);
        }
        for trace in self.data.iter().flatten() {
            trace.read(sink);
        }
        for resource in self.resource_spans.iter().flatten() {
            resource.read(sink);
        }
    }
}

impl ResourceSpans<'_> {
    fn read(&self, sink: &mut dyn SpanSink) {
        let mut resource = attributes(self.resource.as_ref().and_then(|resource| resource.attributes));
        if sink.detail() != Detail::Full {
            // Saves copies: every span gets its own.
            resource.retain(|(key, _)| key == "service.name");
        }
        for scope_spans in self.scope_spans.iter().flatten() {
            let scope = scope_spans.scope.as_ref().map_or("", |scope| &scope.name);
            for span in scope_spans.spans.iter().flatten() {
                let trace_id = span.trace_id.to_ascii_lowercase();
                if sink.accepts(&trace_id) {
                    sink.add(span.parsed(trace_id, scope, &resource, sink.detail()));
                }
            }
        }
    }
}

impl OtlpSpan<'_> {
    fn parsed(&self, trace_id: String, scope: &str, resource: &[(String, Value)], detail: Detail) -> ParsedSpan {
        let parent = self.parent_span_id.to_ascii_lowercase();
        let status = self.status.as_ref();
        let mut span = ParsedSpan {
            trace_id,
            id: self.id.to_ascii_lowercase(),
            // Some exporters write sixteen zeros for no parent.
            parent: Some(parent).filter(|parent| parent.bytes().any(|byte| byte != b'0')),
            name: self.name.clone().into_owned(),
            kind: kind(&self.kind),
            start: self.start_time_unix_nano,
            end: self.end_time_unix_nano,
            error: status.is_some_and(|status| status.code == 2 || status.code == "STATUS_CODE_ERROR"),
            message: status.and_then(|status| status.message.clone()).unwrap_or_default(),
            scope: scope.to_owned(),
            ..ParsedSpan::default()
        };
        span.set_resource(resource);
        if detail != Detail::Summary || span.parent.is_none() {
            span.attributes = attributes(self.attributes);
        }
        if detail == Detail::Full {
            span.events = list::<OtlpEvent>(self.events).into_iter().map(OtlpEvent::parsed).collect();
            span.links = list(self.links);
            for Link { trace_id, span_id } in &mut span.links {
                trace_id.make_ascii_lowercase();
                span_id.make_ascii_lowercase();
            }
        }
        span
    }
}

impl OtlpEvent<'_> {
    fn parsed(self) -> ParsedEvent {
        ParsedEvent { time: self.time_unix_nano, name: self.name, attributes: attributes(self.attributes) }
    }
}

/// Parses a list. An invalid list is empty, so that the rest of its span is shown.
fn list<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    raw.and_then(|raw| serde_json::from_str::<Option<Vec<T>>>(raw.get()).ok()).flatten().unwrap_or_default()
}

fn attributes(raw: Option<&RawValue>) -> Vec<(String, Value)> {
    list::<KeyValue>(raw).into_iter().map(|pair| (pair.key, plain(pair.value))).collect()
}

/// Converts an `AnyValue` to the JSON value that it stands for.
fn plain(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let Some((kind, mut value)) = object.into_iter().next() else { return Value::Null };
    match kind.as_str() {
        // JSON has 64-bit numbers as strings.
        "intValue" => value.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(value, Value::from),
        "arrayValue" => values(&mut value).unwrap_or_default().into_iter().map(plain).collect(),
        "kvlistValue" => {
            let pair = |mut pair: Value| Some((pair.get("key")?.as_str()?.to_owned(), plain(pair["value"].take())));
            values(&mut value).map_or(Value::Null, |pairs| Value::Object(pairs.into_iter().filter_map(pair).collect()))
        }
        _ => value,
    }
}

fn values(list: &mut Value) -> Option<Vec<Value>> {
    match list.get_mut("values")?.take() {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn kind(kind: &Value) -> &'static str {
    const NAMES: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
    match kind {
        Value::Number(number) => {
            let index = number.as_u64().and_then(|number| usize::try_from(number).ok());
            index.and_then(|index| NAMES.get(index)).copied().unwrap_or_default()
        }
        Value::String(name) => kind_by_name(name.strip_prefix("SPAN_KIND_").unwrap_or(name)),
        _ => "",
    }
}
