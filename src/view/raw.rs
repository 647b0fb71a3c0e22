//! A span as a file has it, whatever the format. Pure.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde_json::Value;
use url::Url;

use crate::view::trace::{Link, Role};

/// What a service is called that has no name.
const UNNAMED_SERVICE: &str = "unknown service";

#[derive(Debug, Clone, Default)]
pub(super) struct Raw {
    pub(super) trace_id: String,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) error: bool,
    pub(super) message: String,
    /// The name of the instrumentation.
    pub(super) scope: String,
    pub(super) attributes: Vec<(String, Value)>,
    pub(super) resource: Vec<(String, Value)>,
    pub(super) events: Vec<RawEvent>,
    pub(super) links: Vec<Link>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawEvent {
    /// Nanoseconds since the epoch.
    pub(super) time: u64,
    pub(super) name: String,
    pub(super) attributes: Vec<(String, Value)>,
}

impl Raw {
    pub(super) fn set_resource(&mut self, attributes: &[(String, Value)]) {
        let named = attributes.iter().find(|(key, _)| key == "service.name").and_then(|(_, value)| value.as_str());
        named.filter(|name| !name.is_empty()).unwrap_or(UNNAMED_SERVICE).clone_into(&mut self.service);
        self.resource = attributes.iter().filter(|(key, _)| key != "service.name").cloned().collect();
    }

    pub(super) fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.attribute(key)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn role(&self) -> Role {
        if self.scope != env!("CARGO_PKG_NAME") {
            return Role::Other;
        }
        match self.name.as_str() {
            "browser session" => Role::Session,
            "navigation" => Role::Navigation,
            _ if self.attribute("http.request.method").is_some() => Role::Request,
            _ => Role::Other,
        }
    }

    /// The name, and the address or path where the name does not have it.
    pub(super) fn label(&self) -> String {
        let address = self.text("url.full").or_else(|| self.text("http.url"));
        if self.role() == Role::Navigation {
            return address.map_or_else(|| self.name.clone(), |address| format!("{} {address}", self.name));
        }
        let is_method = !self.name.is_empty() && self.name.bytes().all(|byte| byte.is_ascii_uppercase());
        let path = || {
            let of_address = address.and_then(|address| Some(Url::parse(address).ok()?.path().to_owned()));
            of_address.or_else(|| {
                let keys = ["url.path", "http.target", "http.route"];
                keys.into_iter().find_map(|key| self.text(key)).map(ToOwned::to_owned)
            })
        };
        match is_method.then(path).flatten() {
            Some(path) => format!("{} {path}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The kind of this name.
pub(super) fn named_kind(name: &str) -> &'static str {
    let names = ["internal", "server", "client", "producer", "consumer"];
    names.into_iter().find(|kind| kind.eq_ignore_ascii_case(name)).unwrap_or_default()
}

/// Reads a number that may be written as text, as JSON has it for 64 bits.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
            Ok(u64::try_from(value).unwrap_or(0))
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
            value.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
        }

        fn visit_unit<E>(self) -> Result<u64, E> {
            Ok(0)
        }
    }
    deserializer.deserialize_any(Number)
}
