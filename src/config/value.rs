//! Reads the forms that setting values come in. Every error says what was expected.

use std::time::Duration;

/// How alike two names must be for one to be offered in place of the other (1 is equal).
const ALIKE: f64 = 0.7;

/// Finds `value` among named choices.
pub(super) fn one_of<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let all = names.join(", ");
    let (likeness, nearest) = names
        .iter()
        .map(|name| (strsim::jaro_winkler(name, value), *name))
        .fold((0.0, ""), |best, this| if this.0 > best.0 { this } else { best });
    Err(if likeness >= ALIKE { format!("did you mean {nearest}? ({all})") } else { format!("expected {all}") })
}

/// Reads a whole number with a unit (`ms`, `s` or `m`), at most `longest`.
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
    // A number that overflows is longer than any limit.
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    if milliseconds == Some(0) {
        return Err("it must be more than 0".to_owned());
    }
    milliseconds
        .map(Duration::from_millis)
        .filter(|duration| *duration <= longest)
        .ok_or_else(|| format!("the longest possible is {}s", longest.as_secs()))
}
