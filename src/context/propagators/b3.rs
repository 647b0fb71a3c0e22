//! B3, in one header and in several. <https://github.com/openzipkin/b3-propagation>
//!
//! As OpenTelemetry wants it, a trace id of 64 bits is padded, a parent's id is neither needed nor written, debug means sampled, and a
//! context without a decision counts as not sampled.

use crate::context::ids::Flags;
use crate::context::propagators::{Context, Invalid, Propagator, SpanContext, Tracestate, padded};

/// B3 in one header.
pub(super) struct Single;

/// B3 in several headers.
pub(super) struct Multi;

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
/// Never written: whoever has set it had another parent.
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";

fn bit(flags: Flags) -> &'static str {
    if flags.is_sampled() { "1" } else { "0" }
}

fn flags(sampled: bool) -> Flags {
    if sampled { Flags::SAMPLED } else { Flags::NOT_SAMPLED }
}

/// Reads the two ids.
fn ids(trace_id: &str, span_id: &str, flags: Flags) -> Result<SpanContext, &'static str> {
    let trace = Some(trace_id).filter(|id| matches!(id.len(), 16 | 32)).and_then(|id| padded(id, 32));
    let span = Some(span_id).filter(|id| id.len() == 16).and_then(|id| padded(id, 16));
    Ok(SpanContext {
        trace_id: trace.ok_or("the trace id is not 16 or 32 hex digits, or all zero")?,
        span_id: span.ok_or("the span id is not 16 hex digits, or all zero")?,
        flags,
        tracestate: Tracestate::default(),
    })
}

impl Propagator for Single {
    fn fields(&self) -> &'static [&'static str] {
        &[SINGLE]
    }

    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String)) {
        let Some(span) = &context.span else { return };
        set(SINGLE, format!("{}-{}-{}", span.trace_id, span.span_id, bit(span.flags)));
    }

    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid> {
        let Some(text) = get(SINGLE) else { return Ok(()) };
        let text = text.trim();
        // A decision without a context.
        if matches!(text, "0" | "1" | "d") {
            return Ok(());
        }
        let invalid = |reason: &str| Invalid::new(SINGLE, reason);
        let parts: Vec<&str> = text.split('-').collect();
        let (trace_id, span_id, sampled) = match parts[..] {
            [trace_id, span_id] => (trace_id, span_id, "0"),
            [trace_id, span_id, sampled] => (trace_id, span_id, sampled),
            [trace_id, span_id, sampled, parent] if padded::<super::SpanId>(parent, 16).is_some() => {
                (trace_id, span_id, sampled)
            }
            _ => return Err(invalid("expected {trace id}-{span id}-{0, 1 or d}")),
        };
        let flags = match sampled {
            "0" => flags(false),
            "1" | "d" => flags(true),
            _ => return Err(invalid("the sampling state is not 0, 1 or d")),
        };
        context.span = Some(ids(trace_id, span_id, flags).map_err(invalid)?);
        Ok(())
    }
}

impl Propagator for Multi {
    fn fields(&self) -> &'static [&'static str] {
        &[TRACE_ID, SPAN_ID, SAMPLED, FLAGS, PARENT_SPAN_ID]
    }

    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String)) {
        let Some(span) = &context.span else { return };
        set(TRACE_ID, span.trace_id.to_string());
        set(SPAN_ID, span.span_id.to_string());
        set(SAMPLED, bit(span.flags).to_owned());
    }

    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid> {
        let value = |name: &str| get(name).map(|text| text.trim().to_owned());
        let (trace_id, span_id) = match (value(TRACE_ID), value(SPAN_ID)) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(Invalid::new(TRACE_ID, "it is missing")),
            (Some(_), None) => return Err(Invalid::new(SPAN_ID, "it is missing")),
            (Some(trace_id), Some(span_id)) => (trace_id, span_id),
        };
        let debug = value(FLAGS).as_deref() == Some("1");
        let sampled = match value(SAMPLED).as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true" | "d") => true,
            Some(_) => return Err(Invalid::new(SAMPLED, "it is not 0 or 1")),
        };
        let span = ids(&trace_id, &span_id, flags(sampled || debug));
        context.span = Some(span.map_err(|reason| Invalid::new(TRACE_ID, reason))?);
        Ok(())
    }
}
