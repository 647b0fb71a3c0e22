//! The settings of the export, which are OpenTelemetry's own. An unknown value warns and is ignored, as its specification wants it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::export::settings::{Batch, Limits, Protocol, Settings, Target};

/// Switches everything of OpenTelemetry's off but the headers: `true`.
pub const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// Where spans go: `otlp` (unless set) or `none`.
pub const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// Where everything of OpenTelemetry's goes.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where spans go, if elsewhere.
pub const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// How it is written.
pub const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// How spans are written, if otherwise.
pub const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
/// The name of the service that the browser's spans belong to.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// More attributes of what spans belong to: `key=value,...`, percent-encoded.
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// How long a span waits for others, in milliseconds.
pub const SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
/// How long one export may take, in milliseconds.
pub const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
/// How many spans wait in memory.
pub const MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
/// How many spans go with one request.
pub const MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";

const PROTOCOLS: [(&str, Protocol); 3] =
    [("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson), ("grpc", Protocol::Grpc)];

const LONGEST_EXPORT: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads settings one by one, and gathers what is to be said of those that can't be used.
struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

/// Reads the settings of the export, and what the user should know of those that are ignored.
pub(super) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> (Settings, Vec<String>) {
    let mut reader = Reader { lookup, warnings: Vec::new() };
    let settings = Settings {
        target: reader.target(),
        batch: reader.batch(),
        limits: reader.limits(),
        service_name: lookup(SERVICE_NAME),
        resource_attributes: reader.pairs(RESOURCE_ATTRIBUTES),
    };
    (settings, reader.warnings)
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

impl Reader<'_> {
    fn target(&mut self) -> Option<Target> {
        let disabled = (self.lookup)(SDK_DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exports = self.choice(EXPORTER, &[("otlp", true), ("none", false)]).unwrap_or(true);
        if disabled || !exports {
            return None;
        }
        let protocol = self.otlp("PROTOCOL", |this, name| this.choice(name, &PROTOCOLS)).unwrap_or_default();
        let timeout = self.otlp("TIMEOUT", Self::milliseconds).unwrap_or(DEFAULT_TIMEOUT);
        let longest = self.milliseconds(EXPORT_TIMEOUT).unwrap_or(LONGEST_EXPORT);
        let path = |this: &mut Self, name: &str| (this.lookup)(name).map(PathBuf::from);
        let certificate = self.otlp("CLIENT_CERTIFICATE", path);
        let key = self.otlp("CLIENT_KEY", path);
        let named = self.endpoint(protocol);
        Some(Target {
            is_default: named.is_none(),
            endpoint: named.unwrap_or_else(|| default_endpoint(protocol)),
            protocol,
            headers: self
                .otlp("HEADERS", |this, name| Some(this.pairs(name)).filter(|pairs| !pairs.is_empty()))
                .unwrap_or_default(),
            gzip: self
                .otlp("COMPRESSION", |this, name| this.choice(name, &[("gzip", true), ("none", false)]))
                .unwrap_or(false),
            timeout: timeout.min(longest),
            certificate: self.otlp("CERTIFICATE", path),
            client: certificate.zip(key),
        })
    }

    /// The address for traces as it is; or the general one, which HTTP has a path for.
    fn endpoint(&mut self, protocol: Protocol) -> Option<Url> {
        let special = self.url(TRACES_ENDPOINT);
        special.or_else(|| Some(of_traces(self.url(ENDPOINT)?, protocol)))
    }

    fn batch(&mut self) -> Batch {
        let defaults = Batch::default();
        let max_queue_size = self.count(MAX_QUEUE_SIZE).unwrap_or(defaults.max_queue_size);
        let wanted = self.count(MAX_EXPORT_BATCH_SIZE).unwrap_or(defaults.max_export_batch_size);
        Batch {
            schedule_delay: self.milliseconds(SCHEDULE_DELAY).unwrap_or(defaults.schedule_delay),
            max_queue_size,
            max_export_batch_size: wanted.min(max_queue_size),
        }
    }

    fn limits(&mut self) -> Limits {
        let defaults = Limits::default();
        let mut either = |special: &str, general: &str| {
            let special = self.number(special);
            special.or_else(|| self.number(general))
        };
        let attribute_count = either("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT");
        let attribute_length = either("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        Limits {
            attribute_count: attribute_count.unwrap_or(defaults.attribute_count),
            attribute_length,
            event_count: self.number("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(defaults.event_count),
            link_count: self.number("OTEL_SPAN_LINK_COUNT_LIMIT").unwrap_or(defaults.link_count),
        }
    }

    /// Reads a setting of the exporter: the one for traces, else the general one.
    fn otlp<T>(&mut self, name: &str, read: impl Fn(&mut Self, &str) -> Option<T>) -> Option<T> {
        let special = read(self, &format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        special.or_else(|| read(self, &format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = (self.lookup)(name)?;
        let found = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(value.trim()));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.ignore(name, &value, &format!("expected {}", names.join(" or ")));
        }
        found.map(|(_, choice)| *choice)
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = (self.lookup)(name)?;
        let number = value.trim().parse().ok();
        if number.is_none() {
            self.ignore(name, &value, "expected a whole number");
        }
        number
    }

    /// A number of at least 1.
    fn count(&mut self, name: &str) -> Option<usize> {
        let count = self.number(name)?;
        if count == 0 {
            self.ignore(name, "0", "it must be more than 0");
        }
        Some(count).filter(|count| *count > 0)
    }

    fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    fn url(&mut self, name: &str) -> Option<Url> {
        let value = (self.lookup)(name)?;
        let url =
            Url::parse(value.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            // It may hold a secret.
            self.warnings.push(format!("{name} is ignored: expected an address such as http://localhost:4318"));
        }
        url
    }

    /// Reads `key=value,key=value`, each percent-encoded. One wrong pair spoils them all, since nobody can say which half is right.
    fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(text) = (self.lookup)(name) else { return Vec::new() };
        let decoded = |part: &str| percent_decode_str(part.trim()).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
        });
        pairs.collect::<Option<_>>().unwrap_or_else(|| {
            // Its values may be secrets.
            self.warnings.push(format!("{name} is ignored: expected key=value,key=value, percent-encoded"));
            Vec::new()
        })
    }

    fn ignore(&mut self, name: &str, value: &str, reason: &str) {
        self.warnings.push(format!("{name}={value} is ignored: {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        read(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
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
        for variables in [[(EXPORTER, "none")], [(SDK_DISABLED, "TRUE")]] {
            assert_eq!(settings(&variables).0.target, None);
        }
        assert!(settings(&[(SDK_DISABLED, "no"), (EXPORTER, "otlp")]).0.target.is_some());
        let (kept, warnings) = settings(&[(EXPORTER, "zipkin")]);
        assert!(kept.target.is_some());
        assert_eq!(warnings, ["OTEL_TRACES_EXPORTER=zipkin is ignored: expected otlp or none"]);
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
            (MAX_QUEUE_SIZE, "0"),
            (MAX_EXPORT_BATCH_SIZE, "9999"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "3"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            (RESOURCE_ATTRIBUTES, "team=shop,rack"),
        ]);
        assert_eq!(settings.batch, Batch { max_export_batch_size: 2048, ..Batch::default() });
        assert_eq!(settings.limits, Limits { attribute_count: 3, ..Limits::default() });
        assert_eq!(settings.resource_attributes, []);
        assert_eq!(
            warnings,
            [
                "OTEL_EXPORTER_OTLP_HEADERS is ignored: expected key=value,key=value, percent-encoded",
                "OTEL_BSP_MAX_QUEUE_SIZE=0 is ignored: it must be more than 0",
                "OTEL_BSP_SCHEDULE_DELAY=1s is ignored: expected a whole number",
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=-1 is ignored: expected a whole number",
                "OTEL_RESOURCE_ATTRIBUTES is ignored: expected key=value,key=value, percent-encoded",
            ]
        );
    }
}
