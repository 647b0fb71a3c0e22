//! What k6 itself starts a browser with, so that the extension works without a launcher between. Pure.
//!
//! k6 splits `K6_BROWSER_ARGS` and `K6_BROWSER_IGNORE_DEFAULT_ARGS` at commas, nothing can keep it from that, takes white space off both ends of
//! each name and value and quotes from around a value, and lets the last value of a name win.

use std::path::{Path, PathBuf};

use crate::base::failure::{ExitCode, Failure};

/// Chromium's arguments, as k6 takes them.
pub(crate) const ARGS: &str = "K6_BROWSER_ARGS";
/// Those of k6's own arguments for Chromium that it shall leave out.
pub(crate) const IGNORE_DEFAULT_ARGS: &str = "K6_BROWSER_IGNORE_DEFAULT_ARGS";
/// The browser that k6 starts.
pub(crate) const EXECUTABLE_PATH: &str = "K6_BROWSER_EXECUTABLE_PATH";

const DISABLE_EXTENSIONS: &str = "disable-extensions";
const USER_DATA_DIR: &str = "user-data-dir";
const LOAD_EXTENSION: &str = "load-extension";
const GRANT: &str = "allowlisted-extension-id";

/// Why k6 can't be given what it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum K6Error {
    /// A path that does not come through k6's arguments.
    #[error("the {what} {} can't be used by k6, because {reason}; {hint}", .path.display())]
    Path {
        /// What stands there.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What is in the way.
        reason: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// An argument of the user's that leaves no room for ours.
    #[error(
        "{ARGS} has {argument}, and k6 can't pass on another {name} beside it: take it out, or use the launcher (navtrace run -- k6 run …), which \
         keeps both"
    )]
    Taken {
        /// The argument's name.
        name: String,
        /// The whole argument.
        argument: String,
    },
}

impl From<K6Error> for Failure {
    fn from(error: K6Error) -> Self {
        Self::new(ExitCode::Usage, error)
    }
}

/// What Chromium needs for the extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The extension's folder.
    pub(crate) extension: &'a str,
    /// The extension's id.
    pub(crate) id: &'a str,
    /// The prepared profile.
    pub(crate) profile: &'a str,
}

/// Gives a path as text, if it comes through k6's arguments.
///
/// # Errors
///
/// [`K6Error::Path`] with `what` stands there and the `hint` what to do.
pub(crate) fn path<'a>(path: &'a Path, what: &'static str, hint: &'static str) -> Result<&'a str, K6Error> {
    let refused = |reason| K6Error::Path { what, path: path.to_owned(), reason, hint };
    let text = path.to_str().ok_or_else(|| refused("it is not UTF-8"))?;
    if text.contains(',') {
        return Err(refused("k6 splits its arguments at the comma"));
    }
    if text.trim() != text {
        return Err(refused("k6 takes away the white space at its end"));
    }
    Ok(text)
}

/// Gives the profile that the user's own arguments name, if they name one.
pub(crate) fn profile_in(args: &str) -> Option<&str> {
    items(args)
        .map(split)
        .filter(|(name, _)| *name == USER_DATA_DIR)
        .last()
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// Whether the argument of this name is among the user's own.
pub(crate) fn has(args: &str, name: &str) -> bool {
    items(args).any(|item| split(item).0 == name)
}

/// Adds what is wanted to the user's own arguments. What earlier calls added is replaced; `is_ours` tells by the folder whether an extension is
/// navtrace's.
///
/// # Errors
///
/// [`K6Error::Taken`] when an argument is there that would have to be shared.
pub(crate) fn merge(args: &str, wanted: Wanted, is_ours: impl Fn(&str) -> bool) -> Result<String, K6Error> {
    let mut merged = Vec::new();
    for item in items(args) {
        let (name, value) = split(item);
        let is_replaced = match name {
            DISABLE_EXTENSIONS | USER_DATA_DIR => true,
            LOAD_EXTENSION if value == wanted.extension || is_ours(value) => true,
            GRANT if value == wanted.id => true,
            LOAD_EXTENSION | GRANT | "disable-extensions-except" => {
                return Err(K6Error::Taken { name: name.to_owned(), argument: item.to_owned() });
            }
            _ => false,
        };
        if !is_replaced {
            merged.push(item.to_owned());
        }
    }
    let ours = [(LOAD_EXTENSION, wanted.extension), (USER_DATA_DIR, wanted.profile), (GRANT, wanted.id)];
    merged.extend(ours.map(|(name, value)| format!("{name}={value}")));
    Ok(merged.join(","))
}

/// Adds to what k6 shall leave out that it turns extensions off.
pub(crate) fn merge_ignored(ignored: &str) -> String {
    let is_ours = |item: &&str| item.trim_start_matches("--") == DISABLE_EXTENSIONS;
    let kept = items(ignored).filter(|item| !is_ours(item));
    kept.chain([DISABLE_EXTENSIONS]).collect::<Vec<_>>().join(",")
}

/// The items of a list. An empty one would become a lone `--`, after which Chromium takes no switches.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|item| !item.trim().is_empty())
}

/// Takes an argument apart as k6 does.
fn split(item: &str) -> (&str, &str) {
    let (name, value) = item.split_once('=').unwrap_or((item, ""));
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    (name.trim(), quoted('"').or_else(|| quoted('\'')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "load-extension=/ext,user-data-dir=/p,allowlisted-extension-id=abc";

    fn merged(args: &str) -> Result<String, K6Error> {
        merge(args, Wanted { extension: "/ext", id: "abc", profile: "/p" }, |folder| folder == "/ext of yesterday")
    }

    #[test]
    fn what_the_user_has_is_kept() {
        let cases = [
            ("", OURS.to_owned()),
            (",", OURS.to_owned()),
            ("no-sandbox", format!("no-sandbox,{OURS}")),
            ("no-sandbox,window-size=1 , lang='de'", format!("no-sandbox,window-size=1 , lang='de',{OURS}")),
            ("user-data-dir=/q,no-sandbox", format!("no-sandbox,{OURS}")),
            ("disable-extensions,no-sandbox", format!("no-sandbox,{OURS}")),
            ("load-extension='/ext of yesterday',user-data-dir=/q,allowlisted-extension-id=abc", OURS.to_owned()),
        ];
        for (args, expected) in cases {
            assert_eq!(merged(args), Ok(expected.clone()), "{args}");
            assert_eq!(merged(&expected), Ok(expected), "a second time: {args}");
        }
    }

    #[test]
    fn what_would_have_to_be_shared_is_named() {
        for argument in ["load-extension=/theirs", "allowlisted-extension-id=x", "disable-extensions-except=/ext"] {
            let error = merged(&format!("no-sandbox,{argument}")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("K6_BROWSER_ARGS has {argument}, and k6 can't")), "{error}");
        }
    }

    #[test]
    fn what_is_left_out_is_kept_too() {
        for (ignored, expected) in [
            ("", "disable-extensions"),
            ("mute-audio", "mute-audio,disable-extensions"),
            ("--disable-extensions,mute-audio,", "mute-audio,disable-extensions"),
            ("mute-audio,disable-extensions", "mute-audio,disable-extensions"),
        ] {
            assert_eq!(merge_ignored(ignored), expected);
        }
    }

    #[test]
    fn a_profile_among_the_arguments_is_found() {
        for (args, expected) in [
            ("no-sandbox", None),
            ("user-data-dir=", None),
            ("user-data-dir=/a, user-data-dir = \"/b c\"", Some("/b c")),
            ("my-user-data-dir=/a", None),
        ] {
            assert_eq!(profile_in(args), expected, "{args}");
        }
        assert!(has("a=1, no-sandbox", "no-sandbox") && !has("no-sandboxes", "no-sandbox"));
    }

    #[test]
    fn paths_that_do_not_come_through_are_named() {
        for text in ["/p", "/a b/Prüfung 测试", "/it's \"quoted\"=x", "/q'", " /led"] {
            let came = path(Path::new(text), "profile", "choose another");
            assert_eq!(came.is_ok(), text.trim() == text, "{text}");
        }
        for (text, reason) in
            [("/a,b", "k6 splits its arguments at the comma"), ("/a ", "k6 takes away the white space at its end")]
        {
            let error = path(Path::new(text), "profile", "choose another").unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the profile {text} can't be used by k6, because {reason}; choose another")
            );
        }
    }
}
