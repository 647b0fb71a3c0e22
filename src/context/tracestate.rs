//! Reads a `tracestate`. navtrace passes it on without an entry of its own.
//!
//! W3C Trace Context, section 3.3: <https://www.w3.org/TR/trace-context-2/#tracestate-header>

const MAX_MEMBERS: usize = 32;

/// The length that every implementation propagates.
const MAX_LENGTH: usize = 512;

/// Where the header is too long, members longer than this are dropped first.
const LARGE_MEMBER: usize = 128;

/// The longest key, and the longest value.
const MAX_PART: usize = 256;

/// Returns the value without empty members and white space, shortened to [`MAX_LENGTH`], or why it is invalid as a whole.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let members = text.split(',').map(|member| member.trim_matches([' ', '\t']));
    let mut members: Vec<&str> = members.filter(|member| !member.is_empty()).collect();
    if members.len() > MAX_MEMBERS {
        return Err(format!("expected at most {MAX_MEMBERS} members, found {}", members.len()));
    }
    let mut keys = Vec::new();
    for (number, member) in (1..).zip(&members) {
        let Some((key, value)) = member.split_once('=') else {
            return Err(format!("member {number} is not key=value"));
        };
        if !is_key(key) {
            return Err(format!("the key of member {number} is invalid"));
        }
        if !is_value(value) {
            return Err(format!("the value of member {number} is invalid"));
        }
        if keys.contains(&key) {
            return Err(format!("member {number} repeats a key"));
        }
        keys.push(key);
    }
    while members.iter().map(|member| member.len() + 1).sum::<usize>() > MAX_LENGTH + 1 {
        let large = members.iter().rposition(|member| member.len() > LARGE_MEMBER);
        members.remove(large.unwrap_or(members.len() - 1));
    }
    Ok(members.join(","))
}

fn is_key(key: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    (1..=MAX_PART).contains(&key.len()) && first(key.as_bytes()[0]) && key.bytes().all(rest)
}

fn is_value(value: &str) -> bool {
    let fits = |byte: u8| (0x20..=0x7e).contains(&byte) && !matches!(byte, b',' | b'=');
    (1..=MAX_PART).contains(&value.len()) && value.bytes().all(fits)
}
