//! The values that were given to the settings of the export, and the options that follow from them.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::export::options::{BatchOptions, Endpoint, ExportOptions, Protocol};

const DEFAULT_EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The values that were given. A setting for traces wins over the general one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RawExport {
    pub(super) is_disabled: bool,
    pub(super) exports: Option<bool>,
    pub(super) service_name: Option<String>,
    pub(super) resource_attributes: Vec<(String, String)>,
    pub(super) general: Otlp,
    pub(super) traces: Otlp,
    pub(super) export_timeout: Option<Duration>,
    pub(super) schedule_delay: Option<Duration>,
    pub(super) max_queue_size: Option<usize>,
    pub(super) max_export_batch_size: Option<usize>,
}

/// The settings of one prefix: `OTEL_EXPORTER_OTLP_` or `OTEL_EXPORTER_OTLP_TRACES_`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Otlp {
    pub(super) endpoint: Option<Url>,
    pub(super) protocol: Option<Protocol>,
    pub(super) headers: Option<Vec<(String, String)>>,
    pub(super) timeout: Option<Duration>,
    pub(super) gzip: Option<bool>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

/// Returns the address that OpenTelemetry specifies as the default.
fn default_endpoint(protocol: Protocol) -> Url {
    let default = if protocol == Protocol::Grpc { "http://localhost:4317" } else { "http://localhost:4318" };
    of_traces(Url::parse(default).unwrap_or_else(|_| unreachable!("it is an address")), protocol)
}

/// Returns the address for traces below a general endpoint.
fn of_traces(mut endpoint: Url, protocol: Protocol) -> Url {
    if protocol != Protocol::Grpc {
        endpoint.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    }
    endpoint
}

impl RawExport {
    pub(crate) fn options(&self) -> ExportOptions {
        let batch = BatchOptions::default();
        let max_queue_size = self.max_queue_size.unwrap_or(batch.max_queue_size);
        let max_export_batch_size = self.max_export_batch_size.unwrap_or(batch.max_export_batch_size);
        ExportOptions {
            endpoint: self.endpoint(),
            batch: BatchOptions {
                schedule_delay: self.schedule_delay.unwrap_or(batch.schedule_delay),
                max_queue_size,
                max_export_batch_size: max_export_batch_size.min(max_queue_size),
            },
            service_name: self.service_name.clone(),
            resource_attributes: self.resource_attributes.clone(),
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        if self.is_disabled || self.exports == Some(false) {
            return None;
        }
        let Self { traces, general, .. } = self;
        let protocol = traces.protocol.or(general.protocol).unwrap_or_default();
        let of_general = || Some(of_traces(general.endpoint.clone()?, protocol));
        let named = traces.endpoint.clone().or_else(of_general);
        let timeout = traces.timeout.or(general.timeout).unwrap_or(DEFAULT_TIMEOUT);
        let path = |of: fn(&Otlp) -> &Option<PathBuf>| of(traces).as_ref().or(of(general).as_ref()).cloned();
        Some(Endpoint {
            is_default: named.is_none(),
            url: named.unwrap_or_else(|| default_endpoint(protocol)),
            protocol,
            headers: traces.headers.as_ref().or(general.headers.as_ref()).cloned().unwrap_or_default(),
            gzip: traces.gzip.or(general.gzip).unwrap_or(false),
            timeout: timeout.min(self.export_timeout.unwrap_or(DEFAULT_EXPORT_TIMEOUT)),
            certificate: path(|otlp| &otlp.certificate),
            client: path(|otlp| &otlp.client_certificate).zip(path(|otlp| &otlp.client_key)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;
    use crate::settings::export::{ENDPOINT, EXPORTER, SCHEDULE_DELAY};

    fn options(variables: &[(&str, &str)]) -> (ExportOptions, Vec<String>) {
        let config = Config::of_environment(variables).unwrap();
        (config.export, config.warnings)
    }

    fn endpoint(variables: &[(&str, &str)]) -> String {
        options(variables).0.endpoint.unwrap().url.to_string()
    }

    #[test]
    fn the_endpoint_follows_the_specification() {
        const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        assert_eq!(endpoint(&[]), "http://localhost:4318/v1/traces");
        assert_eq!(endpoint(&[(PROTOCOL, "grpc")]), "http://localhost:4317/");
        assert_eq!(endpoint(&[(GENERAL, "http://c:1")]), "http://c:1/v1/traces");
        assert_eq!(endpoint(&[(GENERAL, "http://c:1/a/")]), "http://c:1/a/v1/traces");
        assert_eq!(endpoint(&[(GENERAL, "http://c:1"), (TRACES, "http://d:2/x")]), "http://d:2/x");
        assert_eq!(endpoint(&[(TRACES, "http://d:2")]), "http://d:2/");
        assert_eq!(endpoint(&[(PROTOCOL, "grpc"), (GENERAL, "https://c:1")]), "https://c:1/");
        let (ignored, warnings) = options(&[(GENERAL, "collector:4318")]);
        assert_eq!(ignored.endpoint.unwrap().url.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!(
            warnings,
            ["OTEL_EXPORTER_OTLP_ENDPOINT is ignored: expected an address such as http://localhost:4318"]
        );
    }

    #[test]
    fn the_export_can_be_switched_off() {
        for variables in [[(EXPORTER, "none")], [("OTEL_SDK_DISABLED", "TRUE")]] {
            assert_eq!(options(&variables).0.endpoint, None);
        }
        assert!(options(&[("OTEL_SDK_DISABLED", "no"), (EXPORTER, "otlp")]).0.endpoint.is_some());
        let (kept, warnings) = options(&[(EXPORTER, "zipkin")]);
        assert!(kept.endpoint.is_some());
        assert_eq!(warnings, ["OTEL_TRACES_EXPORTER=zipkin is ignored: expected otlp or none"]);
        let (_, warnings) = options(&[(EXPORTER, "none"), (ENDPOINT, "collector"), (SCHEDULE_DELAY, "1s")]);
        assert_eq!(warnings, ["OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number"]);
    }

    #[test]
    fn a_setting_for_traces_wins() {
        let (options, warnings) = options(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=k%20y, tenant=shop"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/client.pem"),
        ]);
        let endpoint = options.endpoint.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(endpoint.protocol, Protocol::HttpJson);
        assert_eq!(
            endpoint.headers,
            [("api-key".to_owned(), "k y".to_owned()), ("tenant".to_owned(), "shop".to_owned())]
        );
        assert!(endpoint.gzip);
        assert_eq!(endpoint.timeout, Duration::from_millis(1500));
        assert_eq!(endpoint.certificate, Some(PathBuf::from("/ca.pem")));
        assert_eq!(endpoint.client, Some((PathBuf::from("/client.pem"), PathBuf::from("/key.pem"))));
    }

    #[test]
    fn unusable_numbers_and_pairs_are_named() {
        let (options, warnings) = options(&[
            (SCHEDULE_DELAY, "1s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9999"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=shop,rack"),
        ]);
        assert_eq!(options.batch, BatchOptions { max_export_batch_size: 2048, ..BatchOptions::default() });
        assert_eq!(options.resource_attributes, []);
        assert_eq!(
            warnings,
            [
                "OTEL_RESOURCE_ATTRIBUTES is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_EXPORTER_OTLP_HEADERS is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number",
                "OTEL_BSP_MAX_QUEUE_SIZE=0 is ignored: it must be more than 0",
            ]
        );
    }
}
