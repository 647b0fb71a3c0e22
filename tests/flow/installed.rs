//! A browser that a person starts: `navtrace install`, the unpacked extension, a page, `navtrace uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, is_root, traceparent, turn};
use crate::browser::{Browser, hosts, wait_until};
use crate::navtrace::{stderr, stdout};

/// The trace that the browser's environment names. The extension can't know of it but from the host.
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Runs a command of navtrace's, which has to succeed, and gives what it says.
fn successful(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, stdout(&output), stderr(&output));
    stdout(&output)
}

/// The folder that `navtrace install` says is to be loaded.
fn folder(words: &str) -> PathBuf {
    let line = words.lines().find_map(|line| line.split_once("Load unpacked\" and this folder: "));
    line.unwrap_or_else(|| panic!("no folder is named:\n{words}")).1.into()
}

/// A command of Chromium, as a person would call it who has installed navtrace.
fn chromium(mut command: Command, extension: &Path) -> Command {
    command.args(["--no-sandbox"].iter().filter(|_| is_root())).arg("--disable-background-networking");
    command.arg(format!("--load-extension={}", extension.display()));
    command.env("TRACEPARENT", format!("00-{TRACE_ID}-b7ad6b7169203331-01"));
    command
}

/// Starts Chromium on a profile and loads pages: each request must carry the trace that only the host knows of.
fn assert_traced(profile: PathBuf, command: Command, bench: &Bench) {
    let browser = Browser::start_on(profile, command, bench);
    browser.until_armed();
    let requests = browser.load_two_pages();
    let traces: BTreeSet<_> = requests.iter().map(|request| traceparent(request).trace_id).collect();
    assert_eq!(traces, BTreeSet::from([TRACE_ID.to_owned()]));
    drop(browser);
    wait_until("the host ends", || hosts(bench).is_empty());
}

/// Everything in a folder, but for what is below one of these.
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

/// Asserts that nothing is left at home but what Chromium itself writes there, whatever its profile is.
fn assert_chromiums_alone(home: &Path, profile: &Path) {
    let own = [".cache", ".pki", ".config/dconf", ".config/chromium"].map(|path| home.join(path));
    let without: Vec<&Path> = own.iter().map(PathBuf::as_path).chain([profile]).collect();
    // The home was empty before.
    assert_eq!(tree(home, &without), BTreeSet::from([home.join(".config")]));
}

#[test]
fn a_user_installs_loads_browses_and_uninstalls() {
    let _turn = turn();
    let bench = Bench::new();
    let home = bench.environment.home();
    let profile = home.join(".config/chromium");

    let extension = folder(&successful(bench.environment.navtrace(["install", "chromium"])));
    assert_traced(profile.clone(), chromium(bench.without_navtrace("chromium"), &extension), &bench);
    successful(bench.environment.navtrace(["uninstall"]));

    assert!(!profile.join("NativeMessagingHosts").exists());
    assert_chromiums_alone(home, &profile);
}

#[test]
fn one_profile_is_registered_alone() {
    let _turn = turn();
    let bench = Bench::new();
    let home = bench.environment.home();
    let profile = home.join("Jürgens Profil");
    fs::create_dir(&profile).unwrap();
    let profile_argument = profile.to_str().unwrap();

    let install = bench.environment.navtrace(["install", "--user-data-dir", profile_argument]);
    let extension = folder(&successful(install));
    assert_traced(profile.clone(), chromium(bench.without_navtrace("chromium"), &extension), &bench);
    successful(bench.environment.navtrace(["uninstall", "--user-data-dir", profile_argument]));

    assert!(!profile.join("NativeMessagingHosts").exists());
    assert_chromiums_alone(home, &profile);
}

/// A program that sees folders of the bench's in the place of the system's, in a mount namespace of its own: no other browser of this machine
/// meets the registration, and nothing has to be taken back. This needs `unshare`, and either root or a kernel that lets users have namespaces.
fn on_a_system(bench: &Bench, system: &Path, command: &Command) -> Command {
    let mut wrapped = bench.without_navtrace("unshare");
    wrapped.arg("--mount").args((!is_root()).then_some("--map-root-user"));
    let mounts = r#"mount --bind "$0/etc" /etc/chromium && mount --bind "$0/share" /usr/local/share && exec "$@""#;
    wrapped.args(["sh", "-c", mounts]).arg(system).arg(command.get_program()).args(command.get_args());
    wrapped
}

#[test]
fn all_users_have_it_whatever_profile_they_use() {
    let _turn = turn();
    let bench = Bench::new();
    let system = bench.environment.home().join("system");
    for folder in ["etc", "share"] {
        fs::create_dir_all(system.join(folder)).unwrap();
    }
    let before = tree(&system, &[]);
    let navtrace = |args: &[&str]| on_a_system(&bench, &system, &bench.environment.navtrace(args));

    let words = successful(navtrace(&["install", "--system", "chromium"]));
    assert!(
        words.contains("registered  /etc/chromium/native-messaging-hosts/dev.navtrace.host.json  for Chromium\n"),
        "{words}"
    );
    let extension = folder(&words);
    assert_eq!(extension, Path::new("/usr/local/share/navtrace/extension"));
    for path in tree(&system, &[]).difference(&before) {
        let data = fs::metadata(path).unwrap();
        let wanted = if data.is_dir() { 0o755 } else { 0o644 };
        assert_eq!(data.permissions().mode() & 0o777, wanted, "{}", path.display());
    }

    let profile = bench.environment.home().join("profile of one user");
    let browser = chromium(bench.without_navtrace("chromium"), &extension);
    let mut command = on_a_system(&bench, &system, &browser);
    command.envs(browser.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args((!is_root()).then_some("--no-sandbox"));
    assert_traced(profile, command, &bench);

    let words = successful(navtrace(&["uninstall", "--system"]));
    assert!(words.contains("removed     /usr/local/share/navtrace/extension  "), "{words}");
    assert_eq!(tree(&system, &[]), before);
}

#[test]
fn a_home_that_is_read_only_stays_as_it_is() {
    let _turn = turn();
    let bench = Bench::new();
    let home = bench.environment.home();
    for dry in [None, Some("--dry-run")] {
        let mut command = bench.without_navtrace("unshare");
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
