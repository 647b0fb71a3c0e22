//! Text for people and shells.

use std::borrow::Cow;
use std::path::Path;

/// The number of characters to keep of a name.
const MAX_NAME: usize = 200;

/// Formats a count with its noun: `1 span`, `2 spans`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Formats a duration in milliseconds.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ..1.0 => format!("{:.0} us", ms * 1e3),
        ..1000.0 => format!("{ms:.1} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

/// Quotes a path for a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Quotes a text as one word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// Escapes characters that would control a terminal or reorder its text.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let is_control = c.is_control()
            || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if is_control { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// Cuts the name of a span or service to the length that is kept in memory.
pub(crate) fn short_name(name: &str) -> Cow<'_, str> {
    shortened(name, MAX_NAME)
}

/// Cuts a text to at most `max` characters and an ellipsis.
pub(crate) fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for c in [
            '\0',
            '\n',
            '\r',
            '\t',
            '\x1b',
            '\x7f',
            '\u{9b}',
            '\u{61c}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(clean(&format!("a{c}b")), format!("a{}b", c.escape_unicode()));
        }
        assert_eq!(clean("héllo 商品 🛒"), "héllo 商品 🛒");
    }

    #[test]
    fn long_texts_are_shortened() {
        for (text, max, short) in [("shop", 4, "shop"), ("shops", 4, "shop…"), ("ééé", 2, "éé…"), ("", 0, "")]
        {
            assert_eq!(shortened(text, max), short);
        }
    }
}
