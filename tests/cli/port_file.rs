//! Tests the gate for clients that look for the browser's port in the file `DevToolsActivePort` of the profile.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::gated::GatedBrowser;

const LINE: &str = "DevTools listening on ws://127.0.0.1:9/devtools/browser/x\n";
const CONTENT: &str = "9\n/devtools/browser/x";
const PORT: &str = "--remote-debugging-port=";

/// A profile with the file of an earlier browser.
struct Profile(TempDir);

impl Profile {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("DevToolsActivePort"), "1\n/devtools/browser/earlier").unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("DevToolsActivePort")
    }

    /// Launches a script in which `LISTEN` prints where the browser listens. Returns it with the port that it was given.
    fn launch(&self, script: &str, arm_timeout: &str) -> (GatedBrowser, u16) {
        let script = format!("echo \"$1\"; {}", script.replace("LISTEN", &format!("printf '{LINE}' >&2")));
        let profile = format!("--user-data-dir={}", self.0.path().display());
        let mut gated = GatedBrowser::start(&script, &[&format!("{PORT}0"), &profile], |command| {
            command.env("NAVTRACE_ARM_TIMEOUT", arm_timeout);
        });
        let port = gated.read_line().strip_prefix(PORT).unwrap().parse().unwrap();
        (gated, port)
    }
}

/// Waits until the file has this content.
fn assert_becomes(file: &Path, content: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(file).ok().as_deref() != Some(content) {
        assert!(Instant::now() < deadline, "{} has not become {content:?}", file.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_file_is_there_once_the_gate_is_open() {
    let profile = Profile::new();
    let (mut gated, port) = profile.launch("LISTEN; echo listening; read go", "1m");
    assert_ne!(port, 0, "a browser that chooses its port would write the file itself");
    assert_eq!(gated.read_line(), "listening");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!profile.file().exists());
    gated.open_gate();
    assert_eq!(gated.read_stderr_line(), LINE);
    assert_eq!(fs::read_to_string(profile.file()).unwrap(), CONTENT, "a client may read both");
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn the_file_of_a_browser_that_listens_late_is_there_too() {
    let profile = Profile::new();
    let (mut gated, _) = profile.launch("read go; LISTEN; read go", "1m");
    gated.open_gate();
    gated.continue_script();
    assert_becomes(&profile.file(), CONTENT);
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn the_file_is_there_after_the_gate_has_given_up() {
    let profile = Profile::new();
    let (mut gated, _) = profile.launch("LISTEN; read go", "500ms");
    assert_becomes(&profile.file(), CONTENT);
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn a_killed_browser_and_a_killed_relay_leave_a_profile_as_for_a_new_browser() {
    let profile = Profile::new();
    for relay_first in [false, true] {
        let (gated, _) = profile.launch("LISTEN; echo listening; read go", "1m");
        if relay_first {
            kill(gated.relay());
        }
        kill(gated.id());
        gated.assert_killed();
        assert!(!profile.file().exists(), "{relay_first}");
    }
    let (mut gated, _) = profile.launch("LISTEN; read go", "1m");
    gated.open_gate();
    assert_becomes(&profile.file(), CONTENT);
    gated.continue_script();
    gated.assert_ends();
}

fn kill(id: u32) {
    kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_file_of_a_browser_that_uses_the_profile_stays() {
    let profile = Profile::new();
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    symlink(format!("{own}-{}", std::process::id()), profile.0.path().join("SingletonLock")).unwrap();
    let socket = profile.0.path().join("SingletonSocket");
    let _listener = UnixListener::bind(profile.0.path().join("socket")).unwrap();
    symlink("socket", socket).unwrap();
    let (mut gated, port) = profile.launch("read go", "1m");
    assert_eq!(port, 0);
    assert_eq!(fs::read_to_string(profile.file()).unwrap(), "1\n/devtools/browser/earlier");
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn a_profile_whose_file_cannot_be_held_back_is_named() {
    let profile = Profile::new();
    fs::remove_file(profile.file()).unwrap();
    fs::create_dir(profile.file()).unwrap();
    let (mut gated, port) = profile.launch("LISTEN; read go", "1m");
    assert_eq!(port, 0);
    let warning = gated.read_stderr_line();
    let name = profile.0.path().display();
    assert!(warning.contains("can't be held back") && warning.contains(&format!("finds it in {name} ")), "{warning}");
    gated.open_gate();
    assert_eq!(gated.read_stderr_line(), LINE);
    gated.continue_script();
    gated.assert_ends();
}
