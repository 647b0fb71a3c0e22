//! Jaeger's own header. <https://www.jaegertracing.io/sdk-migration/#propagation-format>

use crate::context::ids::Flags;
use crate::context::propagators::{Context, Invalid, Propagator, SpanContext, Tracestate, padded};

/// Jaeger's `uber-trace-id`.
pub(super) struct Jaeger;

const HEADER: &str = "uber-trace-id";

/// Sampled, and debug, which is sampled too.
const SAMPLED: u8 = 0x03;

impl Propagator for Jaeger {
    fn fields(&self) -> &'static [&'static str] {
        &[HEADER]
    }

    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String)) {
        let Some(span) = &context.span else { return };
        set(HEADER, format!("{}:{}:0:{}", span.trace_id, span.span_id, u8::from(span.flags.is_sampled())));
    }

    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid> {
        let Some(text) = get(HEADER) else { return Ok(()) };
        // Some clients encode the colons.
        let text = text.trim().replace("%3A", ":").replace("%3a", ":");
        let invalid = |reason: &str| Invalid::new(HEADER, reason);
        let [trace_id, span_id, _, flags] = text.split(':').collect::<Vec<_>>()[..] else {
            return Err(invalid("expected {trace id}:{span id}:{parent id}:{flags}"));
        };
        let flags = Some(flags).filter(|flags| flags.len() <= 2 && flags.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let flags =
            flags.and_then(|flags| u8::from_str_radix(flags, 16).ok()).ok_or("the flags are not 1 or 2 hex digits");
        let sampled = flags.map_err(invalid)? & SAMPLED != 0;
        context.span = Some(SpanContext {
            trace_id: padded(trace_id, 32)
                .ok_or_else(|| invalid("the trace id is not 1 to 32 hex digits, or all zero"))?,
            span_id: padded(span_id, 16)
                .ok_or_else(|| invalid("the span id is not 1 to 16 hex digits, or all zero"))?,
            flags: if sampled { Flags::SAMPLED } else { Flags::NOT_SAMPLED },
            tracestate: Tracestate::default(),
        });
        Ok(())
    }
}
