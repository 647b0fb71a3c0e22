//! Parses OTLP JSON: lines of the Collector's file exporter, single documents, and the answers of Tempo. Pure.
//!
//! Attributes, events and links stay raw text until they are needed, which makes skipped spans cheap.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::view::parsed::{Detail, Origin, ParsedEvent, ParsedSpan, SpanSink, kind_by_name, list, number};
use crate::view::readable::{ReadableSpans, Unreadable};
use crate::view::shorten::as_copied;
use crate::view::trace::Link;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    /// The second name is that of earlier versions.
    #[serde(borrow, alias = "instrumentationLibrarySpans")]
    scope_spans: Option<Vec<ScopeSpans<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, alias = "instrumentationLibrary")]
    scope: Option<InstrumentationScope<'a>>,
    #[serde(borrow, default)]
    spans: ReadableSpans<OtlpSpan<'a>>,
}

#[derive(Debug, Deserialize)]
struct InstrumentationScope<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpSpan<'a> {
    #[serde(borrow)]
    trace_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "spanId")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parent_span_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
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

impl ResourceSpans<'_> {
    /// Adds the spans that can't be read.
    pub(super) fn add_unreadable(&self, all: &mut Unreadable) {
        self.scope_spans.iter().flatten().for_each(|scope| all.add(&scope.spans.unreadable));
    }

    /// Adds the spans of accepted traces to the sink.
    pub(super) fn read(&self, sink: &mut dyn SpanSink) {
        let resource = attributes(self.resource.as_ref().and_then(|resource| resource.attributes));
        let resource = &as_copied(resource);
        for scope_spans in self.scope_spans.iter().flatten() {
            let scope = scope_spans.scope.as_ref().and_then(|scope| scope.name.as_deref()).unwrap_or_default();
            let origin = Origin { resource, scope };
            for span in &scope_spans.spans.spans {
                let trace_id = id(span.trace_id.as_deref(), TRACE_ID_BYTES);
                if sink.accepts(&trace_id) {
                    sink.add(span.parsed(trace_id, sink.detail()), &origin);
                }
            }
        }
    }
}

impl OtlpSpan<'_> {
    fn parsed(&self, trace_id: String, detail: Detail) -> ParsedSpan {
        let parent = id(self.parent_span_id.as_deref(), SPAN_ID_BYTES);
        let status = self.status.as_ref();
        let mut span = ParsedSpan {
            trace_id,
            id: id(self.id.as_deref(), SPAN_ID_BYTES),
            // Some exporters write sixteen zeros for no parent.
            parent: Some(parent).filter(|parent| parent.bytes().any(|byte| byte != b'0')),
            name: self.name.as_deref().unwrap_or_default().to_owned(),
            kind: kind(&self.kind),
            start: self.start_time_unix_nano,
            end: self.end_time_unix_nano,
            error: status.is_some_and(|status| status.code == 2 || status.code == "STATUS_CODE_ERROR"),
            message: status.and_then(|status| status.message.clone()).unwrap_or_default(),
            ..ParsedSpan::default()
        };
        if detail != Detail::Summary || span.parent.is_none() {
            span.attributes = attributes(self.attributes);
        }
        if detail == Detail::Full {
            span.events = list::<OtlpEvent>(self.events).into_iter().map(OtlpEvent::parsed).collect();
            span.links = list(self.links);
            for Link { trace_id, span_id } in &mut span.links {
                *trace_id = id(Some(trace_id), TRACE_ID_BYTES);
                *span_id = id(Some(span_id), SPAN_ID_BYTES);
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

/// Returns an id in hexadecimal digits. Protobuf's own JSON, which Tempo writes, has ids in base64.
fn id(text: Option<&str>, bytes: usize) -> String {
    let text = text.unwrap_or_default();
    let is_hex = text.len() <= 2 * bytes && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let decoded = BASE64.decode(text).ok().filter(|id| !is_hex && id.len() == bytes);
    let Some(decoded) = decoded else { return text.to_ascii_lowercase() };
    decoded.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
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
