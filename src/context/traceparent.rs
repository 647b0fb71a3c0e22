//! Reads the `traceparent` of W3C Trace Context. <https://www.w3.org/TR/trace-context-2/#traceparent-header>

use crate::context::ids::{Flags, SpanId, TraceId};

/// A span of another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanContext {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// The flags as received. [`Policy::flags`](super::policy::Policy::flags) decides which of them navtrace passes on.
    pub(crate) flags: Flags,
    /// The trace's `tracestate`; empty if there is none.
    pub(crate) tracestate: String,
}

/// The length of version 00, and the least length of later versions.
const LENGTH: usize = 55;

/// Reads a `traceparent` and returns the span without a `tracestate`, or why the text is invalid. Of a later version, reads the fields of version 00.
pub(crate) fn parse(text: &str) -> Result<SpanContext, String> {
    let text = text.trim();
    if !text.is_ascii() {
        return Err("a character is not ASCII".to_owned());
    }
    if text.len() < LENGTH {
        return Err(format!("expected {LENGTH} characters, found {}", text.len()));
    }
    let [version, trace_id, span_id, flags] = [&text[..2], &text[3..35], &text[36..52], &text[53..LENGTH]];
    if [2, 35, 52].iter().any(|at| text.as_bytes()[*at] != b'-') {
        return Err("expected a dash after the version, the trace id and the parent id".to_owned());
    }
    if !is_hex(version) {
        return Err("the version is not lower-case hex".to_owned());
    }
    if version == "ff" {
        return Err("version ff is not allowed".to_owned());
    }
    if version == "00" && text.len() > LENGTH {
        return Err(format!("version 00 has {LENGTH} characters, found {}", text.len()));
    }
    if text.as_bytes().get(LENGTH).is_some_and(|byte| *byte != b'-') {
        return Err("expected a dash after the flags".to_owned());
    }
    for (name, id) in [("trace id", trace_id), ("parent id", span_id)] {
        if !is_hex(id) {
            return Err(format!("the {name} is not lower-case hex"));
        }
        if id.bytes().all(|byte| byte == b'0') {
            return Err(format!("the {name} is all zero"));
        }
    }
    if !is_hex(flags) {
        return Err("the flags are not lower-case hex".to_owned());
    }
    Ok(SpanContext {
        trace_id: trace_id.parse()?,
        span_id: span_id.parse()?,
        flags: flags.parse()?,
        tracestate: String::new(),
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::context::tracestate;

    /// Reads both headers of W3C Trace Context. An invalid `tracestate` leaves the `traceparent` valid.
    fn read(headers: &Value) -> (Option<SpanContext>, Option<String>) {
        let Some(text) = headers["traceparent"].as_str() else { return (None, None) };
        let span = match parse(text) {
            Ok(span) => span,
            Err(reason) => return (None, Some(format!("traceparent: {reason}"))),
        };
        match tracestate::parse(headers["tracestate"].as_str().unwrap_or_default()) {
            Ok(tracestate) => (Some(SpanContext { tracestate, ..span }), None),
            Err(reason) => (Some(span), Some(format!("tracestate: {reason}"))),
        }
    }

    fn expected(span: &Value) -> Option<SpanContext> {
        let text = |key| span[key].as_str().unwrap();
        span.is_object().then(|| SpanContext {
            trace_id: text("traceId").parse().unwrap(),
            span_id: text("spanId").parse().unwrap(),
            flags: text("flags").parse().unwrap(),
            tracestate: span["tracestate"].as_str().unwrap_or_default().to_owned(),
        })
    }

    #[test]
    fn headers_are_read_as_the_fixtures_say() {
        let fixture = include_str!("../../tests/fixtures/propagation/tracecontext.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        for case in fixture["extract"].as_array().unwrap() {
            let reason = case["reason"].as_str().map(ToOwned::to_owned);
            assert_eq!(read(&case["headers"]), (expected(&case["context"]["span"]), reason), "{case}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_valid_context_is_read(trace in "[0-9a-f]{31}1", span in "[0-9a-f]{15}1", flags in "[0-9a-f]{2}") {
            let read = parse(&format!("00-{trace}-{span}-{flags}")).unwrap();
            let read = [read.trace_id.to_string(), read.span_id.to_string(), read.flags.to_string()];
            proptest::prop_assert_eq!(read, [trace, span, flags]);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse(&text);
            let _ = tracestate::parse(&text);
        }
    }
}
