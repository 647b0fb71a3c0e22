//! How spans are exported: the values that follow from OpenTelemetry's settings.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>,
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::redaction::Redaction;
use crate::context::traceparent::SpanContext;
use crate::export::destination::Destination;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExportOptions {
    /// Where spans are sent; `None` when nothing is exported.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) batch: BatchOptions,
    /// `OTEL_SERVICE_NAME`.
    pub(crate) service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub(crate) resource_attributes: Vec<(String, String)>,
    pub(crate) run: RunIdentity,
}

/// What the browsers of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunIdentity {
    pub(crate) id: Option<String>,
    /// The number of the attempt, if the run is repeated.
    pub(crate) attempt: Option<u32>,
    /// The span of another process to which each session has a link.
    pub(crate) linked: Option<SpanContext>,
}

impl ExportOptions {
    /// Returns the collector for which spans are meant; `None` when nothing is exported.
    pub(crate) fn destination(&self) -> Option<Destination> {
        self.endpoint.as_ref().map(Destination::of)
    }
}

/// The address of a collector, and how to send spans there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) url: url::Url,
    /// The socket of the `navtrace run` whose own collector this is.
    pub(crate) run: Option<PathBuf>,
    /// Whether this is OpenTelemetry's default address, because no setting names one, not even one that can't be used.
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

/// The path of the endpoint for spans, and the signals that have such a path.
const TRACES_PATH: &str = "/v1/traces";
const SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

/// The time limit of a request to the run's own collector.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(10);

/// The names of this machine by which a page reaches it.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Endpoint {
    /// Returns the endpoint of a run's own collector at an address such as `http://127.0.0.1:4318`.
    pub(crate) fn of_collector(address: &str, run: &Path) -> Option<Self> {
        Some(Self {
            url: format!("{address}{TRACES_PATH}").parse().ok()?,
            run: Some(run.to_owned()),
            is_default: false,
            protocol: Protocol::HttpProtobuf,
            headers: Vec::new(),
            gzip: false,
            timeout: Some(COLLECTOR_TIMEOUT),
            certificate: None,
            client: None,
            unusable: None,
        })
    }

    /// Returns whether the collector is reached at a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == LOOPBACK[0],
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// Returns the addresses without a query to which pages export that use the same collector: those of every signal, and for a collector
    /// on loopback by each of its names. Pages can't use gRPC.
    pub(crate) fn page_addresses(&self) -> Vec<String> {
        if self.protocol == Protocol::Grpc {
            return Vec::new();
        }
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // A page's address has none either.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let mut hosts = vec![url.clone()];
        for name in LOOPBACK.iter().filter(|_| self.is_loopback()) {
            let mut alias = url.clone();
            if alias.set_host(Some(name)).is_ok() && !hosts.contains(&alias) {
                hosts.push(alias);
            }
        }
        let of_signals = |url: url::Url| match url.as_str().strip_suffix(TRACES_PATH) {
            Some(base) => SIGNALS.map(|signal| format!("{base}/v1/{signal}")).to_vec(),
            None => vec![url.into()],
        };
        hosts.into_iter().flat_map(of_signals).collect()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str, protocol: Protocol) -> Vec<String> {
        let endpoint = Endpoint {
            url: url.parse().unwrap(),
            run: None,
            is_default: false,
            protocol,
            headers: Vec::new(),
            gzip: false,
            timeout: None,
            certificate: None,
            client: None,
            unusable: None,
        };
        endpoint.page_addresses()
    }

    #[test]
    fn pages_export_every_signal_to_the_collector() {
        let elsewhere = addresses("https://me:secret@otlp.test/base/v1/traces?key=1", Protocol::HttpProtobuf);
        let expected = ["traces", "metrics", "logs"].map(|signal| format!("https://otlp.test/base/v1/{signal}"));
        assert_eq!(elsewhere, expected);
        assert_eq!(addresses("https://otlp.test/spans", Protocol::HttpJson), ["https://otlp.test/spans"]);
        assert_eq!(addresses("http://127.0.0.1:4317", Protocol::Grpc), [""; 0]);
    }

    #[test]
    fn pages_reach_a_collector_on_loopback_by_each_of_its_names() {
        for name in ["127.0.0.1", "localhost", "[::1]"] {
            let mut found = addresses(&format!("http://{name}:4318/spans"), Protocol::HttpProtobuf);
            found.sort();
            assert_eq!(found, ["127.0.0.1", "[::1]", "localhost"].map(|name| format!("http://{name}:4318/spans")));
        }
        let other = addresses("http://127.0.0.2/spans", Protocol::HttpProtobuf);
        assert!(other.len() == 4 && other[0] == "http://127.0.0.2/spans", "{other:?}");
    }
}
