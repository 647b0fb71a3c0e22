//! The W3C `traceparent` header, parsed as strictly as the specification demands of a backend.

use std::fmt;

/// Trace id, span id and flags of the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TraceParent {
    /// Never zero.
    pub(crate) trace_id: u128,
    /// Never zero. In a received header, the caller's span.
    pub(crate) span_id: u64,
    /// Only flags of version 00.
    pub(crate) flags: u8,
}

const SAMPLED: u8 = 0x01;
const RANDOM: u8 = 0x02;

impl TraceParent {
    /// Parses a header value. Returns `None` if the backend has to start a new trace.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let bytes = value.as_bytes();
        // Ids are taken by byte position, so the value must be ASCII.
        if !value.is_ascii() || bytes.len() < 55 {
            return None;
        }
        let dashes = bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        let version = hex(&value[0..2])?;
        let length = match version {
            0x00 => bytes.len() == 55,
            0xff => false,
            // A later version may append fields after another dash.
            _ => bytes.len() == 55 || bytes[55] == b'-',
        };
        let trace_id = hex(&value[3..35])?;
        let span_id = u64::try_from(hex(&value[36..52])?).ok()?;
        let flags = u8::try_from(hex(&value[53..55])?).ok()?;
        (dashes && length && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags: flags & (SAMPLED | RANDOM),
        })
    }

    /// Makes the context of a new trace.
    pub(crate) fn new_trace() -> Self {
        Self { trace_id: rand::random::<u128>().max(1), span_id: new_span_id(), flags: SAMPLED | RANDOM }
    }

    /// Returns the same trace with a new span id.
    pub(crate) fn child(self) -> Self {
        Self { span_id: new_span_id(), ..self }
    }

    /// Tells whether the trace is recorded.
    pub(crate) fn sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

fn new_span_id() -> u64 {
    rand::random::<u64>().max(1)
}

/// Parses lower-case hexadecimal digits. `from_str_radix` alone would accept upper case and a sign.
fn hex(digits: &str) -> Option<u128> {
    digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then(|| u128::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn reads_what_it_writes() {
        let value = format!("00-{TRACE}-{SPAN}-01");
        let parsed = TraceParent::parse(&value);
        assert_eq!(parsed.map(|p| p.to_string()), Some(value));
        assert_eq!(parsed.map(TraceParent::sampled), Some(true));
    }

    #[test]
    fn refuses_what_is_not_valid() {
        let upper = TRACE.to_uppercase();
        for (value, why) in [
            (String::new(), "empty"),
            (format!("00-{TRACE}-{SPAN}"), "no flags"),
            (format!("00-{TRACE}-{SPAN}-01-more"), "version 00 ends here"),
            (format!("cc-{TRACE}-{SPAN}-01more"), "no dash before more"),
            (format!("ff-{TRACE}-{SPAN}-01"), "version ff is forbidden"),
            (format!("00-{upper}-{SPAN}-01"), "upper case"),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), "zero trace id"),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), "zero span id"),
            (format!("00-{TRACE}-{SPAN}-0g"), "flags are not hex"),
            (format!("00-{TRACE}-{SPAN}-+1"), "a sign is not hex"),
            (format!("00_{TRACE}-{SPAN}-01"), "no dash"),
            (format!("00-{TRACE}-{SPAN}-é"), "not ASCII"),
            (format!(" 00-{TRACE}-{SPAN}-01"), "a space"),
        ] {
            assert_eq!(TraceParent::parse(&value), None, "{why}: {value}");
        }
    }

    #[test]
    fn reads_later_versions_and_keeps_known_flags_only() {
        let parsed = TraceParent::parse(&format!("cc-{TRACE}-{SPAN}-ff-more"));
        assert_eq!(parsed.map(|p| p.to_string()), Some(format!("00-{TRACE}-{SPAN}-03")));
    }

    #[test]
    fn a_child_shares_all_but_the_span() {
        let parent = TraceParent::new_trace();
        let child = parent.child();
        assert_eq!((child.trace_id, child.flags), (parent.trace_id, parent.flags));
        assert_ne!(child.span_id, parent.span_id);
    }
}
