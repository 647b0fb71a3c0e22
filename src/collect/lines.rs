//! Divides spans into lines of a trace file. Pure.
//!
//! Readers hold a whole line in memory, so a request with long texts becomes several of them.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::Serialize;

/// A line gets no further span once it has this size, in bytes as Protobuf.
const ENOUGH: usize = 64 << 10;

/// A line also has this many times as much as what is repeated on each: the resource and the scope.
const TIMES_REPEATED: usize = 8;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    resource_spans: [LineResource<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineResource<'a> {
    resource: Option<&'a Resource>,
    scope_spans: Vec<LineScope<'a>>,
    schema_url: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineScope<'a> {
    scope: Option<&'a InstrumentationScope>,
    spans: &'a [Span],
    schema_url: &'a str,
}

/// Calls `write` with the lines of a resource, until it fails.
pub(super) fn for_each<E>(resource: &ResourceSpans, mut write: impl FnMut(&Line) -> Result<(), E>) -> Result<(), E> {
    let repeated = resource.resource.as_ref().map_or(0, Message::encoded_len);
    let mut size = 0;
    let mut scope_spans = Vec::new();
    let mut end = |scope_spans: &mut Vec<_>| {
        let scope_spans = std::mem::take(scope_spans);
        let resource =
            LineResource { resource: resource.resource.as_ref(), scope_spans, schema_url: &resource.schema_url };
        write(&Line { resource_spans: [resource] })
    };
    for scope in &resource.scope_spans {
        let ScopeSpans { scope, spans, schema_url } = scope;
        let repeated = repeated + scope.as_ref().map_or(0, Message::encoded_len);
        let mut from = 0;
        for (index, span) in spans.iter().enumerate() {
            size += span.encoded_len();
            if size >= ENOUGH.max(repeated * TIMES_REPEATED) {
                scope_spans.push(LineScope { scope: scope.as_ref(), spans: &spans[from..=index], schema_url });
                end(&mut scope_spans)?;
                (from, size) = (index + 1, 0);
            }
        }
        if from < spans.len() || spans.is_empty() {
            scope_spans.push(LineScope { scope: scope.as_ref(), spans: &spans[from..], schema_url });
        }
    }
    if scope_spans.is_empty() { Ok(()) } else { end(&mut scope_spans) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    use super::*;

    fn resource(name: &str, scopes: &[&[usize]]) -> ResourceSpans {
        let span = |length: &usize| Span { name: "x".repeat(*length), ..Span::default() };
        let scope = |(index, lengths): (usize, &&[usize])| ScopeSpans {
            scope: Some(InstrumentationScope { name: index.to_string(), ..InstrumentationScope::default() }),
            spans: lengths.iter().map(span).collect(),
            schema_url: "s".to_owned(),
        };
        let attributes =
            vec![opentelemetry_proto::tonic::common::v1::KeyValue { key: name.to_owned(), ..Default::default() }];
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: scopes.iter().enumerate().map(scope).collect(),
            schema_url: "r".to_owned(),
        }
    }

    fn lines(resource: &ResourceSpans) -> Vec<String> {
        let mut lines = Vec::new();
        let write = |line: &Line| {
            lines.push(serde_json::to_string(line).unwrap());
            Ok::<_, Infallible>(())
        };
        for_each(resource, write).unwrap();
        lines
    }

    #[test]
    fn long_spans_are_divided_among_lines() {
        let whole = resource("k", &[&[1, ENOUGH, 2], &[], &[ENOUGH, 3, 4]]);
        let lines = lines(&whole);
        assert_eq!(lines.len(), 3);
        let mut joined = resource("k", &[&[], &[], &[]]);
        for line in &lines {
            let mut read: ExportTraceServiceRequest = serde_json::from_str(line).unwrap();
            let part = read.resource_spans.remove(0);
            assert_eq!((part.resource, part.schema_url), (whole.resource.clone(), "r".to_owned()));
            for scope in part.scope_spans {
                let index = whole.scope_spans.iter().position(|other| other.scope == scope.scope).unwrap();
                joined.scope_spans[index].scope = scope.scope;
                joined.scope_spans[index].spans.extend(scope.spans);
            }
        }
        assert_eq!(joined, whole);
    }

    #[test]
    fn a_line_is_as_the_request_has_it_unless_it_is_long() {
        for whole in [
            resource("k", &[&[1, 2], &[3]]),
            resource("k", &[&[]]),
            // Repeated on each line, it would take the most of the file.
            resource(&"k".repeat(ENOUGH), &[&[ENOUGH, ENOUGH], &[ENOUGH]]),
        ] {
            let request = ExportTraceServiceRequest { resource_spans: vec![whole.clone()] };
            assert_eq!(lines(&whole), [serde_json::to_string(&request).unwrap()]);
        }
    }
}
