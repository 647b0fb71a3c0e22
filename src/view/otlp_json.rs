//! Reads OTLP JSON: the lines of the Collector's file exporter, and documents of the same form. Pure.
//!
//! Attributes stay text until a span is wanted, so that those of other traces cost little.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::view::jaeger_json;
use crate::view::raw::{Raw, RawEvent, named_kind, number};
use crate::view::trace::Link;

/// What a line or a file holds. Fields that are unknown are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    resource_spans: Option<Vec<ResourceSpans<'a>>>,
    /// Around the spans in the answers of Jaeger's API, version 3.
    #[serde(borrow)]
    result: Option<Box<Document<'a>>>,
    /// Jaeger's own format.
    #[serde(borrow)]
    data: Option<Vec<jaeger_json::Trace<'a>>>,
    /// Other signals may stand in the same file.
    resource_metrics: Option<serde::de::IgnoredAny>,
    resource_logs: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<Attributed<'a>>,
    #[serde(borrow)]
    scope_spans: Option<Vec<ScopeSpans<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Attributed<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow)]
    scope: Option<Scope<'a>>,
    #[serde(borrow)]
    spans: Option<Vec<Span<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Scope<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow, default)]
    trace_id: Cow<'a, str>,
    #[serde(borrow, default)]
    #[serde(rename = "spanId")]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(default)]
    kind: Option<Value>,
    #[serde(default, deserialize_with = "number")]
    start_time_unix_nano: u64,
    #[serde(default, deserialize_with = "number")]
    end_time_unix_nano: u64,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
    status: Option<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    code: Value,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(default, deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanLink {
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    span_id: String,
}

#[derive(Debug, Deserialize)]
struct KeyValue {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Option<Value>,
}

impl Document<'_> {
    /// Whether it is of one of the formats at all.
    pub(super) fn is_known(&self) -> bool {
        let known = self.resource_spans.is_some() || self.data.is_some();
        known
            || self.resource_metrics.is_some()
            || self.resource_logs.is_some()
            || self.result.as_ref().is_some_and(|inner| inner.is_known())
    }

    /// Hands over those spans whose trace is wanted; `whole` gives them with all that they have.
    pub(super) fn each(&self, wanted: &dyn Fn(&str) -> bool, whole: bool, take: &mut dyn FnMut(Raw)) {
        if let Some(inner) = &self.result {
            inner.each(wanted, whole, take);
        }
        for trace in self.data.iter().flatten() {
            trace.each(wanted, whole, take);
        }
        for resource in self.resource_spans.iter().flatten() {
            let mut attributes = attributes(resource.resource.as_ref().and_then(|resource| resource.attributes));
            if !whole {
                // The rest would be copied for every span, and not be looked at.
                attributes.retain(|(key, _)| key == "service.name");
            }
            for scope in resource.scope_spans.iter().flatten() {
                let name = scope.scope.as_ref().map_or("", |scope| &scope.name);
                for span in scope.spans.iter().flatten() {
                    let trace_id = span.trace_id.to_ascii_lowercase();
                    if wanted(&trace_id) {
                        take(span.raw(trace_id, name, &attributes, whole));
                    }
                }
            }
        }
    }
}

impl Span<'_> {
    fn raw(&self, trace_id: String, scope: &str, resource: &[(String, Value)], whole: bool) -> Raw {
        let (failed, message) = self.status.as_ref().map_or((false, String::new()), |status| {
            let failed = status.code == 2 || status.code == "STATUS_CODE_ERROR";
            (failed, status.message.clone().unwrap_or_default())
        });
        let parent = self.parent_span_id.to_ascii_lowercase();
        let mut raw = Raw {
            trace_id,
            id: self.id.to_ascii_lowercase(),
            // Some write sixteen zeros for none.
            parent: Some(parent).filter(|parent| parent.bytes().any(|byte| byte != b'0')),
            name: self.name.clone().into_owned(),
            kind: kind(self.kind.as_ref()),
            start: self.start_time_unix_nano,
            end: self.end_time_unix_nano,
            error: failed,
            message,
            scope: scope.to_owned(),
            ..Raw::default()
        };
        raw.set_resource(resource);
        // Few of them decide how a trace is named in a list.
        if whole || raw.parent.is_none() {
            raw.attributes = attributes(self.attributes);
        }
        if whole {
            raw.events = list::<Event>(self.events).into_iter().map(Event::raw).collect();
            raw.links = list::<SpanLink>(self.links).into_iter().map(SpanLink::link).collect();
        }
        raw
    }
}

impl Event<'_> {
    fn raw(self) -> RawEvent {
        RawEvent { time: self.time_unix_nano, name: self.name, attributes: attributes(self.attributes) }
    }
}

impl SpanLink {
    fn link(self) -> Link {
        Link { trace_id: self.trace_id.to_ascii_lowercase(), span_id: self.span_id.to_ascii_lowercase() }
    }
}

/// A list that can't be read is an empty one: the rest of the span is worth showing.
fn list<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    raw.and_then(|raw| serde_json::from_str::<Option<Vec<T>>>(raw.get()).ok()).flatten().unwrap_or_default()
}

fn attributes(raw: Option<&RawValue>) -> Vec<(String, Value)> {
    let pairs = list::<KeyValue>(raw).into_iter();
    pairs.map(|pair| (pair.key, pair.value.map_or(Value::Null, plain))).collect()
}

/// Takes a value out of its `AnyValue`.
fn plain(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let Some((kind, value)) = object.into_iter().next() else { return Value::Null };
    match (kind.as_str(), value) {
        // 64 bits are text in JSON.
        ("intValue", Value::String(text)) => text.parse::<i64>().map_or(Value::String(text), Value::from),
        ("arrayValue", Value::Object(mut array)) => match array.remove("values") {
            Some(Value::Array(values)) => values.into_iter().map(plain).collect(),
            _ => Value::Array(Vec::new()),
        },
        ("kvlistValue", Value::Object(mut list)) => match list.remove("values") {
            Some(Value::Array(values)) => {
                let pairs = values.into_iter().filter_map(|pair| {
                    let Value::Object(mut pair) = pair else { return None };
                    let value = plain(pair.remove("value").unwrap_or_default());
                    Some((pair.remove("key")?.as_str()?.to_owned(), value))
                });
                Value::Object(pairs.collect())
            }
            _ => Value::Null,
        },
        (_, value) => value,
    }
}

fn kind(kind: Option<&Value>) -> &'static str {
    const NAMES: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
    match kind {
        Some(Value::Number(number)) => {
            let index = number.as_u64().and_then(|number| usize::try_from(number).ok());
            index.and_then(|index| NAMES.get(index)).copied().unwrap_or_default()
        }
        Some(Value::String(name)) => named_kind(name.strip_prefix("SPAN_KIND_").unwrap_or(name)),
        _ => "",
    }
}
