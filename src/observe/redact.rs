//! Removes secrets from addresses: replaces credentials and the values of sensitive query parameters by `REDACTED`.
//!
//! This follows `url.full` of OpenTelemetry's semantic conventions.

use std::borrow::Cow;

use crate::observe::observation::{Observation, Observed};

/// Replaces a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// Query parameters whose values are secrets, matched with their case. The first four are from the semantic conventions, the others from cloud storage
/// and OAuth.
const SENSITIVE: [&str; 17] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Credential",
    "access_token",
    "api_key",
    "apikey",
    "client_secret",
    "id_token",
    "password",
    "refresh_token",
    "secret",
    "token",
];

/// Removes the secrets from a batch.
pub(crate) fn batch(observed: &mut Observed) {
    for observation in &mut observed.observations {
        let (Observation::RequestStarted { url, .. }
        | Observation::RequestFailed { url, .. }
        | Observation::NavigationCommitted { url, .. }) = observation
        else {
            continue;
        };
        if let Cow::Owned(redacted) = address(url) {
            *url = redacted;
        }
    }
}

/// Returns an address without its secrets. An address that has none is returned unchanged.
pub(crate) fn address(text: &str) -> Cow<'_, str> {
    let (rest, fragment) = split(text, '#');
    let (base, query) = split(rest, '?');
    let base = credentials(base);
    let [query, fragment] = [query, fragment].map(|part| part.map(parameters));
    if matches!(base, Cow::Borrowed(_)) && [&query, &fragment].iter().all(|part| !matches!(part, Some(Cow::Owned(_)))) {
        return Cow::Borrowed(text);
    }
    let mut redacted = base.into_owned();
    for (sign, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            redacted.push(sign);
            redacted.push_str(&part);
        }
    }
    Cow::Owned(redacted)
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

/// Redacts a query, or a fragment, in which OAuth sends parameters too.
fn parameters(text: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| {
        let (key, value) = split(pair, '=');
        value.is_some_and(|value| !value.is_empty()) && SENSITIVE.contains(&&*decoded(key))
    };
    if !text.split('&').any(is_secret) {
        return Cow::Borrowed(text);
    }
    let hidden = text.split('&').map(|pair| {
        let key = split(pair, '=').0;
        if is_secret(pair) { Cow::Owned(format!("{key}={REDACTED}")) } else { Cow::Borrowed(pair) }
    });
    Cow::Owned(hidden.collect::<Vec<_>>().join("&"))
}

fn decoded(key: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(key).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_nothing_else() {
        for (text, expected) in [
            ("http://shop.test/a?b=c&d#e", "http://shop.test/a?b=c&d#e"),
            ("http://shop.test/a?", "http://shop.test/a?"),
            ("https://me:secret@shop.test/", "https://REDACTED:REDACTED@shop.test/"),
            ("https://me@shop.test", "https://REDACTED@shop.test"),
            ("https://me:p@ss@shop.test/@x", "https://REDACTED:REDACTED@shop.test/@x"),
            ("https://shop.test/~me@home?to=a@b", "https://shop.test/~me@home?to=a@b"),
            ("https://s3.test/k?X-Amz-Signature=ab%20c&x=1", "https://s3.test/k?X-Amz-Signature=REDACTED&x=1"),
            ("https://s.test/?q=1&sig=abc#top", "https://s.test/?q=1&sig=REDACTED#top"),
            ("https://s.test/?%73ig=abc", "https://s.test/?%73ig=REDACTED"),
            ("https://s.test/?sig=&sig", "https://s.test/?sig=&sig"),
            ("https://s.test/?SIG=a&signature=b", "https://s.test/?SIG=a&signature=b"),
            ("https://s.test/cb#access_token=abc&state=1", "https://s.test/cb#access_token=REDACTED&state=1"),
            ("ws://me:x@[::1]:80/", "ws://REDACTED:REDACTED@[::1]:80/"),
            ("about:blank", "about:blank"),
        ] {
            assert_eq!(address(text), expected);
        }
    }
}
