//! What is installed for browsers that navtrace does not start, in words: for each of them what is registered, loaded, in the way.

mod loaded;
mod policy;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::cli::doctor::line::{Line, Mark};
use crate::install::browsers::{BROWSERS, Browser, Homes, Os};
use crate::install::inspect::host::{Binary, Registration, State};
use crate::install::inspect::{Computer, Place};
use crate::launch::find;
use crate::settings::Config;

/// What the lines about a registration begin with.
const LINK: &str = "registration";

/// How registrations of this place are mended, and whose they are that are not every user's.
struct Mend {
    whom: &'static str,
    user: String,
    system: &'static str,
}

impl Mend {
    /// Of a browser's own user data directory, or of the one that was named.
    fn new(named: Option<&Path>) -> Self {
        let user = named.map_or_else(
            || "navtrace install".to_owned(),
            |dir| format!("navtrace install --user-data-dir {}", crate::base::text::shell_word(dir)),
        );
        let whom = if named.is_some() { "for this directory" } else { "for this user" };
        Self { whom, user, system: "sudo navtrace install --system" }
    }
}

/// Looks at every browser that has something of navtrace's, or at one user data directory.
pub(super) fn check(config: &Config, named: Option<&Path>) -> Vec<Line> {
    let computer = Computer {
        os: Os::CURRENT,
        homes: Homes::find(|name| std::env::var_os(name)),
        root: "/".into(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
    };
    if let Some(dir) = named {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.into());
        return check_directory(config, &computer, &dir);
    }
    let places = computer.places();
    if places.is_empty() {
        let sentence = "navtrace is registered in no browser of this user, which `navtrace run` does not need; for a browser that you start \
                        yourself: `navtrace install`";
        return vec![Line::new(Mark::Hint, LINK, sentence)];
    }
    let heading = |place: &Place| format!("{} ({})", place.browser.name, place.user_data.display());
    places.iter().flat_map(|place| lines(place, heading(place), &Mend::new(None))).collect()
}

fn check_directory(config: &Config, computer: &Computer, dir: &Path) -> Vec<Line> {
    if !dir.is_dir() {
        let word = crate::base::text::shell_word(dir);
        let sentence = format!("{} is no directory: `navtrace profile {word}` prepares one", dir.display());
        return vec![Line::new(Mark::Fail, "profile", sentence)];
    }
    let browser = browser_of(config, computer, dir);
    let place = Place::look(computer, browser, dir);
    lines(&place, format!("{} (with {})", dir.display(), browser.name), &Mend::new(Some(dir)))
}

/// Finds the browser that uses a directory: the one whose own it is, else the one that `navtrace run` would use.
fn browser_of(config: &Config, computer: &Computer, dir: &Path) -> &'static Browser {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let owns = |browser: &&Browser| {
        let own = computer.homes.as_ref().and_then(|homes| real(&browser.user_data(computer.os, homes)));
        own.is_some() && own == real(dir)
    };
    let started = || {
        let path = find::find(config.browser.as_deref()).ok()?;
        Browser::of_program(&path, computer.os).or_else(|| Browser::of_program(&real(&path)?, computer.os))
    };
    BROWSERS.iter().find(owns).or_else(started).unwrap_or(&BROWSERS[0])
}

fn lines(place: &Place, heading: String, mend: &Mend) -> Vec<Line> {
    let mut lines = vec![Line::new(Mark::Heading, "", heading)];
    lines.extend(registrations(place, mend));
    lines.extend(loaded::lines(place, &mend.user));
    lines.extend(policy::lines(place, mend.system));
    lines
}

fn registrations(place: &Place, mend: &Mend) -> Vec<Line> {
    let effective = place.effective();
    let unused = |registration: &Registration, why| (registration.manifest != effective.manifest).then_some(why);
    let user = unused(&place.user, "; it does not count, as the policy below says".to_owned());
    let system = unused(&place.system, format!("; it does not count, because the one {} comes first", mend.whom));
    let mut lines = Vec::new();
    lines.extend(registration(&place.user, mend.whom, user.as_deref(), &mend.user));
    lines.extend(registration(&place.system, "for every user", system.as_deref(), mend.system));
    if let (None, Some(hidden)) = (system, place.system.hidden_from_others()) {
        let hidden = hidden.display();
        let sentence = format!(
            "for every user, but {hidden} is closed to other users: as root, chmod it, or run `{}`",
            mend.system
        );
        lines.push(Line::new(Mark::Warn, LINK, sentence));
    }
    if lines.is_empty() {
        let sentence =
            format!("no host is registered, so the extension would work alone, without spans: run `{}`", mend.user);
        lines.push(Line::new(Mark::Fail, LINK, sentence));
    }
    lines
}

/// Says what a registration is worth; what does not count breaks nothing.
fn registration(registration: &Registration, whom: &str, unused: Option<&str>, mend: &str) -> Option<Line> {
    let manifest = registration.manifest.display();
    let own = env!("CARGO_PKG_VERSION");
    let away = format!("move that file away, then run `{mend}`");
    let (mark, sentence) = match &registration.state {
        State::Missing => return None,
        State::Unreadable(error) => (Mark::Fail, format!("{manifest} can't be read: {error}: {away}")),
        State::Foreign => (Mark::Fail, format!("{manifest} is not navtrace's, so the extension has no host: {away}")),
        State::Ours { program, binary } => {
            let program = program.display();
            match binary {
                Binary::This => (Mark::Ok, format!("{program}, which is this navtrace ({own})")),
                Binary::Other(version) if version == own => (Mark::Ok, format!("{program} ({version})")),
                Binary::Other(version) => {
                    let sentence = format!(
                        "{program} is navtrace {version}, and this one is {own}: run `{mend}` with the one that you want"
                    );
                    (Mark::Warn, sentence)
                }
                Binary::Gone => (Mark::Fail, format!("{program} is not there any more: run `{mend}`")),
                Binary::Relative => (Mark::Fail, format!("{program} is not an absolute path: run `{mend}`")),
                Binary::NotExecutable => {
                    (Mark::Fail, format!("{program} is not an executable file: make it one, or run `{mend}`"))
                }
                Binary::Unasked => {
                    let sentence =
                        format!("{program} can be changed by other users, so it was not asked which navtrace it is");
                    (Mark::Warn, sentence)
                }
                Binary::Stranger => {
                    (Mark::Fail, format!("{program} does not say by `--version` that it is navtrace: run `{mend}`"))
                }
            }
        }
    };
    let mark = if unused.is_some() && mark != Mark::Ok { Mark::Hint } else { mark };
    Some(Line::new(mark, LINK, format!("{whom}: {sentence}{}", unused.unwrap_or_default())))
}

/// A name of a profile before what is said of it, where there are several.
fn of_profile(place: &Place, name: &str) -> String {
    let alone = place.profiles.len() == 1 && OsStr::new(name) == "Default";
    if alone { String::new() } else { format!("profile {name}: ") }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::cli::doctor::line;
    use crate::launch::manifest;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The words about a Chromium of a computer whose files are below `root`, and which has these policies.
    fn words(root: &Path, policies: &str) -> String {
        write(&root.join("etc/chromium/policies/managed/p.json"), policies);
        let computer = Computer { os: Os::Linux, homes: None, root: root.into(), search_path: OsString::new() };
        let place = Place::look(&computer, &BROWSERS[0], &root.join("profile"));
        let lines = lines(&place, "Chromium".to_owned(), &Mend::new(None));
        let itself = std::env::current_exe().unwrap();
        let text = line::render(&lines).replace(&*itself.to_string_lossy(), "NAVTRACE");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        text.replace(&*root.to_string_lossy(), "ROOT")
    }

    #[test]
    fn which_registration_counts_is_said() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let root = dir.path();
        let file = manifest::file_name();
        let binary = std::env::current_exe().unwrap();
        let ours = manifest::render(&binary).unwrap();
        write(&root.join("etc/chromium/native-messaging-hosts").join(&file), &ours);
        insta::assert_snapshot!(words(root, "{}"), @r#"
        Chromium
        ok    registration     for every user: NAVTRACE, which is this navtrace (VERSION)
        warn  registration     for every user, but ROOT is closed to other users: as root, chmod it, or run `sudo navtrace install --system`
        hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
        ok    policy           none of this computer's is in the way
        "#);
        write(&root.join("profile/NativeMessagingHosts").join(&file), &manifest::render(Path::new("/gone")).unwrap());
        insta::assert_snapshot!(words(root, "{}"), @r#"
        Chromium
        FAIL  registration     for this user: /gone is not there any more: run `navtrace install`
        ok    registration     for every user: NAVTRACE, which is this navtrace (VERSION); it does not count, because the one for this user comes first
        hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
        ok    policy           none of this computer's is in the way
        "#);
        insta::assert_snapshot!(words(root, r#"{"NativeMessagingUserLevelHosts": false}"#), @r#"
        Chromium
        hint  registration     for this user: /gone is not there any more: run `navtrace install`; it does not count, as the policy below says
        ok    registration     for every user: NAVTRACE, which is this navtrace (VERSION)
        warn  registration     for every user, but ROOT is closed to other users: as root, chmod it, or run `sudo navtrace install --system`
        hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
        ok    policy           NativeMessagingUserLevelHosts in ROOT/etc/chromium/policies/managed/p.json lets only the host count that is registered for every user
        "#);
    }

    #[test]
    fn what_policies_do_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let ours = manifest::render(&std::env::current_exe().unwrap()).unwrap();
        write(&dir.path().join("profile/NativeMessagingHosts").join(manifest::file_name()), &ours);
        let mut all = String::new();
        for policies in [
            r#"{"NativeMessagingBlocklist": ["*"], "NativeMessagingUserLevelHosts": false}"#,
            r#"{"ExtensionInstallBlocklist": ["*"], "ExtensionAllowedTypes": [], "DeveloperToolsAvailability": 2, "IncognitoModeAvailability": 2}"#,
            r#"{"ExtensionSettings": {"*": {"blocked_permissions": ["webRequest"], "runtime_blocked_hosts": ["*://a.example"]}}}"#,
            r#"{"ExtensionSettings": {"aalhdoofknlgjgclnnkjbegphicaohme": {"installation_mode": "removed"}}}"#,
            r#"{"ExtensionSettings": {"aalhdoofknlgjgclnnkjbegphicaohme": {"installation_mode": "force_installed"}}}"#,
            "{,}",
        ] {
            let words = words(dir.path(), policies);
            all.extend(words.lines().filter(|line| line.contains("policy  ")).flat_map(|line| [line, "\n"]));
        }
        insta::assert_snapshot!(all, @r#"
        FAIL  policy           NativeMessagingBlocklist in ROOT/etc/chromium/policies/managed/p.json keeps the host from being started: dev.navtrace.host must be in NativeMessagingAllowlist
        FAIL  policy           NativeMessagingUserLevelHosts in ROOT/etc/chromium/policies/managed/p.json lets only hosts count that are registered for every user: run `sudo navtrace install --system`
        FAIL  policy           ExtensionInstallBlocklist in ROOT/etc/chromium/policies/managed/p.json keeps the extension off: ExtensionSettings must allow aalhdoofknlgjgclnnkjbegphicaohme
        FAIL  policy           ExtensionAllowedTypes in ROOT/etc/chromium/policies/managed/p.json keeps all extensions off: it must list `extension`
        FAIL  policy           DeveloperToolsAvailability in ROOT/etc/chromium/policies/managed/p.json keeps developer mode off, and with it unpacked extensions: it must be allowed
        hint  policy           IncognitoModeAvailability in ROOT/etc/chromium/policies/managed/p.json has all windows off the record, so the extension must be allowed there (above)
        FAIL  policy           ExtensionSettings in ROOT/etc/chromium/policies/managed/p.json keeps the extension off, which needs webRequest: these must not be blocked for it
        warn  policy           ExtensionSettings in ROOT/etc/chromium/policies/managed/p.json keeps the extension from *://a.example: requests there go without trace context
        FAIL  policy           ExtensionSettings in ROOT/etc/chromium/policies/managed/p.json removes the extension: that must be taken out
        ok    policy           ExtensionSettings in ROOT/etc/chromium/policies/managed/p.json installs the extension, which lets it give every request a span of its own
        hint  policy           ROOT/etc/chromium/policies/managed/p.json can't be read: it is not JSON: key must be a string at line 1 column 2; chrome://policy shows what holds
        "#);
    }
}
