//! How findings are printed.

use std::fmt::Write as _;

use crate::view::terminal::clean;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It holds.
    Ok,
    /// It holds, and could do more.
    Hint,
    /// It holds, and something may spoil it.
    Warn,
    /// It is broken.
    Fail,
    /// What the lines below it are about, in the link's place.
    Heading,
}

/// One finding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How good it is.
    pub(super) mark: Mark,
    link: &'static str,
    sentence: String,
}

impl Line {
    /// Makes a line about a link of the chain.
    pub(super) fn new(mark: Mark, link: &'static str, sentence: impl Into<String>) -> Self {
        Self { mark, link, sentence: sentence.into() }
    }
}

/// Renders lines. What they quote may come from anybody, so nothing in it can steer a terminal.
pub(super) fn render(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { mark, link, sentence } in lines {
        let mark = match mark {
            Mark::Ok => "ok  ",
            Mark::Hint => "hint",
            Mark::Warn => "warn",
            Mark::Fail => "FAIL",
            Mark::Heading => {
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}{}", clean(sentence));
                continue;
            }
        };
        let _ = writeln!(text, "{mark}  {link:<15}  {}", clean(sentence));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_harmless() {
        let lines = [
            Line::new(Mark::Ok, "browser", "one"),
            Line::new(Mark::Heading, "", "Chromium"),
            Line::new(Mark::Warn, "other extension", "evil\x1b[2J\n"),
        ];
        insta::assert_snapshot!(render(&lines), @r"
        ok    browser          one

        Chromium
        warn  other extension  evil\u{1b}[2J\u{a}
        ");
    }
}
