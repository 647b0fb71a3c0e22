//! Parses setting values. Every error says what was expected.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::base::suggest::nearest;

/// Says that a name is not known, and which known name it was probably meant to be.
pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let hint = nearest(name, known).map(|nearest| format!(" (did you mean {nearest}?)"));
    format!("{name} is not known{}", hint.unwrap_or_default())
}

pub(super) fn names<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(name, _)| *name).collect()
}

/// Looks `value` up among named choices.
pub(super) fn one_of<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let all = names.join(", ");
    Err(match nearest(value, names) {
        Some(nearest) => format!("did you mean {nearest}? ({all})"),
        None => format!("expected {all}"),
    })
}

/// Looks `value` up as OpenTelemetry's specification wants it: ignoring case.
pub(super) fn known<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(value.trim()));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("expected {}", names.join(" or "))
    })
}

/// Parses a whole number with a unit (`ms`, `s` or `m`), at most `longest`.
pub(crate) fn duration(value: &str, longest: Duration) -> Result<Duration, String> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "" if digits > 0 => return Err(format!("a unit is missing: {number}s, or {number}ms?")),
        _ => 0,
    };
    if digits == 0 || unit_ms == 0 {
        return Err("expected a number with a unit, such as 5s or 1500ms".to_owned());
    }
    // A number that overflows exceeds any limit.
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    if milliseconds == Some(0) {
        return Err("it must be more than 0".to_owned());
    }
    milliseconds
        .map(Duration::from_millis)
        .filter(|duration| *duration <= longest)
        .ok_or_else(|| format!("the longest possible is {}s", longest.as_secs()))
}

/// Parses a value that a script may leave blank, which is no value.
pub(super) fn given<T>(value: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if value.trim().is_empty() { Ok(None) } else { parse(value).map(Some) }
}

pub(super) fn number<T: FromStr>(value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|_| "expected a whole number".to_owned())
}

/// Checks a name that is shown to people.
pub(super) fn name(value: &str, longest: usize) -> Result<String, String> {
    let name = value.trim();
    if name.chars().any(char::is_control) {
        return Err("it has a control character".to_owned());
    }
    match name.chars().count() {
        length if length > longest => Err(format!("it has {length} characters; the longest possible is {longest}")),
        _ => Ok(name.to_owned()),
    }
}

/// Parses a number of at least 1.
pub(super) fn count(value: &str) -> Result<usize, String> {
    match number(value)? {
        0 => Err("it must be more than 0".to_owned()),
        count => Ok(count),
    }
}

/// Parses a duration as OpenTelemetry writes it, in milliseconds without a unit.
pub(super) fn milliseconds(value: &str) -> Result<Duration, String> {
    number(value).map(Duration::from_millis)
}

/// The address of a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Url(Url),
    /// A host and perhaps a port, which is enough for gRPC.
    Host(String),
}

/// Parses the address of a collector.
pub(super) fn address(value: &str) -> Result<Address, String> {
    let value = value.trim();
    let url = |text: &str| Url::parse(text).ok().filter(Url::has_host);
    if let Some(url) = url(value).filter(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(Address::Url(url));
    }
    let is_host =
        |url: &Url| url.path() == "/" && url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    match url(&format!("http://{value}")).filter(is_host) {
        Some(_) => Ok(Address::Host(value.to_owned())),
        None => Err("expected an address such as http://localhost:4318".to_owned()),
    }
}

/// Parses percent-encoded `key=value` pairs. One wrong pair makes all of them invalid, since nobody knows which half is right.
pub(super) fn pairs(items: &[String]) -> Result<Vec<(String, String)>, String> {
    let decoded = |part: &str| percent_decode_str(part.trim()).decode_utf8().ok().map(Cow::into_owned);
    let pairs = items.iter().map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
    });
    pairs.collect::<Option<_>>().ok_or_else(|| "expected key=value,key=value, percent-encoded".to_owned())
}

/// Parses percent-encoded headers. An error names the item by its number, since its text may be secret.
pub(super) fn headers(items: &[String]) -> Result<Vec<(String, String)>, String> {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let header = |(number, item): (usize, &String)| {
        let pair = pairs(std::slice::from_ref(item)).ok().and_then(|mut pairs| pairs.pop());
        let (name, value) = pair.ok_or_else(|| format!("item {number} is not key=value, percent-encoded"))?;
        if !name.bytes().all(is_in_name) {
            return Err(format!("the key of item {number} can't be the name of a header"));
        }
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(format!("the value of item {number} has characters that no header can have"));
        }
        Ok((name, value))
    };
    (1..).zip(items).map(header).collect()
}
