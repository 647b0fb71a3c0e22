//! W3C Trace Context: `traceparent` and `tracestate`. <https://www.w3.org/TR/trace-context-2/>

use crate::context::propagators::{Context, Invalid, Propagator, SpanContext, Tracestate};

/// The headers of W3C Trace Context.
pub(super) struct TraceContext;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The length of version 00, and the least of any later one.
const LENGTH: usize = 55;

impl Propagator for TraceContext {
    fn fields(&self) -> &'static [&'static str] {
        &[TRACEPARENT, TRACESTATE]
    }

    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String)) {
        let Some(span) = &context.span else { return };
        set(TRACEPARENT, format!("00-{}-{}-{}", span.trace_id, span.span_id, span.flags));
        if !span.tracestate.is_empty() {
            set(TRACESTATE, span.tracestate.to_string());
        }
    }

    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid> {
        let Some(text) = get(TRACEPARENT) else { return Ok(()) };
        let mut span = parse(text.trim()).map_err(|reason| Invalid::new(TRACEPARENT, reason))?;
        // Whatever is wrong with the state, the parent holds.
        let state = get(TRACESTATE).map_or(Ok(Tracestate::default()), |text| Tracestate::parse(&text));
        let (state, fault) = match state {
            Ok(state) => (state, Ok(())),
            Err(reason) => (Tracestate::default(), Err(Invalid::new(TRACESTATE, reason))),
        };
        span.tracestate = state;
        context.span = Some(span);
        fault
    }
}

/// Reads a `traceparent`, of a later version as far as version 00 goes.
fn parse(text: &str) -> Result<SpanContext, String> {
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
    for (what, part) in [("trace id", trace_id), ("parent id", span_id)] {
        if !is_hex(part) {
            return Err(format!("the {what} is not lower-case hex"));
        }
        if part.bytes().all(|byte| byte == b'0') {
            return Err(format!("the {what} is all zero"));
        }
    }
    if !is_hex(flags) {
        return Err("the flags are not lower-case hex".to_owned());
    }
    let broken = |_| "it can't be read".to_owned();
    Ok(SpanContext {
        trace_id: trace_id.parse().map_err(broken)?,
        span_id: span_id.parse().map_err(broken)?,
        flags: flags.parse().map_err(broken)?,
        tracestate: Tracestate::default(),
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
