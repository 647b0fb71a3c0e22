//! Words for people: counts, and text quoted for a shell.

use std::borrow::Cow;
use std::path::Path;

/// A number of things, in words.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A path as a shell takes it.
pub(crate) fn shell_word(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A text as a shell takes it for one word.
pub(crate) fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned)
}
