//! Targets: the URLs whose requests get headers. Match patterns in Chrome's syntax become regular expressions for both modes of the
//! extension: for the filters of rules (RE2) and for listeners (JavaScript). A rule accepts only short expressions, so the extension asks the
//! browser.
//!
//! <https://developer.chrome.com/docs/extensions/develop/concepts/match-patterns>

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Host;

/// Limit for a list: lightweight mode needs a rule per pattern and tab, and the browser allows 1,000.
pub(crate) const MAX_PATTERNS: usize = 20;

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MatchPattern {
    text: String,
    regexes: Vec<String>,
    /// The host without `*.`; `None` for any host, and for IPv6 addresses, which filters of the browser can't name.
    domain: Option<String>,
}

/// The first error in a match pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct PatternError {
    pattern: String,
    /// The position of the error in characters, from 0.
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
        write!(f, "\"{}\" is not a valid pattern{place}: {}", self.pattern, self.reason)
    }
}

/// For each scheme of a pattern: the schemes of the addresses that it matches, with their default ports (a WebSocket starts as a request to
/// the same server).
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

/// Expression for a `*` in a path.
const ANYTHING: &str = "[^?#]*";

impl MatchPattern {
    /// Parses a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        Self::compile(text).map_err(|(at, reason)| PatternError {
            pattern: text.to_owned(),
            at: text[..at].chars().count(),
            reason,
        })
    }

    /// Compiles a pattern. Errors have a byte offset.
    fn compile(text: &str) -> Result<Self, (usize, &'static str)> {
        if text == ALL_URLS {
            let regexes = vec!["^(?:http|ws)s?://".to_owned()];
            return Ok(Self { text: text.to_owned(), regexes, domain: None });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err((0, "expected scheme://host/path, such as https://*.shop.test/*, or <all_urls>"));
        };
        let (_, schemes) =
            SCHEMES.iter().find(|(name, _)| *name == scheme).ok_or((0, "the scheme is http, https, ws, wss or *"))?;
        let host_at = scheme.len() + 3;
        let path_at = host_at + rest.find('/').ok_or((text.len(), "a path is missing: /* is every path"))?;
        let HostPattern { name, port, domain } =
            host(&text[host_at..path_at]).map_err(|(at, reason)| (host_at + at, reason))?;
        let path = path(&text[path_at..]).map_err(|(at, reason)| (path_at + at, reason))?;
        // An address may have credentials before the host.
        let server =
            |(scheme, default): &(&str, u16)| format!("{scheme}://(?:[^/?#@]*@)?{name}{}", port.regex(*default));
        // 80 and 443 are the default of one scheme only, so each scheme gets its own expression.
        let servers = match (schemes, port) {
            ([only], _) => vec![server(only)],
            (all, Port::One(80 | 443)) => all.iter().map(server).collect(),
            _ => vec![server(&("(?:http|ws)s?", 0))],
        };
        let regexes = servers.iter().map(|server| format!("^{server}{path}")).collect();
        Ok(Self { text: text.to_owned(), regexes, domain })
    }

    /// Returns the domains and IPv4 addresses that cover the hosts of all these patterns; `None` if a pattern has hosts of any other name.
    pub(crate) fn domains(patterns: &[Self]) -> Option<Vec<String>> {
        let mut domains = patterns.iter().map(|pattern| pattern.domain.clone()).collect::<Option<Vec<_>>>()?;
        domains.sort_unstable();
        domains.dedup();
        Some(domains)
    }

    /// Returns the regular expressions for the matched addresses: valid in RE2 and JavaScript; they are case-sensitive.
    pub(crate) fn regexes(&self) -> &[String] {
        &self.regexes
    }
}

impl fmt::Display for MatchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The host of a pattern.
struct HostPattern {
    /// A regular expression for the name.
    name: String,
    port: Port,
    /// See [`MatchPattern`].
    domain: Option<String>,
}

fn host(text: &str) -> Result<HostPattern, (usize, &'static str)> {
    let bracket = text.rfind(']').unwrap_or(0);
    let colon = text[bracket..].find(':').map(|at| bracket + at);
    let (name, port) = colon.map_or((text, None), |at| (&text[..at], Some((at + 1, &text[at + 1..]))));
    let port = match port {
        // No port means any, as in Chrome's patterns.
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
        return Ok(HostPattern { name: "(?:\\[[^\\]/]*\\]|[^/?#@:]+)".to_owned(), port, domain: None });
    }
    let (subdomains, base) = name.strip_prefix("*.").map_or(("", name), |base| ("(?:[^/?#@:]+\\.)?", base));
    let base_at = name.len() - base.len();
    if let Some(star) = base.find('*') {
        return Err((base_at + star, "a * in the host is all of it, or its beginning as in *.shop.test"));
    }
    let invalid = (base_at, "it is not a host");
    match Host::parse(base).map_err(|_| invalid)? {
        // An address of numbers has no subdomains.
        Host::Ipv4(_) | Host::Ipv6(_) if !subdomains.is_empty() => Err((0, "an IP address has no subdomains")),
        Host::Domain(domain) => {
            let domain = domain.trim_end_matches('.');
            let name = format!("{subdomains}{}\\.?", escaped(domain));
            Ok(HostPattern { name, port, domain: Some(domain.to_owned()) })
        }
        host => {
            // The browser's rules know no domain that is an IPv6 address.
            let domain = matches!(host, Host::Ipv4(_)).then(|| host.to_string());
            Ok(HostPattern { name: escaped(&host.to_string()), port, domain })
        }
    }
}

/// Characters that are percent-encoded in a path: <https://url.spec.whatwg.org/#path-percent-encode-set>.
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

/// Parses a list of patterns. Returns the error of the first invalid pattern, or that there are too many.
pub(crate) fn patterns(items: &[String]) -> Result<Vec<MatchPattern>, String> {
    let patterns: Vec<_> = items
        .iter()
        .map(|item| MatchPattern::parse(item))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if patterns.len() > MAX_PATTERNS {
        return Err(format!("there are {} patterns: {MAX_PATTERNS} at most", patterns.len()));
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests;
