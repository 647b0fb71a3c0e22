//! Converts tests and their steps.
//!
//! OpenTelemetry semantic conventions: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/test/>,
//! <https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/>

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_semantic_conventions::attribute as semconv;

use crate::export::otlp::{Parts, attribute, own, text};
use crate::observe::test_span::{CodePlace, Step, Test, TestError};

/// The name of an event for an error, by convention.
const EXCEPTION: &str = "exception";

/// `error.type` where nothing else is known, by convention.
const OTHER: &str = "_OTHER";

pub(super) fn test_parts(test: &Test, end: u64) -> Parts {
    let mut parts = Parts::new(&test.name, SpanKind::Internal);
    for (key, value) in [
        (semconv::TEST_CASE_NAME, &test.full_name),
        (semconv::TEST_SUITE_NAME, &test.suite),
        (own::TEST_PROJECT, &test.project),
        (own::TEST_STATUS, &test.status),
    ] {
        if !value.is_empty() {
            parts.text(key, &**value);
        }
    }
    if let Some(passed) = test.passed {
        parts.text(semconv::TEST_CASE_RESULT_STATUS, if passed { "pass" } else { "fail" });
    }
    parts.place(&test.place);
    parts.number(own::TEST_RETRY, test.retry);
    parts.number(own::TEST_WORKER, test.worker);
    if !test.tags.is_empty() {
        let values = test.tags.iter().map(|tag| AnyValue { value: Some(Value::StringValue(tag.to_string())) });
        parts.attributes.push(attribute(own::TEST_TAGS, Value::ArrayValue(ArrayValue { values: values.collect() })));
    }
    if test.dropped_steps > 0 {
        parts.number(own::DROPPED_STEPS, test.dropped_steps);
    }
    for error in &test.errors {
        let known = [(semconv::EXCEPTION_TYPE, &error.kind), (semconv::EXCEPTION_STACKTRACE, &error.stack)];
        let mut attributes = vec![text(semconv::EXCEPTION_MESSAGE, &*error.message)];
        attributes.extend(known.into_iter().filter_map(|(key, value)| Some(text(key, value.as_deref()?))));
        parts.event_with(EXCEPTION, end, attributes);
    }
    if test.passed == Some(false) {
        parts.failure(test.errors.first(), &test.status);
    }
    parts
}

pub(super) fn step_parts(step: &Step) -> Parts {
    let mut parts = Parts::new(&step.name, SpanKind::Internal);
    parts.text(own::STEP_CATEGORY, &*step.category);
    if let Some(url) = &step.url {
        parts.text(semconv::URL_FULL, &**url);
    }
    parts.place(&step.place);
    if let Some(error) = &step.error {
        parts.failure(Some(error), OTHER);
    }
    parts
}

impl Parts {
    fn place(&mut self, place: &CodePlace) {
        if let Some(file) = &place.file {
            self.text(semconv::CODE_FILE_PATH, &**file);
        }
        if let Some(line) = place.line {
            self.number(semconv::CODE_LINE_NUMBER, line);
        }
    }

    fn failure(&mut self, error: Option<&TestError>, otherwise: &str) {
        self.text(semconv::ERROR_TYPE, error.and_then(|error| error.kind.as_deref()).unwrap_or(otherwise));
        let message = error.map(|error| error.message.to_string()).unwrap_or_default();
        self.status = Some(Status { message, code: StatusCode::Error.into() });
    }
}
