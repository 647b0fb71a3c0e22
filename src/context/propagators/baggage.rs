//! W3C Baggage: what an application tells all that its request reaches. It is passed on as it came, within the specification's limits.
//!
//! <https://www.w3.org/TR/baggage/#limits>

use std::fmt;

use crate::context::propagators::{Context, Invalid, Propagator};

const HEADER: &str = "baggage";

/// List members that everybody propagates.
const MOST_MEMBERS: usize = 64;

/// Bytes that everybody propagates.
const MOST_BYTES: usize = 8192;

/// List members as they came: `key=value` with its properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Baggage(Vec<String>);

impl Baggage {
    /// Reads the value of a header: the members that are valid and within the limits, and what is wrong with the first that is not.
    pub(crate) fn parse(text: &str) -> (Self, Option<String>) {
        let (mut members, mut bytes, mut fault) = (Vec::new(), 0, None);
        let all = text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
        for (number, member) in all.enumerate() {
            let number = number + 1;
            let reason = if !is_member(member) {
                format!("member {number} is not key=value, percent-encoded")
            } else if members.len() == MOST_MEMBERS {
                format!("member {number} is one too many: {MOST_MEMBERS} are passed on")
            } else if bytes + member.len() + usize::from(!members.is_empty()) > MOST_BYTES {
                format!("member {number} is too long: {MOST_BYTES} bytes are passed on")
            } else {
                bytes += member.len() + usize::from(!members.is_empty());
                members.push(member.to_owned());
                continue;
            };
            fault.get_or_insert(reason);
        }
        (Self(members), fault)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Tells `key = value *( ; property )`, with optional white space around each part.
fn is_member(member: &str) -> bool {
    let mut parts = member.split(';').map(|part| part.trim_matches([' ', '\t']));
    let pair = |part: &str| part.split_once('=').is_some_and(|(key, value)| is_token(key) && is_value(value));
    parts.next().is_some_and(pair) && parts.all(|part| is_token(part) || pair(part))
}

/// A token of HTTP, with white space after it: RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_value(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    text.trim_matches([' ', '\t']).bytes().all(fits)
}

/// The header of W3C Baggage.
pub(super) struct BaggagePropagator;

impl Propagator for BaggagePropagator {
    fn fields(&self) -> &'static [&'static str] {
        &[HEADER]
    }

    fn inject(&self, context: &Context, set: &mut dyn FnMut(&'static str, String)) {
        if !context.baggage.is_empty() {
            set(HEADER, context.baggage.to_string());
        }
    }

    fn extract(&self, get: &dyn Fn(&str) -> Option<String>, context: &mut Context) -> Result<(), Invalid> {
        let Some(text) = get(HEADER) else { return Ok(()) };
        let (baggage, fault) = Baggage::parse(&text);
        context.baggage = baggage;
        fault.map_or(Ok(()), |reason| Err(Invalid::new(HEADER, reason)))
    }
}
