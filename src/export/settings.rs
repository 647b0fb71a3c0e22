//! How spans are exported, as OpenTelemetry's specification names the settings.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>,
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use crate::observe::redact;

/// Everything that decides how spans are exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// Where spans go; none when they are not exported at all.
    pub(crate) target: Option<Target>,
    /// When spans are sent, and how many wait.
    pub(crate) batch: Batch,
    /// How much a span may hold.
    pub(crate) limits: Limits,
    /// `OTEL_SERVICE_NAME`.
    pub(crate) service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub(crate) resource_attributes: Vec<(String, String)>,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The address that requests go to.
    pub(crate) endpoint: url::Url,
    /// Whether nobody named it, so that it is OpenTelemetry's default.
    pub(crate) is_default: bool,
    /// How they are written.
    pub(crate) protocol: Protocol,
    /// Headers of every request.
    pub(crate) headers: Vec<(String, String)>,
    /// Whether bodies are compressed with gzip.
    pub(crate) gzip: bool,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// A file of certificates in PEM that are trusted beside the system's.
    pub(crate) certificate: Option<PathBuf>,
    /// Files of a client's certificate and its key in PEM.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// The endpoint as it may be shown.
    pub(crate) fn name(&self) -> String {
        redact::address(self.endpoint.as_str()).into_owned()
    }
}

/// How OTLP is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Protocol {
    /// Protobuf over HTTP.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP.
    HttpJson,
    /// gRPC.
    Grpc,
}

/// The settings of OpenTelemetry's batch span processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// How long a span waits for others.
    pub(crate) schedule_delay: Duration,
    /// How many spans wait in memory; the oldest go to the spool then.
    pub(crate) max_queue_size: usize,
    /// How many spans go with one request.
    pub(crate) max_export_batch_size: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { schedule_delay: Duration::from_secs(5), max_queue_size: 2048, max_export_batch_size: 512 }
    }
}

/// The limits of a span: `OTEL_SPAN_*`, or the general `OTEL_ATTRIBUTE_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many attributes it has.
    pub(crate) attribute_count: usize,
    /// How many characters the text of one may have.
    pub(crate) attribute_length: Option<usize>,
    /// How many events it has.
    pub(crate) event_count: usize,
    /// How many links it has.
    pub(crate) link_count: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attribute_count: 128, attribute_length: None, event_count: 128, link_count: 128 }
    }
}

impl Limits {
    /// Cuts attributes to what is allowed, and tells how many were dropped.
    pub(super) fn attributes(&self, mut attributes: Vec<KeyValue>) -> (Vec<KeyValue>, u32) {
        let dropped = cut(&mut attributes, self.attribute_count);
        if let Some(length) = self.attribute_length {
            for attribute in &mut attributes {
                let Some(Value::StringValue(text)) = attribute.value.as_mut().and_then(|any| any.value.as_mut()) else {
                    continue;
                };
                if let Some((end, _)) = text.char_indices().nth(length) {
                    text.truncate(end);
                }
            }
        }
        (attributes, dropped)
    }

    /// Cuts events to what is allowed, and tells how many were dropped.
    pub(super) fn events(&self, mut events: Vec<Event>) -> (Vec<Event>, u32) {
        let dropped = cut(&mut events, self.event_count);
        (events, dropped)
    }

    /// Cuts links to what is allowed, and tells how many were dropped.
    pub(super) fn links(&self, mut links: Vec<Link>) -> (Vec<Link>, u32) {
        let dropped = cut(&mut links, self.link_count);
        (links, dropped)
    }
}

fn cut<T>(list: &mut Vec<T>, most: usize) -> u32 {
    let dropped = list.len().saturating_sub(most);
    list.truncate(most);
    u32::try_from(dropped).unwrap_or(u32::MAX)
}
