//! Removes secrets from addresses: replaces credentials and the values of sensitive parameters by `REDACTED`.
//!
//! This follows `url.full` of OpenTelemetry's semantic conventions. The extension does the same for the popup (`context/redaction.js`), with the
//! names from here. `tests/fixtures/redaction.json` tests both sides.

use std::borrow::Cow;

/// Replaces a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// Names of parameters whose values are secrets, in the form of [`normalized`]; `*` stands for any beginning. They are those of the semantic
/// conventions, of cloud storage, of OAuth, `OpenID` Connect, SAML and CAS, and of sessions and keys in general.
const NAMES: [&str; 53] = [
    "*accesskey",
    "*accesskeyid",
    "*apikey",
    "*assertion",
    "*authcode",
    "*credential",
    "*credentials",
    "*csrf",
    "*otp",
    "*passphrase",
    "*passwd",
    "*password",
    "*privatekey",
    "*pwd",
    "*secret",
    "*secretkey",
    "*sessid",
    "*session",
    "*sessionid",
    "*signature",
    "*token",
    "*xsrf",
    "auth",
    "authentication",
    "authorization",
    "authorizationcode",
    "bearer",
    "code",
    "codeverifier",
    "connectsid",
    "cookie",
    "devicecode",
    "hmac",
    "idtokenhint",
    "jwt",
    "keypairid",
    "logouthint",
    "nonce",
    "pass",
    "pgtiou",
    "relaystate",
    "samlart",
    "samlrequest",
    "samlresponse",
    "sessionstate",
    "setcookie",
    "sid",
    "sig",
    "state",
    "ticket",
    "usercode",
    "verificationcode",
    "wresult",
];

/// How deep addresses in the values of parameters are read.
const NESTING: usize = 3;

/// How often the name or the value of a parameter may be percent-encoded.
const ENCODINGS: usize = 3;

/// The names of parameters whose values are secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redaction {
    names: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { names: NAMES.map(ToOwned::to_owned).to_vec() }
    }
}

impl Redaction {
    /// Adds names of the user's to the built-in ones. Fails with what was expected.
    pub(crate) fn with(items: &[String]) -> Result<Self, String> {
        let mut redaction = Self::default();
        for item in items {
            let (star, name) = item.strip_prefix('*').map_or(("", item.as_str()), |name| ("*", name));
            let name = normalized(name);
            if name.is_empty() && item != "*" {
                return Err(format!(
                    "{item:?} is not the name of a parameter: expected a name such as voucher, or *_pin for every name with that ending"
                ));
            }
            redaction.names.push(format!("{star}{name}"));
        }
        Ok(redaction)
    }

    /// Returns the names in lower case and without punctuation; `*` stands for any beginning.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns an address without its secrets.
    pub(crate) fn address<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let redacted = self.redacted(text, NESTING);
        if redacted == text { Cow::Borrowed(text) } else { Cow::Owned(redacted) }
    }

    /// Returns a text without the secrets of the addresses in it.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(scheme) = rest.find("://") {
            let before = rest[..scheme].char_indices().rev().find(|(_, c)| !c.is_ascii_alphanumeric());
            let start = before.map_or(0, |(at, c)| at + c.len_utf8());
            let length = rest[start..].find(|c: char| c.is_whitespace() || "\"'`<>".contains(c));
            let (address, after) = rest[start..].split_at(length.unwrap_or(rest.len() - start));
            redacted.push_str(&rest[..start]);
            redacted.push_str(&self.address(address));
            rest = after;
        }
        redacted.push_str(rest);
        redacted
    }

    fn redacted(&self, text: &str, nesting: usize) -> String {
        let (rest, fragment) = split(text, '#');
        let (base, query) = split(rest, '?');
        let mut redacted = self.path(&credentials(base), nesting);
        for (sign, part) in [('?', query), ('#', fragment)] {
            if let Some(part) = part {
                redacted.push(sign);
                redacted.push_str(&self.parameters(part, nesting));
            }
        }
        redacted
    }

    /// Redacts the parameters in the segments of a path, such as `/page;jsessionid=1`.
    fn path(&self, text: &str, nesting: usize) -> String {
        let segment = |segment: &str| match split(segment, ';') {
            (name, Some(parameters)) => format!("{name};{}", self.parameters(parameters, nesting)),
            (name, None) => name.to_owned(),
        };
        text.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// Redacts a query, or a fragment, in which OAuth sends parameters too.
    fn parameters(&self, text: &str, nesting: usize) -> String {
        let mut redacted = String::with_capacity(text.len());
        for part in text.split_inclusive(['&', ';']) {
            let pair = part.strip_suffix(['&', ';']).unwrap_or(part);
            match split(pair, '=') {
                (name, Some(value)) if !value.is_empty() && self.hides(name, value, nesting) => {
                    redacted.push_str(name);
                    redacted.push('=');
                    redacted.push_str(REDACTED);
                }
                _ => redacted.push_str(pair),
            }
            redacted.push_str(&part[pair.len()..]);
        }
        redacted
    }

    /// Returns whether a value is secret, by its name or because it is an address with secrets.
    fn hides(&self, name: &str, value: &str, nesting: usize) -> bool {
        // A fragment may have a path and a query of its own.
        let name = normalized(name.rsplit(['/', '?']).next().unwrap_or(name));
        let is_secret = |secret: &String| match secret.strip_prefix('*') {
            Some(ending) => name.ends_with(ending),
            None => name == *secret,
        };
        if self.names.iter().any(is_secret) {
            return true;
        }
        let inner = decoded(value);
        nesting > 0
            && inner.contains(['=', '@'])
            && (self.redacted(&inner, nesting - 1) != inner || self.parameters(&inner, nesting - 1) != inner)
    }
}

fn split(text: &str, sign: char) -> (&str, Option<&str>) {
    text.split_once(sign).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// `https://user:password@host` becomes `https://REDACTED:REDACTED@host`.
fn credentials(base: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = base.split_once("://") else { return Cow::Borrowed(base) };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let hidden = if user.contains(':') { format!("{REDACTED}:{REDACTED}") } else { REDACTED.to_owned() };
            Cow::Owned(format!("{scheme}://{hidden}@{host}{path}"))
        }
        None => Cow::Borrowed(base),
    }
}

/// Returns a name in lower case, without encoding and punctuation: `api_key`, `API-Key` and `apiKey` are the same name.
fn normalized(name: &str) -> String {
    decoded(name).chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ENCODINGS {
        if !text.contains('%') {
            break;
        }
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Cases {
        names: Vec<String>,
        addresses: Vec<(String, String)>,
    }

    fn cases() -> Cases {
        serde_json::from_str(include_str!("../../tests/fixtures/redaction.json")).unwrap()
    }

    #[test]
    fn secrets_are_replaced_and_nothing_else() {
        let Cases { names, addresses } = cases();
        let redaction = Redaction { names };
        for (text, expected) in addresses {
            assert_eq!(redaction.address(&text), expected);
        }
    }

    #[test]
    fn addresses_within_a_text_lose_their_secrets() {
        let text =
            "GET https://me:pw@shop.test/x?token=abc&page=2 failed\n  at 'http://a.test/?sid=1' and ünder://x, a://";
        let expected = "GET https://REDACTED:REDACTED@shop.test/x?token=REDACTED&page=2 failed\n  at 'http://a.test/?sid=REDACTED' and ünder://x, a://";
        assert_eq!(Redaction::default().text(text), expected);
        assert_eq!(Redaction::default().text("token=abc"), "token=abc");
    }

    #[test]
    fn the_fixture_has_the_names_in_force() {
        let added = ["Voucher".to_owned(), "*_PIN".to_owned()];
        assert_eq!(Redaction::with(&added).unwrap().names(), cases().names);
        assert!(NAMES.is_sorted() && NAMES.iter().all(|name| normalized(name) == name.trim_start_matches('*')));
    }

    #[test]
    fn a_name_of_nothing_is_refused() {
        for item in ["", "_", "*-"] {
            let reason = Redaction::with(&[item.to_owned()]).unwrap_err();
            assert!(reason.starts_with(&format!("{item:?} is not the name of a parameter: expected ")), "{reason}");
        }
        let all = Redaction::with(&["*".to_owned()]).unwrap();
        assert_eq!(all.address("http://a.test/?q=1&b"), "http://a.test/?q=REDACTED&b");
    }
}
