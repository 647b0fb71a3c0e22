//! Writes a context as request headers, as `extension/context/propagators.js` does.

use crate::context::issuer::SessionContext;
use crate::context::propagator::Propagator;

/// A change of one request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderChange {
    /// The name in lower case.
    pub(crate) name: &'static str,
    /// The value to set; `None` removes the header.
    pub(crate) value: Option<String>,
}

/// Everything that headers carry. `tracestate` and `baggage` may be empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CarriedContext<'a> {
    pub(crate) span: SessionContext,
    pub(crate) tracestate: &'a str,
    pub(crate) baggage: &'a str,
}

/// Returns the header changes by which requests carry a context in all of these formats.
pub(crate) fn changes(propagators: &[Propagator], context: CarriedContext<'_>) -> Vec<HeaderChange> {
    propagators.iter().flat_map(|propagator| of_propagator(*propagator, context)).collect()
}

/// Returns the `traceparent` of a span.
pub(crate) fn traceparent(SessionContext { trace_id, span_id, flags }: SessionContext) -> String {
    format!("00-{trace_id}-{span_id}-{flags}")
}

fn of_propagator(propagator: Propagator, context: CarriedContext<'_>) -> Vec<HeaderChange> {
    let CarriedContext { span: SessionContext { trace_id, span_id, flags }, tracestate, baggage } = context;
    let set = |name, value| HeaderChange { name, value: Some(value) };
    let remove = |name| HeaderChange { name, value: None };
    let set_or_remove = |name, value: &str| if value.is_empty() { remove(name) } else { set(name, value.to_owned()) };
    let sampled = u8::from(flags.is_sampled());
    match propagator {
        // A tracestate that is already there belongs to another trace.
        Propagator::Tracecontext => {
            vec![set("traceparent", traceparent(context.span)), set_or_remove("tracestate", tracestate)]
        }
        // Without a baggage of the session, that of the page stays.
        Propagator::Baggage if baggage.is_empty() => Vec::new(),
        Propagator::Baggage => vec![set("baggage", baggage.to_owned())],
        Propagator::B3 => vec![set("b3", format!("{trace_id}-{span_id}-{sampled}"))],
        Propagator::B3multi => vec![
            set("x-b3-traceid", trace_id.to_string()),
            set("x-b3-spanid", span_id.to_string()),
            set("x-b3-sampled", sampled.to_string()),
            // These belong to another parent.
            remove("x-b3-flags"),
            remove("x-b3-parentspanid"),
        ],
        Propagator::Jaeger => vec![set("uber-trace-id", format!("{trace_id}:{span_id}:0:{sampled}"))],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn headers_are_written_as_the_fixtures_say() {
        let fixtures = [
            (Propagator::Tracecontext, include_str!("../../tests/fixtures/propagation/tracecontext.json")),
            (Propagator::Baggage, include_str!("../../tests/fixtures/propagation/baggage.json")),
            (Propagator::B3, include_str!("../../tests/fixtures/propagation/b3.json")),
            (Propagator::B3multi, include_str!("../../tests/fixtures/propagation/b3multi.json")),
            (Propagator::Jaeger, include_str!("../../tests/fixtures/propagation/jaeger.json")),
        ];
        let mut compared = 0;
        for (propagator, fixture) in fixtures {
            let fixture: Value = serde_json::from_str(fixture).unwrap();
            for case in fixture["inject"].as_array().unwrap() {
                let (span, baggage) = (&case["context"]["span"], case["context"]["baggage"].as_str());
                // A session always has a span.
                if span.is_null() && baggage.is_none() {
                    continue;
                }
                let text = |key, other: &str| span[key].as_str().unwrap_or(other).to_owned();
                let context = CarriedContext {
                    span: SessionContext {
                        trace_id: text("traceId", "4bf92f3577b34da6a3ce929d0e0e4736").parse().unwrap(),
                        span_id: text("spanId", "00f067aa0ba902b7").parse().unwrap(),
                        flags: text("flags", "01").parse().unwrap(),
                    },
                    tracestate: span["tracestate"].as_str().unwrap_or_default(),
                    baggage: baggage.unwrap_or_default(),
                };
                let written = changes(&[propagator], context);
                let set = written.into_iter().filter_map(|change| Some((change.name.to_owned(), change.value?)));
                let set: BTreeMap<String, String> = set.collect();
                assert_eq!(serde_json::to_value(set).unwrap(), case["headers"], "{case}");
                compared += 1;
            }
        }
        assert!(compared >= 10, "{compared} cases");
    }
}
