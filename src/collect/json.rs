//! Decodes OTLP JSON as SDKs send it: null is the default value anywhere, and unknown fields and kinds of values are passed over.
//!
//! A span that can't be read is rejected alone. The JSON mapping: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

mod parts;
mod value;

use std::fmt;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::collect::body::{Decoded, Rejected, check_ids};
use crate::collect::json::parts::{JsonResource, JsonScope, JsonSpan};
use crate::collect::json::value::{Json, List, Part, Scalar};

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonRequest {
    resource_spans: List<JsonResourceSpans>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonResourceSpans {
    resource: Json<JsonResource>,
    /// The alias is the name before OTLP 0.15.
    #[serde(alias = "instrumentationLibrarySpans")]
    scope_spans: List<JsonScopeSpans>,
    schema_url: Scalar,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonScopeSpans {
    #[serde(alias = "instrumentationLibrary")]
    scope: Json<JsonScope>,
    spans: JsonSpans,
    schema_url: Scalar,
}

/// The spans of a list that can be read.
#[derive(Debug, Default)]
struct JsonSpans {
    spans: Vec<Span>,
    rejected: Rejected,
}

/// Decodes a body.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, String> {
    let request: JsonRequest = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut decoded = Decoded::default();
    for (resource_spans, rejected) in request.resource_spans.0 {
        decoded.request.resource_spans.push(resource_spans);
        decoded.rejected.merge(rejected);
    }
    Ok(decoded)
}

impl Part for JsonResourceSpans {
    type Decoded = (ResourceSpans, Rejected);

    fn decoded(self) -> Result<Self::Decoded, String> {
        let mut rejected = Rejected::default();
        let scope_spans = self.scope_spans.0.into_iter().map(|(scope_spans, of_scope)| {
            rejected.merge(of_scope);
            scope_spans
        });
        let scope_spans = scope_spans.collect();
        let resource = self.resource.message()?;
        Ok((ResourceSpans { resource, scope_spans, schema_url: self.schema_url.text() }, rejected))
    }
}

impl Part for JsonScopeSpans {
    type Decoded = (ScopeSpans, Rejected);

    fn decoded(self) -> Result<Self::Decoded, String> {
        let JsonSpans { spans, rejected } = self.spans;
        Ok((ScopeSpans { scope: self.scope.message()?, spans, schema_url: self.schema_url.text() }, rejected))
    }
}

impl<'de> Deserialize<'de> for JsonSpans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spans;
        impl<'de> Visitor<'de> for Spans {
            type Value = JsonSpans;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a list of spans")
            }

            fn visit_unit<E>(self) -> Result<JsonSpans, E> {
                Ok(JsonSpans::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonSpans, A::Error> {
                let mut read = JsonSpans::default();
                // Each span is parsed from its own text, so that an error in it is not one of the body.
                while let Some(text) = list.next_element::<&RawValue>()? {
                    match span(text.get()) {
                        Ok(span) => read.spans.push(span),
                        Err(reason) => read.rejected.add(reason),
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_any(Spans)
    }
}

/// Parses a span, or returns why it can't be read.
fn span(text: &str) -> Result<Span, String> {
    let span = serde_json::from_str::<JsonSpan>(text).map_err(|error| error.to_string())?.decoded()?;
    check_ids(&span)?;
    Ok(span)
}

#[cfg(test)]
mod tests;
