//! The values that were given to the settings of the export, and the options that follow from them.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::export::options::{BatchOptions, Endpoint, ExportOptions, Protocol, RunIdentity};
use crate::settings::export::{ENDPOINT, TRACES_ENDPOINT};
use crate::settings::value::Address;

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
    pub(super) endpoint: Option<Address>,
    pub(super) insecure: Option<bool>,
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
            run: RunIdentity::default(),
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        if self.is_disabled || self.exports == Some(false) {
            return None;
        }
        let Self { traces, general, .. } = self;
        let protocol = traces.protocol.or(general.protocol).unwrap_or_default();
        let named = self.named_url(protocol);
        let client = self.client();
        let unusable = named.as_ref().err().or(client.as_ref().err()).cloned();
        let path = |of: fn(&Otlp) -> &Option<PathBuf>| of(traces).as_ref().or(of(general).as_ref()).cloned();
        let timeouts = [
            traces.timeout.or(general.timeout).unwrap_or(DEFAULT_TIMEOUT),
            self.export_timeout.unwrap_or(DEFAULT_EXPORT_TIMEOUT),
        ];
        Some(Endpoint {
            unusable,
            run: None,
            is_default: named == Ok(None),
            url: named.ok().flatten().unwrap_or_else(|| default_endpoint(protocol)),
            protocol,
            headers: traces.headers.as_ref().or(general.headers.as_ref()).cloned().unwrap_or_default(),
            gzip: traces.gzip.or(general.gzip).unwrap_or(false),
            timeout: timeouts.into_iter().filter(|timeout| !timeout.is_zero()).min(),
            certificate: path(|otlp| &otlp.certificate),
            client: client.ok().flatten(),
        })
    }

    /// Returns the address that a setting names. The error says why it can't be used.
    fn named_url(&self, protocol: Protocol) -> Result<Option<Url>, String> {
        let Self { traces, general, .. } = self;
        let (address, name, is_general) = match (&traces.endpoint, &general.endpoint) {
            (Some(address), _) => (address, TRACES_ENDPOINT, false),
            (None, Some(address)) => (address, ENDPOINT, true),
            (None, None) => return Ok(None),
        };
        let url = match address {
            Address::Url(url) => url.clone(),
            Address::Host(host) if protocol == Protocol::Grpc => {
                let is_insecure = traces.insecure.or(general.insecure).unwrap_or(false);
                let scheme = if is_insecure { "http" } else { "https" };
                Url::parse(&format!("{scheme}://{host}")).map_err(|error| format!("{name} can't be used: {error}"))?
            }
            Address::Host(_) => {
                return Err(format!(
                    "{name} can't be used: it needs http:// or https://, unless OTEL_EXPORTER_OTLP_PROTOCOL is grpc"
                ));
            }
        };
        Ok(Some(if is_general { of_traces(url, protocol) } else { url }))
    }

    /// Returns the client's certificate and its key, which belong together. The error names the one that is missing.
    fn client(&self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        for (otlp, prefix) in [(&self.traces, "OTEL_EXPORTER_OTLP_TRACES_"), (&self.general, "OTEL_EXPORTER_OTLP_")] {
            let (given, missing) = match (&otlp.client_certificate, &otlp.client_key) {
                (None, None) => continue,
                (Some(certificate), Some(key)) => return Ok(Some((certificate.clone(), key.clone()))),
                (Some(_), None) => ("CLIENT_CERTIFICATE", "CLIENT_KEY"),
                (None, Some(_)) => ("CLIENT_KEY", "CLIENT_CERTIFICATE"),
            };
            return Err(format!("{prefix}{given} can't be used without {prefix}{missing}"));
        }
        Ok(None)
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
    }

    #[test]
    fn grpc_needs_no_scheme() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(endpoint(&[grpc, (ENDPOINT, "localhost:4317")]), "https://localhost:4317/");
        assert_eq!(endpoint(&[grpc, (ENDPOINT, "localhost:4317"), insecure]), "http://localhost:4317/");
        assert_eq!(endpoint(&[grpc, (TRACES_ENDPOINT, "[::1]:4317"), insecure]), "http://[::1]:4317/");
        let secure = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "no");
        assert_eq!(endpoint(&[grpc, (ENDPOINT, "collector"), insecure, secure]), "https://collector/");
        // A scheme counts more.
        assert_eq!(endpoint(&[grpc, (ENDPOINT, "https://c:1"), insecure]), "https://c:1/");
        assert_eq!(endpoint(&[grpc, (ENDPOINT, "http://c:1")]), "http://c:1/");
    }

    #[test]
    fn what_would_lose_spans_or_secrets_is_unusable() {
        const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
        const TRACES_KEY: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY";
        let unusable = |variables: &[(&str, &str)]| {
            let (options, warnings) = options(variables);
            assert_eq!(warnings, [""; 0]);
            options.endpoint.unwrap().unusable.unwrap()
        };
        let cases = [
            (
                ENDPOINT,
                "collector:4318",
                " can't be used: it needs http:// or https://, unless OTEL_EXPORTER_OTLP_PROTOCOL is grpc",
            ),
            (ENDPOINT, "unix:/run/secret", " can't be used: expected an address such as http://localhost:4318"),
            (TRACES_ENDPOINT, "ftp://me:secret@c", " can't be used: expected an address such as http://localhost:4318"),
            (HEADERS, "a=1,secret", " can't be used: item 2 is not key=value, percent-encoded"),
            (HEADERS, "a=%ff", " can't be used: item 1 is not key=value, percent-encoded"),
            (HEADERS, "a b=secret", " can't be used: the key of item 1 can't be the name of a header"),
            (HEADERS, "a=1,b=se%0Acret", " can't be used: the value of item 2 has characters that no header can have"),
            (CERTIFICATE, "/c.pem", " can't be used without OTEL_EXPORTER_OTLP_CLIENT_KEY"),
            (TRACES_KEY, "/k.pem", " can't be used without OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"),
        ];
        for (name, value, reason) in cases {
            assert_eq!(unusable(&[(name, value)]), format!("{name}{reason}"));
        }
        let mixed =
            unusable(&[(CERTIFICATE, "/c.pem"), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"), (TRACES_KEY, "/t.pem")]);
        assert!(mixed.starts_with(TRACES_KEY), "{mixed}");
        // A value that is not used does no harm.
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1");
        assert_eq!(options(&[(HEADERS, "secret"), traces]).0.endpoint.unwrap().unusable, None);
        assert_eq!(options(&[(HEADERS, "secret"), (EXPORTER, "none")]), (ExportOptions::default(), Vec::new()));
    }

    #[test]
    fn no_time_limit_is_a_limit_of_0() {
        const BATCHES: &str = "OTEL_BSP_EXPORT_TIMEOUT";
        let timeout = |variables: &[(&str, &str)]| options(variables).0.endpoint.unwrap().timeout;
        assert_eq!(timeout(&[]), Some(DEFAULT_TIMEOUT));
        assert_eq!(timeout(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")]), Some(DEFAULT_EXPORT_TIMEOUT));
        assert_eq!(timeout(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0"), (BATCHES, "0")]), None);
        assert_eq!(timeout(&[(BATCHES, "50")]), Some(Duration::from_millis(50)));
        assert_eq!(timeout(&[("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1")]), Some(DEFAULT_TIMEOUT));
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
        assert_eq!(endpoint.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(endpoint.certificate, Some(PathBuf::from("/ca.pem")));
        assert_eq!(endpoint.client, Some((PathBuf::from("/client.pem"), PathBuf::from("/key.pem"))));
    }

    #[test]
    fn unusable_numbers_and_pairs_are_named() {
        let (options, warnings) = options(&[
            (SCHEDULE_DELAY, "1s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9999"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=shop,rack"),
        ]);
        assert_eq!(options.batch, BatchOptions { max_export_batch_size: 2048, ..BatchOptions::default() });
        assert_eq!(options.resource_attributes, []);
        assert_eq!(
            warnings,
            [
                "OTEL_RESOURCE_ATTRIBUTES is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number",
                "OTEL_BSP_MAX_QUEUE_SIZE=0 is ignored: it must be more than 0",
            ]
        );
    }
}
