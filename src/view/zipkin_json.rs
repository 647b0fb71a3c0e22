//! Parses Zipkin's JSON, version 2. Pure.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::view::parsed::{
    Detail, Origin, ParsedEvent, ParsedSpan, SERVICE_NAME, SpanSink, kind_by_name, list, number, object,
};
use crate::view::shorten::as_copied;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZipkinSpan<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    /// Microseconds since the epoch.
    #[serde(default, deserialize_with = "number")]
    timestamp: u64,
    /// Microseconds.
    #[serde(default, deserialize_with = "number")]
    duration: u64,
    local_endpoint: Option<Map<String, Value>>,
    remote_endpoint: Option<Map<String, Value>>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotation {
    /// Microseconds since the epoch.
    #[serde(deserialize_with = "number")]
    timestamp: u64,
    value: String,
}

impl ZipkinSpan<'_> {
    /// Adds the span to the sink if it accepts its trace.
    pub(super) fn read(&self, sink: &mut dyn SpanSink) {
        // Trace ids of 64 bits are in use, too.
        let trace_id = format!("{:0>32}", self.trace_id.to_ascii_lowercase());
        if sink.accepts(&trace_id) {
            let key = |key: &str| if key == "serviceName" { SERVICE_NAME.to_owned() } else { key.to_owned() };
            let endpoint = self.local_endpoint.iter().flatten();
            let resource: Vec<_> = endpoint.map(|(name, value)| (key(name), value.clone())).collect();
            sink.add(self.parsed(trace_id, sink.detail()), &Origin { resource: &as_copied(resource), scope: "" });
        }
    }

    fn parsed(&self, trace_id: String, detail: Detail) -> ParsedSpan {
        let id = |id: &str| format!("{:0>16}", id.to_ascii_lowercase());
        let mut span = ParsedSpan {
            trace_id,
            id: id(&self.id),
            parent: self.parent_id.as_deref().map(id).filter(|parent| parent.bytes().any(|byte| byte != b'0')),
            name: self.name.as_deref().unwrap_or_default().to_owned(),
            kind: kind_by_name(self.kind.as_deref().unwrap_or_default()),
            start: self.timestamp.saturating_mul(1000),
            end: self.timestamp.saturating_add(self.duration).saturating_mul(1000),
            ..ParsedSpan::default()
        };
        for (key, value) in object(self.tags) {
            if key == "error" {
                // Its value is the message, even an empty one.
                span.error = value != "false";
                value.as_str().filter(|text| *text != "true").unwrap_or_default().clone_into(&mut span.message);
            } else {
                span.add_tag(key, value);
            }
        }
        if detail == Detail::Full {
            span.events = list::<Annotation>(self.annotations).into_iter().map(Annotation::parsed).collect();
            span.attributes.extend(
                self.remote_endpoint.iter().map(|peer| ("remoteEndpoint".to_owned(), Value::Object(peer.clone()))),
            );
        }
        span
    }
}

impl Annotation {
    fn parsed(self) -> ParsedEvent {
        ParsedEvent { time: self.timestamp.saturating_mul(1000), name: self.value, attributes: Vec::new() }
    }
}
