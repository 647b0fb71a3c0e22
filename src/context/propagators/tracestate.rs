//! The `tracestate` of a trace that is continued: kept as it is, within its limits. navtrace adds nothing of its own.
//!
//! W3C Trace Context, section 3.3: <https://www.w3.org/TR/trace-context-2/#tracestate-header>

use std::fmt;

/// List members that there may be.
const MOST_MEMBERS: usize = 32;

/// Characters that everybody propagates; what is longer is cut, members of more than [`LARGE_MEMBER`] first, then the last ones.
const MOST_CHARACTERS: usize = 512;

const LARGE_MEMBER: usize = 128;

const LONGEST: usize = 256;

/// List members, the latest vendor's first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tracestate(Vec<String>);

impl Tracestate {
    /// Reads the value of a header.
    ///
    /// # Errors
    ///
    /// What is wrong with it: as a whole it is of no use then.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let members: Vec<&str> = text
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
            .filter(|member| !member.is_empty())
            .collect();
        if members.len() > MOST_MEMBERS {
            return Err(format!("expected at most {MOST_MEMBERS} members, found {}", members.len()));
        }
        let mut keys = Vec::new();
        for (number, member) in members.iter().enumerate() {
            let number = number + 1;
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
        let mut state = Self(members.into_iter().map(ToOwned::to_owned).collect());
        state.cut();
        Ok(state)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1)
    }

    fn cut(&mut self) {
        while self.len() > MOST_CHARACTERS {
            let large = self.0.iter().rposition(|member| member.len() > LARGE_MEMBER);
            self.0.remove(large.unwrap_or(self.0.len() - 1));
        }
    }
}

impl fmt::Display for Tracestate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn is_key(key: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    (1..=LONGEST).contains(&key.len()) && first(key.as_bytes()[0]) && key.bytes().all(rest)
}

fn is_value(value: &str) -> bool {
    let fits = |byte: u8| (0x20..=0x7e).contains(&byte) && !matches!(byte, b',' | b'=');
    (1..=LONGEST).contains(&value.len()) && value.bytes().all(fits)
}
