//! What was given of the export's settings, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::export::settings::{Batch, Limits, Protocol, Settings, Target};

const LONGEST_EXPORT: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What was given of these settings, from which [`Settings`] follow once all is read: what is for traces alone wins over the general.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(super) is_disabled: bool,
    pub(super) exports: Option<bool>,
    pub(super) service_name: Option<String>,
    pub(super) resource_attributes: Vec<(String, String)>,
    pub(super) general: Otlp,
    pub(super) traces: Otlp,
    pub(super) longest_export: Option<Duration>,
    pub(super) schedule_delay: Option<Duration>,
    pub(super) max_queue_size: Option<usize>,
    pub(super) max_export_batch_size: Option<usize>,
    pub(super) attribute_count: Option<usize>,
    pub(super) attribute_length: Option<usize>,
    pub(super) span_attribute_count: Option<usize>,
    pub(super) span_attribute_length: Option<usize>,
    pub(super) event_count: Option<usize>,
    pub(super) link_count: Option<usize>,
}

/// How spans get to a collector.
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

/// Where OpenTelemetry sends spans when nobody says where.
fn default_endpoint(protocol: Protocol) -> Url {
    let default = if protocol == Protocol::Grpc { "http://localhost:4317" } else { "http://localhost:4318" };
    of_traces(Url::parse(default).unwrap_or_else(|_| unreachable!("it is an address")), protocol)
}

/// The address for traces at a general endpoint.
fn of_traces(mut endpoint: Url, protocol: Protocol) -> Url {
    if protocol != Protocol::Grpc {
        endpoint.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    }
    endpoint
}

impl Wanted {
    /// What follows from all that was given.
    pub(crate) fn settings(&self) -> Settings {
        let (batch, limits) = (Batch::default(), Limits::default());
        let max_queue_size = self.max_queue_size.unwrap_or(batch.max_queue_size);
        let max_export_batch_size = self.max_export_batch_size.unwrap_or(batch.max_export_batch_size);
        Settings {
            target: self.target(),
            batch: Batch {
                schedule_delay: self.schedule_delay.unwrap_or(batch.schedule_delay),
                max_queue_size,
                max_export_batch_size: max_export_batch_size.min(max_queue_size),
            },
            limits: Limits {
                attribute_count: self.span_attribute_count.or(self.attribute_count).unwrap_or(limits.attribute_count),
                attribute_length: self.span_attribute_length.or(self.attribute_length),
                event_count: self.event_count.unwrap_or(limits.event_count),
                link_count: self.link_count.unwrap_or(limits.link_count),
            },
            service_name: self.service_name.clone(),
            resource_attributes: self.resource_attributes.clone(),
        }
    }

    fn target(&self) -> Option<Target> {
        if self.is_disabled || self.exports == Some(false) {
            return None;
        }
        let Self { traces, general, .. } = self;
        let protocol = traces.protocol.or(general.protocol).unwrap_or_default();
        let of_general = || Some(of_traces(general.endpoint.clone()?, protocol));
        let named = traces.endpoint.clone().or_else(of_general);
        let timeout = traces.timeout.or(general.timeout).unwrap_or(DEFAULT_TIMEOUT);
        let path = |of: fn(&Otlp) -> &Option<PathBuf>| of(traces).as_ref().or(of(general).as_ref()).cloned();
        Some(Target {
            is_default: named.is_none(),
            endpoint: named.unwrap_or_else(|| default_endpoint(protocol)),
            protocol,
            headers: traces.headers.as_ref().or(general.headers.as_ref()).cloned().unwrap_or_default(),
            gzip: traces.gzip.or(general.gzip).unwrap_or(false),
            timeout: timeout.min(self.longest_export.unwrap_or(LONGEST_EXPORT)),
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

    fn settings(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let config = Config::of_environment(variables).unwrap();
        (config.export, config.warnings)
    }

    fn endpoint(variables: &[(&str, &str)]) -> String {
        settings(variables).0.target.unwrap().endpoint.to_string()
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
        let (ignored, warnings) = settings(&[(GENERAL, "collector:4318")]);
        assert_eq!(ignored.target.unwrap().endpoint.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!(
            warnings,
            ["OTEL_EXPORTER_OTLP_ENDPOINT is ignored: expected an address such as http://localhost:4318"]
        );
    }

    #[test]
    fn nothing_is_exported_where_that_is_wanted() {
        for variables in [[(EXPORTER, "none")], [("OTEL_SDK_DISABLED", "TRUE")]] {
            assert_eq!(settings(&variables).0.target, None);
        }
        assert!(settings(&[("OTEL_SDK_DISABLED", "no"), (EXPORTER, "otlp")]).0.target.is_some());
        let (kept, warnings) = settings(&[(EXPORTER, "zipkin")]);
        assert!(kept.target.is_some());
        assert_eq!(warnings, ["OTEL_TRACES_EXPORTER=zipkin is ignored: expected otlp or none"]);
        let (_, warnings) = settings(&[(EXPORTER, "none"), (ENDPOINT, "collector"), (SCHEDULE_DELAY, "1s")]);
        assert_eq!(warnings, ["OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number"]);
    }

    #[test]
    fn the_setting_for_traces_wins() {
        let (settings, warnings) = settings(&[
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
        let target = settings.target.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(target.protocol, Protocol::HttpJson);
        assert_eq!(
            target.headers,
            [("api-key".to_owned(), "k y".to_owned()), ("tenant".to_owned(), "shop".to_owned())]
        );
        assert!(target.gzip);
        assert_eq!(target.timeout, Duration::from_millis(1500));
        assert_eq!(target.certificate, Some(PathBuf::from("/ca.pem")));
        assert_eq!(target.client, Some((PathBuf::from("/client.pem"), PathBuf::from("/key.pem"))));
    }

    #[test]
    fn numbers_and_pairs_that_can_not_be_used_are_named() {
        let (settings, warnings) = settings(&[
            (SCHEDULE_DELAY, "1s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9999"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "3"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=shop,rack"),
        ]);
        assert_eq!(settings.batch, Batch { max_export_batch_size: 2048, ..Batch::default() });
        assert_eq!(settings.limits, Limits { attribute_count: 3, ..Limits::default() });
        assert_eq!(settings.resource_attributes, []);
        assert_eq!(
            warnings,
            [
                "OTEL_RESOURCE_ATTRIBUTES is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_EXPORTER_OTLP_HEADERS is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number",
                "OTEL_BSP_MAX_QUEUE_SIZE=0 is ignored: it must be more than 0",
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=-1 is ignored: expected a whole number",
            ]
        );
    }
}
