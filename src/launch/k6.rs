//! The values of k6's own variables that make it start a browser with the extension, without the launcher. Pure.
//!
//! k6 splits `K6_BROWSER_ARGS` and `K6_BROWSER_IGNORE_DEFAULT_ARGS` at every comma, without any way to escape one. It trims white space
//! around names and values, removes quotes around a value, and uses the last value of a name.

use std::path::Path;

use crate::base::failure::{ExitCode, Failure};

/// Extra arguments for Chromium.
pub(crate) const ARGS: &str = "K6_BROWSER_ARGS";
/// k6's own Chromium arguments that it must leave out.
pub(crate) const IGNORE_DEFAULT_ARGS: &str = "K6_BROWSER_IGNORE_DEFAULT_ARGS";
/// The browser that k6 starts.
pub(crate) const EXECUTABLE_PATH: &str = "K6_BROWSER_EXECUTABLE_PATH";

const DISABLE_EXTENSIONS: &str = "disable-extensions";
const USER_DATA_DIR: &str = "user-data-dir";
const LOAD_EXTENSION: &str = "load-extension";
const ALLOWLISTED_ID: &str = "allowlisted-extension-id";

/// The values that Chromium needs for the extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequiredArgs<'a> {
    /// The extension's folder.
    pub(crate) extension: &'a str,
    /// The extension's id.
    pub(crate) id: &'a str,
    /// The prepared user data directory.
    pub(crate) profile: &'a str,
}

/// Returns a path as text, if k6's arguments can carry it. The error names the path as `role` and ends with `hint`.
pub(crate) fn path<'a>(path: &'a Path, role: &str, hint: &str) -> Result<&'a str, Failure> {
    let unusable = |reason| {
        let message = format!("the {role} {} can't be used by k6, because {reason}", path.display());
        Failure::new(ExitCode::Usage, message).hint(hint)
    };
    let text = path.to_str().ok_or_else(|| unusable("it is not UTF-8"))?;
    if text.contains(',') {
        return Err(unusable("k6 splits its arguments at the comma"));
    }
    if text.trim() != text {
        return Err(unusable("k6 removes the white space at its end"));
    }
    Ok(text)
}

/// Returns the user data directory in the user's own arguments.
pub(crate) fn profile_in(args: &str) -> Option<&str> {
    items(args)
        .map(split)
        .filter(|(name, _)| *name == USER_DATA_DIR)
        .last()
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// Returns whether the user's own arguments contain this name.
pub(crate) fn has(args: &str, name: &str) -> bool {
    items(args).any(|item| split(item).0 == name)
}

/// Adds the required arguments to the user's own, replacing those of an earlier call.
///
/// `is_ours` tells whether a folder holds navtrace's extension. Fails if an existing argument would have to carry two values.
pub(crate) fn merge(args: &str, required: RequiredArgs, is_ours: impl Fn(&str) -> bool) -> Result<String, Failure> {
    let mut merged = Vec::new();
    for item in items(args) {
        let (name, value) = split(item);
        let is_replaced = match name {
            DISABLE_EXTENSIONS | USER_DATA_DIR => true,
            LOAD_EXTENSION if value == required.extension || is_ours(value) => true,
            ALLOWLISTED_ID if value == required.id => true,
            LOAD_EXTENSION | ALLOWLISTED_ID | "disable-extensions-except" => {
                let message = format!(
                    "{ARGS} has {item}, and k6 can't pass on another {name} beside it: take it out, or use the launcher (navtrace run -- \
                     k6 run …), which keeps both"
                );
                return Err(Failure::new(ExitCode::Usage, message));
            }
            _ => false,
        };
        if !is_replaced {
            merged.push(item.to_owned());
        }
    }
    let ours = [(LOAD_EXTENSION, required.extension), (USER_DATA_DIR, required.profile), (ALLOWLISTED_ID, required.id)];
    merged.extend(ours.map(|(name, value)| format!("{name}={value}")));
    Ok(merged.join(","))
}

/// Adds `disable-extensions` to the arguments that k6 leaves out.
pub(crate) fn merge_ignored(ignored: &str) -> String {
    let is_ours = |item: &&str| item.trim_start_matches("--") == DISABLE_EXTENSIONS;
    let kept = items(ignored).filter(|item| !is_ours(item));
    kept.chain([DISABLE_EXTENSIONS]).collect::<Vec<_>>().join(",")
}

/// Splits a list and drops empty items: k6 would pass one on as a lone `--`, after which Chromium reads no switches.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|item| !item.trim().is_empty())
}

/// Splits an argument into name and value as k6 does.
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

    fn merged(args: &str) -> Result<String, Failure> {
        merge(args, RequiredArgs { extension: "/ext", id: "abc", profile: "/p" }, |folder| {
            folder == "/ext of yesterday"
        })
    }

    #[test]
    fn the_users_arguments_are_kept() {
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
    fn an_argument_that_cannot_be_shared_is_reported() {
        for argument in ["load-extension=/theirs", "allowlisted-extension-id=x", "disable-extensions-except=/ext"] {
            let error = merged(&format!("no-sandbox,{argument}")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("K6_BROWSER_ARGS has {argument}, and k6 can't")), "{error}");
        }
    }

    #[test]
    fn ignored_arguments_are_kept_too() {
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
    fn the_profile_is_found_in_the_arguments() {
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
    fn paths_that_k6_cannot_carry_are_reported() {
        for text in ["/p", "/a b/Prüfung 测试", "/it's \"quoted\"=x", "/q'", " /led"] {
            let carried = path(Path::new(text), "profile", "choose another");
            assert_eq!(carried.is_ok(), text.trim() == text, "{text}");
        }
        for (text, reason) in
            [("/a,b", "k6 splits its arguments at the comma"), ("/a ", "k6 removes the white space at its end")]
        {
            let error = path(Path::new(text), "profile", "choose another").unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the profile {text} can't be used by k6, because {reason}; choose another")
            );
        }
    }
}
