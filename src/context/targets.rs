//! Targets: who gets headers. Match patterns in Chrome's syntax become regular expressions, which both modes of the extension use: a rule's
//! filter takes them (RE2), and so does a listener (JavaScript). A rule takes only short ones: the extension asks the browser.
//!
//! <https://developer.chrome.com/docs/extensions/develop/concepts/match-patterns>

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Host;

/// The patterns that a list may have: each is a rule for every tab of lightweight mode, and a browser takes 1,000 of their kind.
pub(crate) const MOST_PATTERNS: usize = 20;

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MatchPattern {
    text: String,
    regexes: Vec<String>,
}

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct PatternError {
    pattern: String,
    /// In characters, from 0.
    at: usize,
    reason: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest: String = self.pattern.chars().skip(self.at).collect();
        let place = match (self.at, rest.as_str()) {
            (0, _) => String::new(),
            (_, "") => " at its end".to_owned(),
            (at, rest) => format!(" at \"{rest}\" (character {})", at + 1),
        };
        write!(f, "\"{}\" is wrong{place}: {}", self.pattern, self.reason)
    }
}

/// Schemes, and those that addresses have for them, with the port that these leave out: a WebSocket begins with a request to the same server.
const SCHEMES: [(&str, &[(&str, u16)]); 5] = [
    ("*", &[("(?:http|ws)", 80), ("(?:https|wss)", 443)]),
    ("http", &[("(?:http|ws)", 80)]),
    ("https", &[("(?:https|wss)", 443)]),
    ("ws", &[("ws", 80)]),
    ("wss", &[("wss", 443)]),
];

/// The ports of a pattern.
#[derive(Clone, Copy)]
enum Port {
    Any,
    One(u16),
}

impl Port {
    fn regex(self, default: u16) -> String {
        match self {
            Self::Any => "(?::\\d+)?".to_owned(),
            Self::One(port) if port == default => String::new(),
            Self::One(port) => format!(":{port}"),
        }
    }
}

const ALL_URLS: &str = "<all_urls>";

/// What a `*` in a path stands for.
const ANYTHING: &str = "[^?#]*";

impl MatchPattern {
    /// Reads one pattern.
    ///
    /// # Errors
    ///
    /// A [`PatternError`] for the first thing that is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        Self::compile(text).map_err(|(at, reason)| PatternError {
            pattern: text.to_owned(),
            at: text[..at].chars().count(),
            reason,
        })
    }

    /// Errors are at a byte.
    fn compile(text: &str) -> Result<Self, (usize, &'static str)> {
        if text == ALL_URLS {
            return Ok(Self { text: text.to_owned(), regexes: vec!["^(?:http|ws)s?://".to_owned()] });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err((0, "expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>"));
        };
        let (_, schemes) =
            SCHEMES.iter().find(|(name, _)| *name == scheme).ok_or((0, "the scheme is http, https, ws, wss or *"))?;
        let host_at = scheme.len() + 3;
        let path_at = host_at + rest.find('/').ok_or((text.len(), "a path is missing: /* is every path"))?;
        let (name, port) = host(&text[host_at..path_at]).map_err(|(at, reason)| (host_at + at, reason))?;
        let path = path(&text[path_at..]).map_err(|(at, reason)| (path_at + at, reason))?;
        // An address may have credentials before the host.
        let server =
            |(scheme, default): &(&str, u16)| format!("{scheme}://(?:[^/?#@]*@)?{name}{}", port.regex(*default));
        // One scheme leaves such a port out, and the other does not.
        let servers = match (schemes, port) {
            ([only], _) => vec![server(only)],
            (all, Port::One(80 | 443)) => all.iter().map(server).collect(),
            _ => vec![server(&("(?:http|ws)s?", 0))],
        };
        let regexes = servers.iter().map(|server| format!("^{server}{path}")).collect();
        Ok(Self { text: text.to_owned(), regexes })
    }

    /// Regular expressions for the addresses that it matches, as RE2 and JavaScript have them; case matters.
    pub(crate) fn regexes(&self) -> &[String] {
        &self.regexes
    }
}

impl fmt::Display for MatchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Turns a host into a regular expression, and reads the port.
fn host(text: &str) -> Result<(String, Port), (usize, &'static str)> {
    let bracket = text.rfind(']').unwrap_or(0);
    let colon = text[bracket..].find(':').map(|at| bracket + at);
    let (name, port) = colon.map_or((text, None), |at| (&text[..at], Some((at + 1, &text[at + 1..]))));
    let port = match port {
        // As Chrome's patterns have it.
        None | Some((_, "*")) => Port::Any,
        Some((at, digits)) => match digits.parse() {
            Ok(port) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Port::One(port),
            _ => return Err((at, "the port is a number up to 65535, or *")),
        },
    };
    if name.is_empty() {
        return Err((0, "a host is missing: * is every host"));
    }
    if name == "*" {
        return Ok(("(?:\\[[^\\]/]*\\]|[^/?#@:]+)".to_owned(), port));
    }
    let (subdomains, base) = name.strip_prefix("*.").map_or(("", name), |base| ("(?:[^/?#@:]+\\.)?", base));
    let base_at = name.len() - base.len();
    if let Some(star) = base.find('*') {
        return Err((base_at + star, "a * in the host is all of it, or its beginning as in *.shop.test"));
    }
    let valid = (base_at, "it is not a host");
    match Host::parse(base).map_err(|_| valid)? {
        // An address of numbers has no subdomains.
        Host::Ipv4(_) | Host::Ipv6(_) if !subdomains.is_empty() => Err((0, "an IP address has no subdomains")),
        Host::Domain(domain) => Ok((format!("{subdomains}{}\\.?", escaped(domain.trim_end_matches('.'))), port)),
        host => Ok((escaped(&host.to_string()), port)),
    }
}

/// What addresses have percent-encoded in a path: <https://url.spec.whatwg.org/#path-percent-encode-set>.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}').add(b'^');

/// Turns a path into a regular expression: `*` is any characters, and a query is not compared.
fn path(text: &str) -> Result<String, (usize, &'static str)> {
    if let Some(at) = text.find(['?', '#']) {
        return Err((at, "the query is not compared: leave it out"));
    }
    let parts = text.split('*').map(|part| escaped(&utf8_percent_encode(part, IN_PATH).to_string()));
    let regex = parts.collect::<Vec<_>>().join(ANYTHING);
    Ok(regex.strip_suffix(ANYTHING).map_or_else(|| format!("{regex}(?:[?#]|$)"), ToOwned::to_owned))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if !c.is_ascii_alphanumeric()
            && !matches!(c, '/' | '-' | '_' | '%' | '~' | ':' | '@' | '!' | '&' | '\'' | ',' | ';' | '=')
        {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

/// Reads a list of patterns.
///
/// # Errors
///
/// What is wrong with the first that can't be used, or with their number.
pub(crate) fn patterns(items: &[String]) -> Result<Vec<MatchPattern>, String> {
    let patterns: Vec<_> = items
        .iter()
        .map(|item| MatchPattern::parse(item))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if patterns.len() > MOST_PATTERNS {
        return Err(format!("there are {} patterns: {MOST_PATTERNS} at most", patterns.len()));
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests;
