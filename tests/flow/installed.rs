//! Tests a browser that a person starts: `navtrace install`, the unpacked extension, a page, `navtrace uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser::{Browser, hosts, wait_until};
use crate::browser_test::{BrowserTest, Run, beside_others, is_root, script_path, traceparent};
use crate::navtrace::{Environment, stderr, stdout};
use crate::support::reserved_port::ReservedPort;
use crate::support::site::Recorded;

/// The trace in the browser's environment. The extension can know it only from the host.
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Runs a command that must succeed, and returns its standard output.
fn successful(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, stdout(&output), stderr(&output));
    stdout(&output)
}

/// Returns the folder of the extension that `navtrace install` prints.
fn folder(printed: &str) -> PathBuf {
    let line = printed.lines().find_map(|line| line.split_once("Load unpacked\" and this folder: "));
    line.unwrap_or_else(|| panic!("no folder is named:\n{printed}")).1.into()
}

/// Adapts a command of Chromium to what a person does who has installed navtrace.
fn chromium(mut command: Command, extension: &Path) -> Command {
    command.args(["--no-sandbox"].iter().filter(|_| is_root())).arg("--disable-background-networking");
    command.arg(format!("--load-extension={}", extension.display()));
    command.env("TRACEPARENT", format!("00-{TRACE_ID}-b7ad6b7169203331-01"));
    command
}

/// Starts Chromium on a profile, loads pages, and asserts that each request carries the trace that only the host knows.
fn assert_traced(profile: PathBuf, mut command: Command, test: &BrowserTest) {
    // A page that loads before the host has answered can keep the extension from taking the host's trace. The journal of spans to export shows
    // the answer. It is not in the home, where only files of Chromium itself may be left.
    let (state, dead) = (test.environment.temporary().join("state"), ReservedPort::new());
    command.env("XDG_STATE_HOME", &state);
    command.envs(Environment::exporting(&format!("http://127.0.0.1:{}", dead.number())));
    let browser = Browser::start_on(profile, command, test);
    let journals = state.join("navtrace/sessions");
    wait_until("the host answers", || fs::read_dir(&journals).is_ok_and(|files| files.count() > 0));
    browser.until_armed();
    let requests = browser.load_two_pages();
    let traces: BTreeSet<_> = requests.iter().map(|request| traceparent(request).trace_id).collect();
    assert_eq!(traces, BTreeSet::from([TRACE_ID.to_owned()]));
    drop(browser);
    wait_until("the host ends", || hosts(test).is_empty());
}

/// Lists everything below a folder except these folders.
fn tree(base: &Path, without: &[&Path]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if without.contains(&entry.path().as_path()) {
                continue;
            }
            found.insert(entry.path());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

/// Asserts that the home has only files that Chromium itself writes.
fn assert_chromiums_alone(home: &Path, profile: &Path) {
    let own = [".cache", ".pki", ".config/dconf", ".config/chromium"].map(|path| home.join(path));
    let without: Vec<&Path> = own.iter().map(PathBuf::as_path).chain([profile]).collect();
    assert_eq!(tree(home, &without), BTreeSet::from([home.join(".config")]));
}

#[test]
fn a_user_installs_loads_browses_and_uninstalls() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let home = test.environment.home();
    let profile = home.join(".config/chromium");

    let extension = folder(&successful(test.environment.navtrace(["install", "chromium"])));
    assert_traced(profile.clone(), chromium(test.without_navtrace("chromium"), &extension), &test);
    successful(test.environment.navtrace(["uninstall"]));

    assert!(!profile.join("NativeMessagingHosts").exists());
    assert_chromiums_alone(home, &profile);
}

#[test]
fn one_profile_is_registered_alone() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let home = test.environment.home();
    let profile = home.join("Jürgens Profil");
    fs::create_dir(&profile).unwrap();
    let profile_argument = profile.to_str().unwrap();

    let install = test.environment.navtrace(["install", "--user-data-dir", profile_argument]);
    let extension = folder(&successful(install));
    assert_traced(profile.clone(), chromium(test.without_navtrace("chromium"), &extension), &test);
    successful(test.environment.navtrace(["uninstall", "--user-data-dir", profile_argument]));

    assert!(!profile.join("NativeMessagingHosts").exists());
    assert_chromiums_alone(home, &profile);
}

/// Returns the content of all files that navtrace has written to its state directory.
fn stored(test: &BrowserTest) -> Vec<u8> {
    let files = tree(&test.environment.home().join(".local/state/navtrace"), &[]);
    files.iter().filter(|path| path.is_file()).flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Returns the requests of a step, without those that wait for the rules.
fn requests<'a>(run: &'a Run, nav: &'a str) -> impl Iterator<Item = &'a Recorded> {
    run.requests.iter().filter(move |request| request.nav.as_deref() == Some(nav) && request.label() != "settling")
}

#[test]
fn incognito_windows_have_traces_apart_and_leave_nothing() {
    let _guard = beside_others();
    for (setting, value) in [("NAVTRACE_LOG", "warn"), ("NAVTRACE_SCOPE", "session"), ("NAVTRACE_INCOGNITO", "export")]
    {
        let test = BrowserTest::new();
        let dead = ReservedPort::new();
        let profile = test.environment.home().join("profile");
        fs::create_dir(&profile).unwrap();
        let install = test.environment.navtrace(["install", "--user-data-dir", profile.to_str().unwrap()]);
        let extension = folder(&successful(install));
        let mut command = test.without_navtrace("node");
        command.arg(script_path("own-browser.mjs")).env("SITE", test.site.main());
        command.env("PROFILE", &profile).env("EXTENSION", extension).env(setting, value);
        command.envs(Environment::exporting(&format!("http://127.0.0.1:{}", dead.number())));
        let run = test.run(command);
        wait_until("the host ends", || hosts(&test).is_empty());

        let trace = |nav: &str| {
            let traces: BTreeSet<_> = requests(&run, nav).map(|request| traceparent(request).trace_id).collect();
            let [trace] = traces.iter().collect::<Vec<_>>()[..] else { panic!("{setting}: {nav}: {traces:?}") };
            trace.clone()
        };
        let regular = ["regular-1", "regular-2", "regular-3"].map(trace);
        let distinct = BTreeSet::from(regular.clone()).len();
        assert_eq!(distinct, if setting == "NAVTRACE_SCOPE" { 1 } else { 3 }, "{setting}: {regular:?}");
        let secret = ["secret-1", "secret-2"].map(trace);
        assert!(secret[0] != secret[1] && secret.iter().all(|trace| !regular.contains(trace)), "{setting}: {secret:?}");
        // The browser does not say to which kind of window a worker belongs, so once there was an Incognito window, none has a context.
        let worker = |nav: &str| {
            let fetched = requests(&run, nav).filter(|request| request.label() == "shared-worker-fetch");
            fetched.map(|request| request.traceparent.len()).collect::<Vec<_>>()
        };
        assert_eq!((worker("secret-worker"), worker("regular-worker")), (vec![0], vec![0]), "{setting}");

        let stored = stored(&test);
        let holds = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds("nav=regular-1"), "{setting}");
        assert_eq!(holds("nav=secret-"), setting == "NAVTRACE_INCOGNITO", "{setting}");
    }
}

/// Wraps a command so that it sees the test's folders instead of the system's, in a mount namespace. No other browser of the machine finds the
/// registration. Needs `unshare`, and root or user namespaces.
fn on_a_system(test: &BrowserTest, system: &Path, command: &Command) -> Command {
    let mut wrapped = test.without_navtrace("unshare");
    wrapped.arg("--mount").args((!is_root()).then_some("--map-root-user"));
    let mounts = r#"mount --bind "$0/etc" /etc/chromium && mount --bind "$0/share" /usr/local/share && exec "$@""#;
    wrapped.args(["sh", "-c", mounts]).arg(system).arg(command.get_program()).args(command.get_args());
    wrapped
}

#[test]
fn a_system_installation_serves_every_profile() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let system = test.environment.home().join("system");
    for folder in ["etc", "share"] {
        fs::create_dir_all(system.join(folder)).unwrap();
    }
    let before = tree(&system, &[]);
    let navtrace = |args: &[&str]| on_a_system(&test, &system, &test.environment.navtrace(args));

    let printed = successful(navtrace(&["install", "--system", "chromium"]));
    assert!(
        printed.contains("registered  /etc/chromium/native-messaging-hosts/dev.navtrace.host.json  for Chromium\n"),
        "{printed}"
    );
    let extension = folder(&printed);
    assert_eq!(extension, Path::new("/usr/local/share/navtrace/extension"));
    for path in tree(&system, &[]).difference(&before) {
        let data = fs::metadata(path).unwrap();
        let wanted = if data.is_dir() { 0o755 } else { 0o644 };
        assert_eq!(data.permissions().mode() & 0o777, wanted, "{}", path.display());
    }

    let profile = test.environment.home().join("profile of one user");
    let browser = chromium(test.without_navtrace("chromium"), &extension);
    let mut command = on_a_system(&test, &system, &browser);
    command.envs(browser.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args((!is_root()).then_some("--no-sandbox"));
    assert_traced(profile, command, &test);

    let printed = successful(navtrace(&["uninstall", "--system"]));
    assert!(printed.contains("removed     /usr/local/share/navtrace/extension  "), "{printed}");
    assert_eq!(tree(&system, &[]), before);
}

#[test]
fn a_read_only_home_is_reported_and_unchanged() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let home = test.environment.home();
    for dry in [None, Some("--dry-run")] {
        let mut command = test.without_navtrace("unshare");
        command.arg("--mount").args((!is_root()).then_some("--map-root-user"));
        let mounts = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
        command.args(["sh", "-c", mounts]).arg(home).arg(env!("CARGO_BIN_EXE_navtrace")).args(["install", "chromium"]);
        let output = command.args(dry).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let sentence = "can't be written: Read-only file system (os error 30), so Chromium is not registered: fix that and run \
                        navtrace install again";
        assert_eq!(stderr(&output), format!("navtrace: {} {sentence}\n", home.display()));
    }
    assert_eq!(tree(home, &[]), BTreeSet::new());
}
