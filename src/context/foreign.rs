//! The headers of formats that are not configured, in which a page's own instrumentation may put a context beside ours.
//! `extension/context/foreign.js` reads them.

use crate::context::headers::HeaderChange;
use crate::context::propagator::Propagator;

/// The headers of each propagator that writes a span.
const SPAN_PROPAGATORS: [(Propagator, &[&str]); 4] = [
    (Propagator::Tracecontext, &["traceparent", "tracestate"]),
    (Propagator::B3, &["b3"]),
    (Propagator::B3multi, &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"]),
    (Propagator::Jaeger, &["uber-trace-id"]),
];

/// The headers of vendors.
const VENDORS: [&str; 19] = [
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-origin",
    "x-datadog-tags",
    "sentry-trace",
    "newrelic",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "elastic-apm-traceparent",
    "x-instana-t",
    "x-instana-s",
    "x-instana-l",
    "ot-tracer-traceid",
    "ot-tracer-spanid",
    "ot-tracer-sampled",
    "sw8",
    "sw8-correlation",
    "sw8-x",
];

/// Returns the changes that remove contexts in other formats than these; none if these name no span.
pub(crate) fn removals(configured: &[Propagator]) -> Vec<HeaderChange> {
    let (written, others): (Vec<_>, Vec<_>) =
        SPAN_PROPAGATORS.into_iter().partition(|(propagator, _)| configured.contains(propagator));
    if written.is_empty() {
        return Vec::new();
    }
    let others = others.into_iter().flat_map(|(_, names)| names.iter().copied());
    others.chain(VENDORS).map(|name| HeaderChange { name, value: None }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_headers_are_those_of_the_fixture() {
        let fixture: Value = serde_json::from_str(include_str!("../../tests/fixtures/foreign.json")).unwrap();
        for case in fixture["removed"].as_array().unwrap() {
            let propagators: Vec<Propagator> = serde_json::from_value(case["propagators"].clone()).unwrap();
            let names: Vec<&str> = removals(&propagators).into_iter().map(|change| change.name).collect();
            let expected: Vec<&str> =
                case["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(names, expected, "{propagators:?}");
        }
    }
}
