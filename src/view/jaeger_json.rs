//! Parses the JSON of Jaeger's query API, which is also what its UI exports. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::view::parsed::{Detail, Origin, ParsedEvent, ParsedSpan, SERVICE_NAME, SpanSink, list, number};
use crate::view::readable::ReadableSpans;
use crate::view::shorten::as_copied;
use crate::view::trace::Link;

#[derive(Debug, Deserialize)]
pub(super) struct JaegerTrace<'a> {
    #[serde(borrow, default)]
    pub(super) spans: ReadableSpans<JaegerSpan<'a>>,
    #[serde(default)]
    processes: BTreeMap<String, JaegerProcess>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JaegerProcess {
    service_name: String,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JaegerSpan<'a> {
    #[serde(borrow, rename = "traceID")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "processID", default)]
    process_id: Cow<'a, str>,
    /// Replaces `process_id` in documents from Elasticsearch.
    process: Option<JaegerProcess>,
    /// Older than `references`.
    #[serde(borrow, rename = "parentSpanID", default)]
    parent_id: Cow<'a, str>,
    #[serde(borrow, default)]
    operation_name: Cow<'a, str>,
    references: Option<Vec<Reference>>,
    /// Microseconds since the epoch.
    #[serde(default, deserialize_with = "number")]
    start_time: u64,
    /// Microseconds.
    #[serde(default, deserialize_with = "number")]
    duration: u64,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    logs: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "refType")]
    kind: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Log {
    /// Microseconds since the epoch.
    #[serde(deserialize_with = "number")]
    timestamp: u64,
    fields: Option<Vec<Tag>>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Tag {
    key: String,
    #[serde(rename = "type")]
    kind: String,
    value: Value,
}

impl JaegerTrace<'_> {
    /// Adds the spans to the sink if it accepts their trace.
    pub(super) fn read(&self, sink: &mut dyn SpanSink) {
        let shared: BTreeMap<_, _> = self.processes.iter().map(|(id, process)| (&**id, process.resource())).collect();
        for span in &self.spans.spans {
            let trace_id = padded_trace_id(&span.trace_id);
            if sink.accepts(&trace_id) {
                let own = span.process.as_ref().map(JaegerProcess::resource);
                let resource = own.as_ref().or_else(|| shared.get(&*span.process_id)).map_or(&[][..], Vec::as_slice);
                sink.add(span.parsed(trace_id, sink.detail()), &Origin { resource, scope: "" });
            }
        }
    }
}

impl JaegerProcess {
    fn resource(&self) -> Vec<(String, Value)> {
        let service = (SERVICE_NAME.to_owned(), Value::from(&*self.service_name));
        let tags = attributes(self.tags.clone().unwrap_or_default());
        as_copied(std::iter::once(service).chain(tags).collect())
    }
}

impl JaegerSpan<'_> {
    fn parsed(&self, trace_id: String, detail: Detail) -> ParsedSpan {
        let mut parent = None;
        let mut links = Vec::new();
        for reference in self.references.iter().flatten() {
            let link =
                Link { trace_id: padded_trace_id(&reference.trace_id), span_id: padded_span_id(&reference.span_id) };
            if parent.is_none() && reference.kind == "CHILD_OF" && link.trace_id == trace_id {
                parent = Some(link.span_id);
            } else {
                links.push(link);
            }
        }
        if parent.is_none() && !self.parent_id.is_empty() {
            parent = Some(padded_span_id(&self.parent_id));
        }
        // With a parent, what a span follows from is a link.
        if parent.is_none()
            && let Some(index) = links.iter().position(|link| link.trace_id == trace_id)
        {
            parent = Some(links.remove(index).span_id);
        }
        let mut span = ParsedSpan {
            id: padded_span_id(&self.id),
            trace_id,
            parent,
            name: self.operation_name.clone().into_owned(),
            start: self.start_time.saturating_mul(1000),
            end: self.start_time.saturating_add(self.duration).saturating_mul(1000),
            links,
            ..ParsedSpan::default()
        };
        for (key, value) in attributes(list(self.tags)) {
            if key == "error" {
                span.error |= value == true || value == "true";
            } else {
                span.add_tag(key, value);
            }
        }
        if detail == Detail::Full {
            span.events = list::<Log>(self.logs).into_iter().map(Log::parsed).collect();
        }
        span
    }
}

impl Tag {
    /// Restores the type of the value: some storages turn every value into a string.
    fn into_attribute(self) -> (String, Value) {
        let typed = self.value.as_str().and_then(|text| match self.kind.as_str() {
            "bool" => text.parse().ok().map(Value::Bool),
            "int64" => text.parse::<i64>().ok().map(Value::from),
            "float64" => text.parse::<f64>().ok().map(Value::from),
            _ => None,
        });
        (self.key, typed.unwrap_or(self.value))
    }
}

impl Log {
    fn parsed(self) -> ParsedEvent {
        let (name, attributes): (Vec<_>, Vec<_>) =
            attributes(self.fields.unwrap_or_default()).into_iter().partition(|(key, _)| key == "event");
        let name = name.first().and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned();
        ParsedEvent { time: self.timestamp.saturating_mul(1000), name, attributes }
    }
}

/// Restores the leading zeros, which Jaeger leaves out.
fn padded_trace_id(id: &str) -> String {
    format!("{:0>32}", id.to_ascii_lowercase())
}

fn padded_span_id(id: &str) -> String {
    format!("{:0>16}", id.to_ascii_lowercase())
}

fn attributes(tags: Vec<Tag>) -> Vec<(String, Value)> {
    tags.into_iter().map(Tag::into_attribute).collect()
}
