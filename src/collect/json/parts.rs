//! The messages of OTLP JSON from the span down.

use opentelemetry_proto::tonic::common::v1::{EntityRef, InstrumentationScope};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Deserialize;

use crate::collect::json::value::{Json, JsonPair, List, Part, Scalar, Texts};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JsonResource {
    attributes: List<JsonPair>,
    dropped_attributes_count: Scalar,
    entity_refs: List<JsonEntity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonEntity {
    schema_url: Scalar,
    r#type: Scalar,
    id_keys: Texts,
    description_keys: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JsonScope {
    name: Scalar,
    version: Scalar,
    attributes: List<JsonPair>,
    dropped_attributes_count: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JsonSpan {
    trace_id: Scalar,
    span_id: Scalar,
    trace_state: Scalar,
    parent_span_id: Scalar,
    flags: Scalar,
    name: Scalar,
    kind: Scalar,
    start_time_unix_nano: Scalar,
    end_time_unix_nano: Scalar,
    attributes: List<JsonPair>,
    dropped_attributes_count: Scalar,
    events: List<JsonEvent>,
    dropped_events_count: Scalar,
    links: List<JsonLink>,
    dropped_links_count: Scalar,
    status: Json<JsonStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonEvent {
    time_unix_nano: Scalar,
    name: Scalar,
    attributes: List<JsonPair>,
    dropped_attributes_count: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonLink {
    trace_id: Scalar,
    span_id: Scalar,
    trace_state: Scalar,
    attributes: List<JsonPair>,
    dropped_attributes_count: Scalar,
    flags: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonStatus {
    message: Scalar,
    code: Scalar,
}

impl Part for JsonResource {
    type Decoded = Resource;

    fn decoded(self) -> Result<Resource, String> {
        Ok(Resource {
            attributes: self.attributes.0,
            dropped_attributes_count: count(&self.dropped_attributes_count),
            entity_refs: self.entity_refs.0,
        })
    }
}

impl Part for JsonEntity {
    type Decoded = EntityRef;

    fn decoded(self) -> Result<EntityRef, String> {
        Ok(EntityRef {
            schema_url: self.schema_url.text(),
            r#type: self.r#type.text(),
            id_keys: self.id_keys.0,
            description_keys: self.description_keys.0,
        })
    }
}

impl Part for JsonScope {
    type Decoded = InstrumentationScope;

    fn decoded(self) -> Result<InstrumentationScope, String> {
        Ok(InstrumentationScope {
            name: self.name.text(),
            version: self.version.text(),
            attributes: self.attributes.0,
            dropped_attributes_count: count(&self.dropped_attributes_count),
        })
    }
}

impl Part for JsonSpan {
    type Decoded = Span;

    /// Returns the span, or why it can't be read: its ids and times can't be guessed.
    fn decoded(self) -> Result<Span, String> {
        Ok(Span {
            trace_id: self.trace_id.id("traceId")?,
            span_id: self.span_id.id("spanId")?,
            trace_state: self.trace_state.text(),
            parent_span_id: self.parent_span_id.id("parentSpanId")?,
            flags: count(&self.flags),
            name: self.name.text(),
            kind: self.kind.variant(|name| SpanKind::from_str_name(name).map(i32::from)),
            start_time_unix_nano: time(&self.start_time_unix_nano, "startTimeUnixNano")?,
            end_time_unix_nano: time(&self.end_time_unix_nano, "endTimeUnixNano")?,
            attributes: self.attributes.0,
            dropped_attributes_count: count(&self.dropped_attributes_count),
            events: self.events.0,
            dropped_events_count: count(&self.dropped_events_count),
            links: self.links.0,
            dropped_links_count: count(&self.dropped_links_count),
            status: self.status.message()?,
        })
    }
}

impl Part for JsonEvent {
    type Decoded = Event;

    fn decoded(self) -> Result<Event, String> {
        Ok(Event {
            time_unix_nano: time(&self.time_unix_nano, "timeUnixNano")?,
            name: self.name.text(),
            attributes: self.attributes.0,
            dropped_attributes_count: count(&self.dropped_attributes_count),
        })
    }
}

impl Part for JsonLink {
    type Decoded = Link;

    fn decoded(self) -> Result<Link, String> {
        Ok(Link {
            trace_id: self.trace_id.id("a link's traceId")?,
            span_id: self.span_id.id("a link's spanId")?,
            trace_state: self.trace_state.text(),
            attributes: self.attributes.0,
            dropped_attributes_count: count(&self.dropped_attributes_count),
            flags: count(&self.flags),
        })
    }
}

impl Part for JsonStatus {
    type Decoded = Status;

    fn decoded(self) -> Result<Status, String> {
        Ok(Status {
            message: self.message.text(),
            code: self.code.variant(|name| StatusCode::from_str_name(name).map(i32::from)),
        })
    }
}

fn time(value: &Scalar, name: &str) -> Result<u64, String> {
    value.whole().ok_or_else(|| format!("{name} is not a time in nanoseconds"))
}

fn count(value: &Scalar) -> u32 {
    value.whole().unwrap_or_default()
}
