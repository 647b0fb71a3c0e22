//! The settings of the export, which are all OpenTelemetry's. Its specification wants an unknown value to be ignored with a warning.

pub(super) mod raw;

use crate::export::options::Protocol;
use crate::settings::setting::{Read, SETTING, Secret, Setting, put};
use crate::settings::value::{address, count, headers, known, milliseconds, names, pairs};

pub(crate) const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// The endpoint for all signals.
pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The endpoint for traces alone.
pub(crate) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
pub(crate) const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
pub(crate) const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
/// How long a span waits for others, in ms.
pub(crate) const SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// The time limit of one export, in ms.
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";

const OTLP_PREFIX: &str = "OTEL_EXPORTER_OTLP_";

const EXPORTERS: [(&str, bool); 2] = [("otlp", true), ("none", false)];

const COMPRESSIONS: [(&str, bool); 2] = [("none", false), ("gzip", true)];

const PROTOCOLS: [(&str, Protocol); 3] =
    [("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson), ("grpc", Protocol::Grpc)];

/// Returns whether nothing can be sent without a valid value, by the end of the setting's name.
const fn is_needed(name: &str) -> bool {
    matches!(name.as_bytes(), b"ENDPOINT" | b"HEADERS")
}

/// Returns whether a setting names the collector.
pub(super) fn is_endpoint(name: &str) -> bool {
    [ENDPOINT, TRACES_ENDPOINT].contains(&name)
}

/// Makes the two rows of a setting that exists for all signals and for traces alone.
macro_rules! otlp {
    (@choices) => { Vec::new };
    (@choices $choices:expr) => { || names(&$choices) };
    (
        $name:literal, $default:literal, $meaning:literal, $secret:ident, $read:ident,
        |$otlp:ident, $value:ident| $set:expr $(, $choices:expr)?
    ) => {
        [
            Setting {
                name: concat!("OTEL_EXPORTER_OTLP_", $name),
                default: $default,
                meaning: $meaning,
                secret: Secret::$secret,
                is_needed: is_needed($name),
                choices: otlp!(@choices $($choices)?),
                read: Read::$read(|config, $value| {
                    let $otlp = &mut config.raw_export.general;
                    $set
                }),
                ..SETTING
            },
            Setting {
                name: concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
                default: "",
                secret: Secret::$secret,
                is_needed: is_needed($name),
                choices: otlp!(@choices $($choices)?),
                read: Read::$read(|config, $value| {
                    let $otlp = &mut config.raw_export.traces;
                    $set
                }),
                ..SETTING
            },
        ]
    };
}

static OF_SPANS: &[Setting] = &[
    Setting {
        name: EXPORTER,
        default: "`otlp`",
        meaning: "`otlp`, or `none` to export nothing; `OTEL_SDK_DISABLED=true` does the same as `none`",
        choices: || names(&EXPORTERS),
        read: Read::Text(|config, text| put(&mut config.raw_export.exports, known(text, &EXPORTERS).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SDK_DISABLED",
        default: "`false`",
        read: Read::Switch(|config, on| config.raw_export.is_disabled = on),
        ..SETTING
    },
    Setting {
        name: "OTEL_SERVICE_NAME",
        default: "`browser`",
        meaning: "the service that the browser's spans belong to; `OTEL_RESOURCE_ATTRIBUTES` has more of its attributes, as `key=value,…`",
        read: Read::Text(|config, text| put(&mut config.raw_export.service_name, Ok(Some(text.to_owned())))),
        ..SETTING
    },
    Setting {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        default: "",
        secret: Secret::WhenInvalid,
        read: Read::List(|config, items| put(&mut config.raw_export.resource_attributes, pairs(items))),
        ..SETTING
    },
];

static OF_OTLP: &[[Setting; 2]] = &[
    otlp!(
        "ENDPOINT",
        "in `run` its own collector, else `http://localhost:4318` (`:4317` for gRPC)",
        "where spans go; a setting with `TRACES` in its name is for spans alone and wins, and its address is used unchanged",
        WhenInvalid,
        Text,
        |otlp, text| put(&mut otlp.endpoint, address(text).map(Some))
    ),
    otlp!(
        "PROTOCOL",
        "`http/protobuf`",
        "`http/protobuf`, `http/json` or `grpc`",
        Nothing,
        Text,
        |otlp, text| put(&mut otlp.protocol, known(text, &PROTOCOLS).map(Some)),
        PROTOCOLS
    ),
    otlp!("HEADERS", "none", "headers of every request, as `key=value,…`", PairValues, List, |otlp, items| put(
        &mut otlp.headers,
        headers(items).map(|pairs| Some(pairs).filter(|pairs| !pairs.is_empty()))
    )),
    otlp!(
        "INSECURE",
        "`false`",
        "`true`: no TLS for gRPC to an address that has neither `http://` nor `https://`",
        Nothing,
        Switch,
        |otlp, on| otlp.insecure = Some(on)
    ),
    otlp!(
        "TIMEOUT",
        "`10000`",
        "the time limit of a request, in ms; with `0` there is only that of `OTEL_BSP_EXPORT_TIMEOUT`",
        Nothing,
        Text,
        |otlp, text| put(&mut otlp.timeout, milliseconds(text).map(Some))
    ),
    otlp!(
        "COMPRESSION",
        "`none`",
        "`none` or `gzip`",
        Nothing,
        Text,
        |otlp, text| put(&mut otlp.gzip, known(text, &COMPRESSIONS).map(Some)),
        COMPRESSIONS
    ),
    otlp!(
        "CERTIFICATE",
        "the system's",
        "PEM files for TLS; a client certificate needs the client key with the same prefix",
        Nothing,
        Path,
        |otlp, path| otlp.certificate = Some(path)
    ),
    otlp!("CLIENT_CERTIFICATE", "", "", Nothing, Path, |otlp, path| otlp.client_certificate = Some(path)),
    otlp!("CLIENT_KEY", "", "", Nothing, Path, |otlp, path| otlp.client_key = Some(path)),
];

static OF_BATCHES: &[Setting] = &[
    Setting {
        name: SCHEDULE_DELAY,
        default: "`5000`",
        meaning: "how long a span waits for others (500 with `run`'s own collector), and in `OTEL_BSP_EXPORT_TIMEOUT` the time limit of an export, in ms (`0` is none)",
        read: Read::Text(|config, text| put(&mut config.raw_export.schedule_delay, milliseconds(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: EXPORT_TIMEOUT,
        default: "`30000`",
        read: Read::Text(|config, text| put(&mut config.raw_export.export_timeout, milliseconds(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_BSP_MAX_QUEUE_SIZE",
        default: "`2048`",
        meaning: "how many spans wait in memory (more go to disk), and in `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` how many one request has",
        read: Read::Text(|config, text| put(&mut config.raw_export.max_queue_size, count(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        default: "`512`",
        read: Read::Text(|config, text| put(&mut config.raw_export.max_export_batch_size, count(text).map(Some))),
        ..SETTING
    },
];

pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    OF_SPANS.iter().chain(OF_OTLP.as_flattened()).chain(OF_BATCHES)
}

/// Returns whether a setting matters only while spans are exported. Without an export, nobody needs a warning about it.
pub(super) fn is_for_export_only(name: &str) -> bool {
    name.starts_with(OTLP_PREFIX) || name == EXPORT_TIMEOUT
}

/// Returns the name of the setting that is for traces alone.
pub(super) fn traces_name(name: &str) -> String {
    format!("{OTLP_PREFIX}TRACES_{}", name.strip_prefix(OTLP_PREFIX).unwrap_or(name))
}
