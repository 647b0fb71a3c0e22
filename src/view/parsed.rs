//! Spans as parsed from a file, the same for every format. Pure.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use opentelemetry_semantic_conventions::attribute as semconv;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use crate::collect::contents::UNKNOWN_SERVICE;
use crate::export::otlp::{SESSION_NAME, own};
use crate::view::trace::{Link, Role};

/// The attributes that [`Detail::Outline`] keeps: a span's label, role and remarks depend on them.
pub(crate) const OUTLINE_ATTRIBUTES: [&str; 20] = [
    "error.type",
    "http.method",
    "http.path",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "http.target",
    "http.url",
    own::BLOCKED,
    own::CANCELLED,
    own::FROM_CACHE,
    own::STEP_CATEGORY,
    own::UNFINISHED,
    TEST_CASE_NAME,
    ITERATION[0],
    ITERATION[1],
    ITERATION[2],
    "server.address",
    "url.full",
    "url.path",
];

/// The name of a test, and that of a scenario of k6.
pub(crate) const TEST_CASE_NAME: &str = semconv::TEST_CASE_NAME;
pub(crate) const SCENARIO: &str = ITERATION[0];

/// The attributes that k6 gives an iteration.
const ITERATION: [&str; 3] = ["test.scenario", "test.vu", "test.iteration.number"];

/// The resource attribute with the service's name.
pub(crate) const SERVICE_NAME: &str = "service.name";

/// Tags with these prefixes describe the instrumentation scope or Jaeger's storage, not the span.
const DROPPED_TAGS: [&str; 3] = ["otel.scope.", "otel.library.", "internal."];

/// Receives the spans of a file during a scan.
pub(crate) trait SpanSink {
    fn detail(&self) -> Detail;

    /// Returns whether the spans of this trace are to be parsed.
    fn accepts(&self, _trace_id: &str) -> bool {
        true
    }

    /// Adds a span. It takes from `origin` what it keeps.
    fn add(&mut self, span: ParsedSpan, origin: &Origin);
}

/// What spans share: copied into each of them only as far as it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// With the service name.
    pub(crate) resource: &'a [(String, Value)],
    /// The name of the instrumentation scope, or an empty text if spans have their own.
    pub(crate) scope: &'a str,
}

impl<'a> Origin<'a> {
    pub(crate) fn service(&self) -> &'a str {
        let name = self.resource.iter().find(|(key, _)| key == SERVICE_NAME).and_then(|(_, value)| value.as_str());
        name.filter(|name| !name.is_empty()).unwrap_or(UNKNOWN_SERVICE)
    }

    /// Returns an attribute of the resource that is a text.
    pub(crate) fn resource_text(&self, key: &str) -> Option<&'a str> {
        self.resource.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_str())
    }

    /// Returns the resource's attributes except for the service name.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'a (String, Value)> {
        self.resource.iter().filter(|(key, _)| key != SERVICE_NAME)
    }
}

/// How much of each span is kept; less takes less time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Enough for a list of traces: only root spans have their attributes.
    Summary,
    /// Enough for a waterfall in the terminal.
    Outline,
    /// Everything, for the page.
    Full,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ParsedSpan {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the epoch.
    pub(crate) end: u64,
    pub(crate) error: bool,
    pub(crate) message: String,
    /// The name of the instrumentation scope.
    pub(crate) scope: String,
    pub(crate) attributes: Vec<(String, Value)>,
    pub(crate) resource: Vec<(String, Value)>,
    pub(crate) events: Vec<ParsedEvent>,
    pub(crate) links: Vec<Link>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ParsedEvent {
    /// Nanoseconds since the epoch.
    pub(crate) time: u64,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, Value)>,
}

impl ParsedSpan {
    /// Returns hashes of the span's id and of its parent's, which is 0 if there is none.
    pub(crate) fn id_hashes(&self) -> (u64, u64) {
        let hash = |id: &String| {
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish().max(1)
        };
        (hash(&self.id), self.parent.as_ref().map_or(0, hash))
    }

    /// Returns the trace id as a number. Readers have checked that it is hexadecimal.
    pub(crate) fn trace_number(&self) -> u128 {
        u128::from_str_radix(&self.trace_id, 16).unwrap_or_default()
    }

    /// Adds a tag of Jaeger or Zipkin. OpenTelemetry's exporters turn several fields of a span into tags; these become fields again.
    pub(crate) fn add_tag(&mut self, key: String, value: Value) {
        let text = value.as_str().unwrap_or_default();
        match key.as_str() {
            "span.kind" => self.kind = kind_by_name(text),
            "otel.status_code" => self.error |= text == "ERROR",
            "otel.status_description" => text.clone_into(&mut self.message),
            "otel.scope.name" | "otel.library.name" => text.clone_into(&mut self.scope),
            key if DROPPED_TAGS.iter().any(|prefix| key.starts_with(prefix)) => {}
            _ => self.attributes.push((key, value)),
        }
    }

    /// Drops what [`Detail::Outline`] does not keep.
    pub(crate) fn reduce_to_outline(&mut self) {
        self.attributes.retain(|(key, _)| OUTLINE_ATTRIBUTES.contains(&key.as_str()));
        self.attributes.shrink_to_fit();
        (self.events, self.links) = (Vec::new(), Vec::new());
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns an attribute's value as text, whatever its type.
    pub(crate) fn attribute_text(&self, key: &str) -> Option<String> {
        self.attribute(key).map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
    }

    pub(crate) fn first_text(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().filter_map(|key| self.attribute(key)?.as_str()).find(|text| !text.is_empty())
    }

    pub(crate) fn role(&self) -> Role {
        if self.scope != env!("CARGO_PKG_NAME") {
            return Role::Other;
        }
        match self.name.as_str() {
            SESSION_NAME => Role::Session,
            "navigation" => Role::Navigation,
            _ if self.attribute("http.request.method").is_some() => Role::Request,
            _ => Role::Other,
        }
    }

    /// Returns the name to show: an iteration's for what stands for it, a navigation's with its URL, and a bare HTTP method with the path.
    pub(crate) fn label(&self) -> String {
        if let Some(iteration) = iteration_name(|key| self.attribute_text(key)) {
            return iteration;
        }
        let url = self.first_text(&["url.full", "http.url"]);
        // Zipkin's names are in lower case.
        let is_method = !self.name.is_empty() && self.name.bytes().all(|byte| byte.is_ascii_uppercase())
            || self.first_text(&["http.method"]).is_some_and(|method| method.eq_ignore_ascii_case(&self.name));
        let address = if self.role() == Role::Navigation {
            url.map(ToOwned::to_owned)
        } else if is_method || self.first_text(&[own::STEP_CATEGORY]).is_some() {
            let path = url.and_then(|url| Some(Url::parse(url).ok()?.path().to_owned()));
            path.or_else(|| {
                self.first_text(&["url.path", "http.target", "http.path", "http.route"]).map(ToOwned::to_owned)
            })
        } else {
            None
        };
        address.map_or_else(|| self.name.clone(), |address| format!("{} {address}", self.name))
    }
}

/// Names an iteration of k6 by its attributes.
pub(crate) fn iteration_name<T: Display>(of: impl Fn(&str) -> Option<T>) -> Option<String> {
    let [scenario, vu, number] = ITERATION.map(of);
    Some(format!("{}, VU {}, iteration {}", scenario?, vu?, number?))
}

/// Returns the span kind of this name in any case, or an empty string.
pub(crate) fn kind_by_name(name: &str) -> &'static str {
    let names = ["internal", "server", "client", "producer", "consumer"];
    names.into_iter().find(|kind| kind.eq_ignore_ascii_case(name)).unwrap_or_default()
}

/// Parses a list. An invalid list is empty, so that the rest of its span is shown.
pub(crate) fn list<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    raw.and_then(|raw| serde_json::from_str::<Option<Vec<T>>>(raw.get()).ok()).flatten().unwrap_or_default()
}

/// Parses an object. An invalid one is empty.
pub(crate) fn object(raw: Option<&RawValue>) -> Map<String, Value> {
    raw.and_then(|raw| serde_json::from_str::<Option<Map<String, Value>>>(raw.get()).ok()).flatten().unwrap_or_default()
}

/// Reads a whole number that may be written as a string, as JSON often has 64-bit numbers. Null and negative numbers are 0.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_u64().or(number.as_i64().map(|_| 0)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| D::Error::custom(format_args!("expected a whole number, not {value}")))
}
