//! Reads W3C Baggage. navtrace passes it on unchanged, within the specification's limits.
//!
//! <https://www.w3.org/TR/baggage/#limits>

/// The number of members that every implementation propagates.
const MAX_MEMBERS: usize = 64;

/// The length in bytes that every implementation propagates.
const MAX_BYTES: usize = 8192;

/// Returns the members that are valid and within the limits, and the error of the first invalid member.
pub(crate) fn parse(text: &str) -> (String, Option<String>) {
    let (mut kept, mut count, mut problem) = (String::new(), 0, None);
    let members = text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    for (number, member) in (1..).zip(members) {
        let separator = if kept.is_empty() { "" } else { "," };
        let reason = if !is_member(member) {
            format!("member {number} is not key=value, percent-encoded")
        } else if count == MAX_MEMBERS {
            format!("member {number} is one too many: {MAX_MEMBERS} are passed on")
        } else if kept.len() + separator.len() + member.len() > MAX_BYTES {
            format!("member {number} is too long: {MAX_BYTES} bytes are passed on")
        } else {
            kept.push_str(separator);
            kept.push_str(member);
            count += 1;
            continue;
        };
        problem.get_or_insert(reason);
    }
    (kept, problem)
}

/// Checks for `key = value *( ; property )`, with optional white space around each part.
fn is_member(member: &str) -> bool {
    let mut parts = member.split(';').map(|part| part.trim_matches([' ', '\t']));
    let pair = |part: &str| part.split_once('=').is_some_and(|(key, value)| is_token(key) && is_value(value));
    parts.next().is_some_and(pair) && parts.all(|part| is_token(part) || pair(part))
}

/// Checks for a token (RFC 9110, section 5.6.2), with optional white space around it.
fn is_token(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_value(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    text.trim_matches([' ', '\t']).bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn headers_are_read_as_the_fixtures_say() {
        let fixture = include_str!("../../tests/fixtures/propagation/baggage.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        for case in fixture["extract"].as_array().unwrap() {
            let (baggage, problem) = parse(case["headers"]["baggage"].as_str().unwrap_or_default());
            assert_eq!(baggage, case["context"]["baggage"].as_str().unwrap_or_default(), "{case}");
            let problem = problem.map(|reason| format!("baggage: {reason}"));
            assert_eq!(problem.as_deref(), case["reason"].as_str(), "{case}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
