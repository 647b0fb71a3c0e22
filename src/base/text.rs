//! Text for people and shells.

use std::borrow::Cow;
use std::path::Path;

/// Formats a count with its noun: `1 span`, `2 spans`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Quotes a path for a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Quotes a text as one word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}
