//! The settings of the export, which are OpenTelemetry's own. An unknown value warns and is ignored, as its specification wants it.

pub(super) mod wanted;

use crate::export::settings::Protocol;
use crate::settings::setting::{Read, SETTING, Secret, Setting, put};
use crate::settings::value::{address, count, known, milliseconds, names, number, pairs};

/// Where spans go.
pub(crate) const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// Where everything of OpenTelemetry's goes.
pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where spans go, if elsewhere.
pub(crate) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// How it is written.
pub(crate) const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// How spans are written, if otherwise.
pub(crate) const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
/// How long a span waits for others, in milliseconds.
pub(crate) const SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// How long one export may take, in milliseconds.
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";

/// What settings begin with that say how spans get to a collector.
const OTLP: &str = "OTEL_EXPORTER_OTLP_";

const EXPORTERS: [(&str, bool); 2] = [("otlp", true), ("none", false)];

const COMPRESSIONS: [(&str, bool); 2] = [("none", false), ("gzip", true)];

const PROTOCOLS: [(&str, Protocol); 3] =
    [("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson), ("grpc", Protocol::Grpc)];

/// The two rows of a setting that there is for everything and for traces alone.
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
                choices: otlp!(@choices $($choices)?),
                read: Read::$read(|config, $value| {
                    let $otlp = &mut config.wanted.general;
                    $set
                }),
                ..SETTING
            },
            Setting {
                name: concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
                default: "",
                secret: Secret::$secret,
                choices: otlp!(@choices $($choices)?),
                read: Read::$read(|config, $value| {
                    let $otlp = &mut config.wanted.traces;
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
        meaning: "`otlp`, or `none`: no span is exported; the second, `true`, does the same",
        choices: || names(&EXPORTERS),
        read: Read::Text(|config, text| put(&mut config.wanted.exports, known(text, &EXPORTERS).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SDK_DISABLED",
        default: "`false`",
        read: Read::Switch(|config, on| config.wanted.is_disabled = on),
        ..SETTING
    },
    Setting {
        name: "OTEL_SERVICE_NAME",
        default: "`browser`",
        meaning: "what the browser's spans belong to: its name, and more of it as `key=value,…`",
        read: Read::Text(|config, text| put(&mut config.wanted.service_name, Ok(Some(text.to_owned())))),
        ..SETTING
    },
    Setting {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        default: "",
        secret: Secret::WhenInvalid,
        read: Read::List(|config, items| put(&mut config.wanted.resource_attributes, pairs(items))),
        ..SETTING
    },
];

static OF_OTLP: &[[Setting; 2]] = &[
    otlp!(
        "ENDPOINT",
        "in `run` its own collector, else `http://localhost:4318` (`:4317` for gRPC)",
        "where spans go; the second of these pairs is for spans alone and wins, its address is taken as it is",
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
    otlp!("HEADERS", "none", "what every request carries, as `key=value,…`", PairValues, List, |otlp, items| put(
        &mut otlp.headers,
        pairs(items).map(|pairs| Some(pairs).filter(|pairs| !pairs.is_empty()))
    )),
    otlp!("TIMEOUT", "`10000`", "how long a request may take, in ms", Nothing, Text, |otlp, text| put(
        &mut otlp.timeout,
        milliseconds(text).map(Some)
    )),
    otlp!(
        "COMPRESSION",
        "`none`",
        "`none` or `gzip`",
        Nothing,
        Text,
        |otlp, text| put(&mut otlp.gzip, known(text, &COMPRESSIONS).map(Some)),
        COMPRESSIONS
    ),
    otlp!("CERTIFICATE", "the system's", "PEM files for TLS", Nothing, Path, |otlp, path| otlp.certificate =
        Some(path)),
    otlp!("CLIENT_CERTIFICATE", "", "", Nothing, Path, |otlp, path| otlp.client_certificate = Some(path)),
    otlp!("CLIENT_KEY", "", "", Nothing, Path, |otlp, path| otlp.client_key = Some(path)),
];

static OF_BATCHES_AND_LIMITS: &[Setting] = &[
    Setting {
        name: SCHEDULE_DELAY,
        default: "`5000`",
        meaning: "how long a span waits for others (with `run`'s own collector 500), how long an export may take, in ms",
        read: Read::Text(|config, text| put(&mut config.wanted.schedule_delay, milliseconds(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: EXPORT_TIMEOUT,
        default: "`30000`",
        read: Read::Text(|config, text| put(&mut config.wanted.longest_export, milliseconds(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_BSP_MAX_QUEUE_SIZE",
        default: "`2048`",
        meaning: "how many spans wait in memory (more go to disk), and go with one request",
        read: Read::Text(|config, text| put(&mut config.wanted.max_queue_size, count(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        default: "`512`",
        read: Read::Text(|config, text| put(&mut config.wanted.max_export_batch_size, count(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        default: "`128`",
        meaning: "how many attributes a span holds; the first wins",
        read: Read::Text(|config, text| put(&mut config.wanted.span_attribute_count, number(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_ATTRIBUTE_COUNT_LIMIT",
        default: "",
        read: Read::Text(|config, text| put(&mut config.wanted.attribute_count, number(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        meaning: "how long the text of one is; the first wins",
        read: Read::Text(|config, text| put(&mut config.wanted.span_attribute_length, number(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        default: "",
        read: Read::Text(|config, text| put(&mut config.wanted.attribute_length, number(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SPAN_EVENT_COUNT_LIMIT",
        default: "`128`",
        meaning: "how many events and links a span holds",
        read: Read::Text(|config, text| put(&mut config.wanted.event_count, number(text).map(Some))),
        ..SETTING
    },
    Setting {
        name: "OTEL_SPAN_LINK_COUNT_LIMIT",
        default: "`128`",
        read: Read::Text(|config, text| put(&mut config.wanted.link_count, number(text).map(Some))),
        ..SETTING
    },
];

/// The rows of these settings.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    OF_SPANS.iter().chain(OF_OTLP.as_flattened()).chain(OF_BATCHES_AND_LIMITS)
}

/// Whether a setting is of no use while nothing is exported, so that nobody needs to hear that it is ignored.
pub(super) fn is_of_target(name: &str) -> bool {
    name.starts_with(OTLP) || name == EXPORT_TIMEOUT
}
