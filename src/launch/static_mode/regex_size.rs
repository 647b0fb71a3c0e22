//! Tells whether a rule of the browser takes a regular expression. Pure.
//!
//! Chromium gives a rule's program in RE2 2 KiB of memory. Of a static rule whose expression needs more it says nothing and ignores the rule, so
//! this is checked before. The instructions are counted as RE2 makes them for the expressions of [`targets`](crate::context::targets).

/// Number of instructions that a rule may have. Chromium 156 takes 113. A browser of another version may take a few less.
const MAX_INSTRUCTIONS: usize = 100;

/// Number of different bytes.
const BYTES: u32 = 256;

/// Returns whether the browser takes a regular expression for a rule.
pub(super) fn fits(regex: &str) -> bool {
    regex.is_ascii() && instructions(regex) <= MAX_INSTRUCTIONS
}

/// Counts the instructions of a regular expression, or a few more.
fn instructions(regex: &str) -> usize {
    let mut rest = regex.strip_prefix('^').unwrap_or(regex).chars();
    let mut count = 0;
    while let Some(next) = rest.next() {
        count += match next {
            '\\' => {
                // A class such as \d is a single range.
                rest.next();
                1
            }
            '[' => class(&mut rest),
            '(' => {
                // Groups are `(?:...)`.
                rest.nth(1);
                0
            }
            ')' => 0,
            // A character, a repetition, an alternative, or an end of the address.
            _ => 1,
        };
    }
    count
}

/// Counts the instructions of a class, up to its end: one for each range of bytes, and one for each choice between two.
fn class(rest: &mut std::str::Chars<'_>) -> usize {
    let mut members = Vec::new();
    let mut is_negated = false;
    while let Some(next) = rest.next() {
        match next {
            ']' => break,
            '^' if members.is_empty() && !is_negated => is_negated = true,
            '\\' => members.extend(rest.next().map(u32::from)),
            next => members.push(next.into()),
        }
    }
    let is_member = |byte: &u32| members.contains(byte) != is_negated;
    let starts = (0..BYTES).filter(|byte| is_member(byte) && (*byte == 0 || !is_member(&(byte - 1)))).count();
    (2 * starts).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::targets::MatchPattern;

    /// Costs that were measured with `isRegexSupported` of Chromium 156.
    #[test]
    fn each_part_costs_what_chromium_charges() {
        for (part, cost) in [
            ("x", 1),
            ("(?:http|ws)", 7),
            ("(?:https|wss)", 9),
            ("(?:http|ws)s?", 9),
            ("(?:[^/?#@]*@)?", 10),
            ("(?:\\[[^\\]/]*\\]|[^/?#@:]+)", 19),
            ("(?:[^/?#@:]+\\.)?", 12),
            ("\\.?", 2),
            ("(?::\\d+)?", 4),
            ("[^?#]*", 6),
            ("(?:[?#]|$)", 5),
        ] {
            assert_eq!(instructions(&format!("^ab{part}")), 2 + cost, "{part}");
        }
    }

    #[test]
    fn usual_patterns_fit_and_long_ones_do_not() {
        let is_taken = |pattern: &str| MatchPattern::parse(pattern).unwrap().regexes().iter().all(|regex| fits(regex));
        let long = "x".repeat(200);
        for (pattern, expected) in [
            ("<all_urls>", true),
            ("*://*/*", true),
            ("https://*.shop.test/*", true),
            ("http://127.0.0.1:40123/api/*/orders", true),
            ("*://*.checkout.staging.shop.test:443/*", true),
            (&format!("http://127.0.0.1:40123/{long}"), false),
            ("https://*.shop.test/a/*/b/*/c/*/d/*/e/*/f/*/g/*", false),
        ] {
            assert_eq!(is_taken(pattern), expected, "{pattern}");
        }
    }
}
