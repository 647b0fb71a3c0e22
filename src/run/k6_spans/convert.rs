//! Reads the spans of k6, and moves one into another trace.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::context::ids::SpanId;
use crate::context::redaction::Redaction;
use crate::export::otlp::{HAS_IS_REMOTE, IS_REMOTE};
use crate::observe::session::{IterationTrace, TestStep};

/// The name of an iteration's span. Its attributes become those of the browser's root.
pub(super) const ITERATION: &str = "iteration";

/// Spans of what the browser has spans and events of itself.
const OF_THE_BROWSER: [&str; 2] = ["navigation", "web_vital"];

/// The start of the names of methods that wait for what others cause.
const WAIT: &str = "waitFor";

pub(super) fn is_of_browser(span: &Span) -> bool {
    OF_THE_BROWSER.contains(&span.name.as_str())
}

/// An action, or a wait for what an action causes.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Action(TestStep),
    Wait(TestStep),
}

/// Returns what an action or a wait is to the navigations of its page.
pub(super) fn step(span: &Span, trace: &IterationTrace) -> Option<Step> {
    let method = span.name.rsplit_once('.').map_or(span.name.as_str(), |(_, method)| method);
    let span_id = SpanId::of_bytes(&span.span_id)?;
    let (start, end) = (milliseconds(span.start_time_unix_nano), milliseconds(span.end_time_unix_nano));
    let step = TestStep { trace_id: trace.trace_id, span_id, start, end: Some(end) };
    Some(if method.starts_with(WAIT) { Step::Wait(step) } else { Step::Action(step) })
}

/// Lets an action last as long as the script waits beside it for what it causes. Returns whether it lasts longer than known.
pub(super) fn extend(action: &mut TestStep, wait: &TestStep) -> bool {
    let is_beside =
        action.trace_id == wait.trace_id && Some(wait.start) <= action.end && Some(action.start) <= wait.end;
    let is_longer = is_beside && action.end < wait.end;
    if is_longer {
        action.end = wait.end;
    }
    is_longer
}

#[expect(clippy::cast_precision_loss, reason = "the result is exact to a microsecond")]
fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Moves a span below the root of a browser's trace.
pub(super) fn move_span(span: &mut Span, browser: &IterationTrace, redaction: &Redaction) {
    span.trace_id = browser.trace_id.bytes().to_vec();
    span.parent_span_id = browser.root.bytes().to_vec();
    span.trace_state.clone_from(&browser.tracestate);
    span.flags = u32::from(browser.flags.byte()) | HAS_IS_REMOTE | IS_REMOTE;
    let events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
    for attribute in span.attributes.iter_mut().chain(events) {
        if let Some(Value::StringValue(text)) = attribute.value.as_mut().and_then(|value| value.value.as_mut()) {
            *text = redaction.text(text);
        }
    }
    if let Some(status) = &mut span.status {
        status.message = redaction.text(&status.message);
    }
}

/// Returns attributes as texts.
pub(super) fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        Some(match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            Value::BoolValue(flag) => flag.to_string(),
            Value::DoubleValue(number) => number.to_string(),
            _ => return None,
        })
    };
    attributes.iter().filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?))).collect()
}
