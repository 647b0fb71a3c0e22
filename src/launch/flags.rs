//! Rewrites a client's arguments for Chromium so that the extension is loaded and nothing else changes. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const DEVTOOLS_PORT: &str = "remote-debugging-port";

/// Features by which Chromium prepares parts of its own window that nobody sees without a screen: the popups of the address bar and of the tab
/// search. That takes about half a second of processor time just when a test begins.
const UNSEEN_FEATURES: [&str; 2] = ["PreloadTopChromeWebUI", "WebUIOmniboxAimPopup"];

/// Switches by which a client says what Chromium shows first, other than by an address.
const STARTUP_SWITCHES: [&str; 4] = ["no-startup-window", "app", "app-id", "restore-last-session"];

/// The page that Chromium shows first for a client that names none.
const BLANK_PAGE: &str = "about:blank";

/// The flags that the launcher adds to a client's arguments.
#[derive(Debug)]
pub(crate) struct AddedFlags<'a> {
    /// The unpacked extension.
    pub(crate) extension_dir: &'a Path,
    /// The id of the extension that is granted blocking `webRequest` listeners, if it has any.
    pub(crate) granted_id: Option<&'a str>,
    /// The temporary profile of a client that named none.
    pub(crate) user_data_dir: Option<&'a Path>,
    /// The names of the switches without which Chromium does not start, or crashes, on this machine.
    pub(crate) machine: &'a [&'static str],
    /// The `DevTools` port in place of the client's, if there is one. With 0 the browser chooses it.
    pub(crate) port: Option<u16>,
    /// Whether the browser listens on a `DevTools` port of its choice too, for a client that uses the pipe.
    pub(crate) adds_port: bool,
}

/// Returns the value of the last `--name=value`, which is the one that Chromium uses. An empty value counts as none.
pub(crate) fn value<'a>(args: &'a [OsString], name: &str) -> Option<&'a OsStr> {
    switches(args)
        .filter_map(|arg| switch(arg))
        .filter(|(found, _)| *found == name.as_bytes())
        .last()
        .and_then(|(_, value)| value)
        .filter(|value| !value.is_empty())
        .map(OsStr::from_bytes)
}

/// Returns the client's user data directory.
pub(crate) fn user_data_dir(args: &[OsString]) -> Option<PathBuf> {
    value(args, "user-data-dir").map(PathBuf::from)
}

/// Returns the `DevTools` port that the client chose, or 0 if Chromium is to choose it.
///
/// Chromium listens there on the loopback interface, whatever `--remote-debugging-address` says.
pub(crate) fn devtools_port(args: &[OsString]) -> Option<u16> {
    let digits = value(args, DEVTOOLS_PORT)?.to_str()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Returns whether the client names a `DevTools` port, or lets Chromium choose one.
pub(crate) fn has_devtools_port(args: &[OsString]) -> bool {
    has(args, DEVTOOLS_PORT)
}

/// Returns whether the client sends its commands through a pipe.
pub(crate) fn has_devtools_pipe(args: &[OsString]) -> bool {
    has(args, "remote-debugging-pipe")
}

/// Rewrites a client's arguments.
///
/// `--remote-debugging-port` gets another value where navtrace has chosen one, and `--disable-extensions` is removed. An existing
/// `--load-extension` or `--disable-extensions-except` gets our extension in addition. A browser without a screen does not prepare its own
/// window's popups. A browser whose client uses `DevTools` and names no address shows a blank page. Everything else keeps its place.
pub(crate) fn rewrite(args: &[OsString], added: &AddedFlags) -> Vec<OsString> {
    let switch_count = switches(args).count();
    let unseen = unseen_features(args);
    let replaced: [&[u8]; 3] = [b"disable-extensions", b"load-extension", b"disable-extensions-except"];
    let is_replaced = |name: &[u8]| replaced.contains(&name) || (!unseen.is_empty() && name == b"disable-features");
    let kept = |arg: &&OsString| switch(arg).is_none_or(|(name, _)| !is_replaced(name));

    let is_port = |arg: &OsString| switch(arg).is_some_and(|(name, _)| name == DEVTOOLS_PORT.as_bytes());
    let changed = |arg: &OsString| match added.port {
        Some(port) if is_port(arg) => flag(DEVTOOLS_PORT, port.to_string().as_ref()),
        _ => arg.clone(),
    };

    let mut rewritten: Vec<OsString> = switches(args).filter(kept).map(changed).collect();
    let with_ours = |name: &str, ours: &OsStr| {
        let list = match value(args, name) {
            Some(theirs) => [theirs.as_bytes(), b",", ours.as_bytes()].concat(),
            None => ours.as_bytes().to_vec(),
        };
        flag(name, &OsString::from_vec(list))
    };
    let extension = added.extension_dir.as_os_str();
    rewritten.push(with_ours("load-extension", extension));
    if has(args, "disable-extensions-except") {
        rewritten.push(with_ours("disable-extensions-except", extension));
    }
    if !unseen.is_empty() {
        rewritten.push(with_ours("disable-features", unseen.join(",").as_ref()));
    }
    if let Some(id) = added.granted_id {
        rewritten.push(flag("allowlisted-extension-id", id.as_ref()));
    }
    if let Some(dir) = added.user_data_dir {
        rewritten.push(flag("user-data-dir", dir.as_os_str()));
    }
    if added.adds_port {
        rewritten.push(flag(DEVTOOLS_PORT, "0".as_ref()));
    }
    rewritten.extend(added.machine.iter().map(|name| format!("--{name}").into()));
    if shows_new_tab(args) {
        rewritten.push(BLANK_PAGE.into());
    }
    rewritten.extend_from_slice(&args[switch_count..]);
    rewritten
}

/// Returns the arguments of a build that is always headless for Chromium, which is so only if it is told, and which has no old headless mode.
pub(crate) fn headless(args: &[OsString]) -> Vec<OsString> {
    const HEADLESS: &str = "headless";
    let is_asked = |arg: &OsString| switch(arg).is_some_and(|(name, _)| name == HEADLESS.as_bytes());
    let kept = |arg: &OsString| if is_asked(arg) { format!("--{HEADLESS}").into() } else { arg.clone() };
    let before = (!has(args, HEADLESS)).then(|| format!("--{HEADLESS}").into());
    let count = switches(args).count();
    before.into_iter().chain(args[..count].iter().map(kept)).chain(args[count..].iter().cloned()).collect()
}

/// Returns whether a client would find Chromium's new tab page in its first window. In a browser with an extension that page sometimes stops
/// loading when a client attaches to it, and Playwright's `connectOverCDP` waits for it.
fn shows_new_tab(args: &[OsString]) -> bool {
    let has_address = switches(args).any(|arg| switch(arg).is_none()) || switches(args).count() + 1 < args.len();
    let has_client = has_devtools_port(args) || has_devtools_pipe(args);
    has_client && !has_address && !STARTUP_SWITCHES.iter().any(|name| has(args, name))
}

/// Returns the features to switch off: none in a browser with a screen, and none that the client wants.
fn unseen_features(args: &[OsString]) -> Vec<&'static str> {
    if !has(args, "headless") {
        return Vec::new();
    }
    let enabled = value(args, "enable-features").map(OsStr::as_bytes).unwrap_or_default();
    // A feature may have parameters or the name of a trial behind it.
    let names =
        || enabled.split(|byte| *byte == b',').filter_map(|item| item.split(|byte| b":<".contains(byte)).next());
    UNSEEN_FEATURES.into_iter().filter(|feature| !names().any(|name| name == feature.as_bytes())).collect()
}

/// Returns whether `args` has the switch, with or without a value.
pub(crate) fn has(args: &[OsString], name: &str) -> bool {
    switches(args).any(|arg| switch(arg).is_some_and(|(found, _)| found == name.as_bytes()))
}

fn flag(name: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// Returns the arguments before a lone `--`, after which Chromium reads no switches.
fn switches(args: &[OsString]) -> impl Iterator<Item = &OsString> {
    args.iter().take_while(|arg| *arg != "--")
}

/// Splits `--name`, `--name=value` and, like Chromium, `-name=value`.
fn switch(arg: &OsStr) -> Option<(&[u8], Option<&[u8]>)> {
    let bytes = arg.as_bytes();
    let body = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    if body.is_empty() {
        return None;
    }
    Some(match body.iter().position(|byte| *byte == b'=') {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added() -> AddedFlags<'static> {
        AddedFlags {
            extension_dir: Path::new("/ext"),
            granted_id: Some("abc"),
            user_data_dir: None,
            machine: &[],
            port: None,
            adds_port: false,
        }
    }

    fn os(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    fn rewritten(args: &[&str], added: &AddedFlags) -> Vec<String> {
        let to_string = |arg: OsString| arg.into_string().unwrap();
        rewrite(&os(args), added).into_iter().map(to_string).collect()
    }

    #[test]
    fn arguments_are_rewritten_as_in_this_table() {
        let grant = "--allowlisted-extension-id=abc";
        let ours = "--load-extension=/ext";
        let unseen = "--disable-features=PreloadTopChromeWebUI,WebUIOmniboxAimPopup";
        let cases: [(&[&str], &[&str]); 10] = [
            (&[], &[ours, grant]),
            (&["--disable-extensions", "--headless"], &["--headless", ours, unseen, grant]),
            (
                &[
                    "--headless=new",
                    "--disable-features=A",
                    "--disable-features=B",
                    "--enable-features=PreloadTopChromeWebUI:a/b,C",
                ],
                &[
                    "--headless=new",
                    "--enable-features=PreloadTopChromeWebUI:a/b,C",
                    ours,
                    "--disable-features=B,WebUIOmniboxAimPopup",
                    grant,
                ],
            ),
            (&["--disable-features=A"], &["--disable-features=A", ours, grant]),
            (&["-disable-extensions"], &[ours, grant]),
            (&["--load-extension=/a,/b"], &["--load-extension=/a,/b,/ext", grant]),
            (&["--load-extension=/a", "--load-extension=/b"], &["--load-extension=/b,/ext", grant]),
            (
                &["--disable-extensions-except=/a", "--load-extension=/a"],
                &["--load-extension=/a,/ext", "--disable-extensions-except=/a,/ext", grant],
            ),
            (&["http://a/?x=--b", "--headless"], &["http://a/?x=--b", "--headless", ours, unseen, grant]),
            (
                &["--headless", "--", "--disable-extensions"],
                &["--headless", ours, unseen, grant, "--", "--disable-extensions"],
            ),
        ];
        for (args, expected) in cases {
            assert_eq!(rewritten(args, &added()), expected, "{args:?}");
        }
    }

    #[test]
    fn the_port_is_replaced_where_navtrace_has_chosen_one() {
        let first = |args: &[&str], port| rewritten(args, &AddedFlags { port, ..added() })[..args.len()].to_vec();
        let port = ["--remote-debugging-port=9222", "--headless"];
        assert_eq!(first(&port, None), port);
        assert_eq!(first(&port, Some(0)), ["--remote-debugging-port=0", "--headless"]);
        let twice = ["-remote-debugging-port=1", "x", "--remote-debugging-port=0"];
        assert_eq!(first(&twice, Some(9333)), ["--remote-debugging-port=9333", "x", "--remote-debugging-port=9333"]);
    }

    #[test]
    fn the_port_is_the_one_that_chromium_would_use() {
        let cases: [(&[&str], Option<u16>); 10] = [
            (&[], None),
            (&["--remote-debugging-port=9222"], Some(9222)),
            (&["-remote-debugging-port=1", "--remote-debugging-port=65534"], Some(65534)),
            (&["--remote-debugging-port=9222", "--remote-debugging-port=0"], Some(0)),
            (&["--remote-debugging-port"], None),
            (&["--remote-debugging-port="], None),
            (&["--remote-debugging-port=65535"], Some(65535)),
            (&["--remote-debugging-port=+1"], None),
            (&["--remote-debugging-port=9222", "--remote-debugging-address=0.0.0.0"], Some(9222)),
            (&["--", "--remote-debugging-port=9222"], None),
        ];
        for (args, expected) in cases {
            assert_eq!(devtools_port(&os(args)), expected, "{args:?}");
        }
    }

    #[test]
    fn a_client_that_names_no_address_finds_a_blank_page() {
        for (args, expected) in [
            (vec!["--remote-debugging-port=0"], true),
            (vec!["--remote-debugging-port=9222", "--headless", "--"], true),
            (vec!["--remote-debugging-pipe", "-x"], true),
            (vec!["--headless"], false),
            (vec!["--remote-debugging-port=0", "http://a/"], false),
            (vec!["--remote-debugging-port=0", "--", "--http://a/"], false),
            (vec!["--remote-debugging-pipe", "--no-startup-window"], false),
            (vec!["--remote-debugging-port=0", "--app=http://a/"], false),
        ] {
            let blank = rewritten(&args, &added()).iter().filter(|arg| *arg == BLANK_PAGE).count();
            assert_eq!(blank, usize::from(expected), "{args:?}");
        }
    }

    #[test]
    fn the_pipe_switch_is_found_with_and_without_a_value() {
        for (args, expected) in [
            (["--remote-debugging-pipe"], true),
            (["--remote-debugging-pipe=cbor"], true),
            (["--remote-debugging-pipes"], false),
        ] {
            assert_eq!(has_devtools_pipe(&os(&args)), expected, "{args:?}");
        }
    }

    #[test]
    fn a_profile_a_port_and_what_the_machine_needs_are_added() {
        let user_data_dir = Some(Path::new("/tmp/p q"));
        let added = AddedFlags { user_data_dir, adds_port: true, machine: &["no-sandbox", "b"], ..added() };
        let last = |args: &[OsString]| rewrite(args, &added).split_off(2);
        assert_eq!(last(&[]), ["--user-data-dir=/tmp/p q", "--remote-debugging-port=0", "--no-sandbox", "--b"]);
    }

    #[test]
    fn the_profile_is_the_one_that_chromium_would_use() {
        for (args, expected) in [
            (vec!["--user-data-dir=/a", "--user-data-dir=/b"], Some("/b")),
            (vec!["--user-data-dir="], None),
            (vec!["--", "--user-data-dir=/a"], None),
            (vec!["--user-data-dir-x=/a"], None),
        ] {
            assert_eq!(user_data_dir(&os(&args)), expected.map(PathBuf::from));
        }
    }
}
