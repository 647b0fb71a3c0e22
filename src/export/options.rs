//! How spans are exported: the values that follow from OpenTelemetry's settings.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>,
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::path::PathBuf;
use std::time::Duration;

use crate::context::redaction::Redaction;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExportOptions {
    /// Where spans are sent; `None` when nothing is exported.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) batch: BatchOptions,
    /// `OTEL_SERVICE_NAME`.
    pub(crate) service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub(crate) resource_attributes: Vec<(String, String)>,
}

/// The address of a collector, and how to send spans there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) url: url::Url,
    /// Whether this is OpenTelemetry's default address, because no setting names one.
    pub(crate) is_default: bool,
    pub(crate) protocol: Protocol,
    /// Headers of every request.
    pub(crate) headers: Vec<(String, String)>,
    /// Whether request bodies are compressed with gzip.
    pub(crate) gzip: bool,
    /// The time limit of one request.
    pub(crate) timeout: Option<Duration>,
    /// A PEM file of certificates to trust besides the system's.
    pub(crate) certificate: Option<PathBuf>,
    /// PEM files of the client's certificate and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// Why nothing can be sent: the setting that can't be used, without its value. The other fields may be wrong then.
    pub(crate) unusable: Option<String>,
}

impl Endpoint {
    /// Returns the address without secrets, for messages.
    pub(crate) fn name(&self) -> String {
        Redaction::default().address(self.url.as_str()).into_owned()
    }
}

/// An encoding of OTLP and the transport under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Protocol {
    #[default]
    HttpProtobuf,
    HttpJson,
    Grpc,
}

/// The limits of OpenTelemetry's batch span processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchOptions {
    /// How long a span waits in the queue for others.
    pub(crate) schedule_delay: Duration,
    /// The most spans in memory; older ones are moved to the spool.
    pub(crate) max_queue_size: usize,
    /// The most spans in one request.
    pub(crate) max_export_batch_size: usize,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { schedule_delay: Duration::from_secs(5), max_queue_size: 2048, max_export_batch_size: 512 }
    }
}
