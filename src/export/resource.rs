//! Builds the resource that spans belong to, from the settings, the browser and the machine.

use std::fs;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_semantic_conventions::attribute as semconv;
use serde::{Deserialize, Serialize};

use crate::context::issuer::SessionContext;
use crate::export::options::ExportOptions;
use crate::export::otlp::{attribute, own, text};

/// The browser's description of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Browser"))]
#[serde(rename_all = "camelCase")]
pub struct BrowserInfo {
    /// `navigator.userAgent`.
    pub user_agent: String,
    /// `navigator.userAgentData.brands`, each as `name version`.
    pub brands: Vec<String>,
    /// `navigator.userAgentData.platform`.
    pub platform: String,
    /// `navigator.userAgentData.mobile`.
    pub mobile: bool,
    /// `navigator.language`.
    pub language: String,
}

/// The service name when none is set.
const DEFAULT_SERVICE_NAME: &str = "browser";

/// Reads name and version from the text of `os-release`.
fn os_release(text: &str) -> Option<(String, String)> {
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(found.trim_matches('"').to_owned())
    };
    Some((value("NAME")?, value("VERSION_ID").unwrap_or_default()))
}

/// Builds the resource of a browser, or of a run with the spans of tests, from what [`of_machine`] returns and the rest. Attributes that the user
/// set win.
pub(crate) fn resource(
    options: &ExportOptions,
    browser: &BrowserInfo,
    machine: Vec<KeyValue>,
    session: SessionContext,
) -> Resource {
    let mut attributes = vec![
        text(semconv::SERVICE_NAME, DEFAULT_SERVICE_NAME),
        text(semconv::SERVICE_INSTANCE_ID, instance_id(session)),
        text(semconv::TELEMETRY_SDK_NAME, env!("CARGO_PKG_NAME")),
        text(semconv::TELEMETRY_SDK_LANGUAGE, "rust"),
        text(semconv::TELEMETRY_SDK_VERSION, env!("CARGO_PKG_VERSION")),
    ];
    attributes.extend(of_browser(browser));
    attributes.extend(machine);
    attributes.extend(options.run.id.as_ref().map(|id| text(own::RUN_ID, id)));
    attributes.extend(options.run.attempt.map(|attempt| attribute(own::RUN_ATTEMPT, Value::IntValue(attempt.into()))));
    for (key, value) in &options.resource_attributes {
        put(&mut attributes, text(key, value));
    }
    if let Some(name) = &options.service_name {
        put(&mut attributes, text(semconv::SERVICE_NAME, name));
    }
    Resource { attributes, ..Resource::default() }
}

/// Returns a UUID for the program of which the spans tell: a browser, with the context of its session, which every host of that session has,
/// or a run with the spans of tests, with the context of the first of them. It is the trace id, which several of these may share, mixed with the
/// span id, in the form of version 4 (RFC 9562, section 5.4).
fn instance_id(session: SessionContext) -> String {
    let mut bytes = session.trace_id.bytes();
    for (byte, random) in bytes[8..].iter_mut().zip(session.span_id.bytes()) {
        *byte ^= random;
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn of_browser(browser: &BrowserInfo) -> Vec<KeyValue> {
    let BrowserInfo { user_agent, brands, platform, mobile, language } = browser;
    let mut attributes = Vec::new();
    for (key, value) in [
        (semconv::USER_AGENT_ORIGINAL, user_agent),
        (semconv::BROWSER_PLATFORM, platform),
        (semconv::BROWSER_LANGUAGE, language),
    ] {
        if !value.is_empty() {
            attributes.push(text(key, value));
        }
    }
    if !brands.is_empty() {
        let values = brands.iter().map(|brand| AnyValue { value: Some(Value::StringValue(brand.clone())) }).collect();
        attributes.push(attribute(semconv::BROWSER_BRANDS, Value::ArrayValue(ArrayValue { values })));
    }
    if !user_agent.is_empty() {
        attributes.push(attribute(semconv::BROWSER_MOBILE, Value::BoolValue(*mobile)));
    }
    attributes
}

/// Describes this machine and the process of that program.
pub(crate) fn of_machine(pid: u32) -> Vec<KeyValue> {
    let mut attributes = vec![
        text(semconv::OS_TYPE, if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS }),
        text(semconv::HOST_ARCH, architecture()),
        attribute(semconv::PROCESS_PID, Value::IntValue(pid.into())),
    ];
    if let Ok(name) = rustix::system::uname().nodename().to_str() {
        attributes.push(text(semconv::HOST_NAME, name));
    }
    if let Some((name, version)) = fs::read_to_string("/etc/os-release").ok().and_then(|text| os_release(&text)) {
        attributes.push(text(semconv::OS_NAME, name));
        if !version.is_empty() {
            attributes.push(text(semconv::OS_VERSION, version));
        }
    }
    if let Ok(path) = fs::read_link(format!("/proc/{pid}/exe")) {
        attributes.push(text(semconv::PROCESS_EXECUTABLE_PATH, path.to_string_lossy()));
        if let Some(name) = path.file_name() {
            attributes.push(text(semconv::PROCESS_EXECUTABLE_NAME, name.to_string_lossy()));
        }
    }
    attributes
}

/// Returns the machine's architecture by the names of the conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        other => other,
    }
}

fn put(attributes: &mut Vec<KeyValue>, new: KeyValue) {
    attributes.retain(|old| old.key != new.key);
    attributes.push(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resource: &Resource, key: &str) -> String {
        let found: Vec<_> = resource.attributes.iter().filter(|attribute| attribute.key == key).collect();
        assert!(found.len() < 2, "{key} is there {} times", found.len());
        found.first().and_then(|found| found.value.clone()?.value).map_or_else(String::new, |value| match value {
            Value::StringValue(text) => text,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn attributes_that_the_user_set_win() {
        let context = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;
        let session = serde_json::from_str(context).unwrap();
        let attributes = [("service.name", "attributes"), ("os.type", "amiga"), ("team", "shop")];
        let options = ExportOptions {
            resource_attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            ..ExportOptions::default()
        };
        let with = |options: &ExportOptions| {
            let machine = vec![text(semconv::OS_TYPE, "linux"), text(semconv::HOST_NAME, "here")];
            resource(options, &BrowserInfo::default(), machine, session)
        };
        let built = with(&ExportOptions::default());
        assert_eq!(value(&built, "service.name"), "browser");
        assert_eq!(value(&built, "service.instance.id"), "4bf92f35-77b3-4da6-a33e-f53705a74581");
        assert_eq!(value(&built, "host.name"), "here");
        assert_eq!(value(&built, "user_agent.original"), "");
        let built = with(&options);
        assert_eq!(["service.name", "os.type", "team"].map(|key| value(&built, key)), ["attributes", "amiga", "shop"]);
        let named = ExportOptions { service_name: Some("named".into()), ..options };
        let built = with(&named);
        assert_eq!(value(&built, "service.name"), "named");
    }

    #[test]
    fn os_release_has_name_and_version() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";
        assert_eq!(os_release(text), Some(("Debian GNU/Linux".to_owned(), "12".to_owned())));
        assert_eq!(os_release("NAME=Arch\n"), Some(("Arch".to_owned(), String::new())));
        assert_eq!(os_release(""), None);
    }
}
