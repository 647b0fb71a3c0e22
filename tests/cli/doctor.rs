//! Tests `navtrace doctor` for browsers that navtrace does not start, with made-up registrations and profiles and without any browser.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::json;

use crate::navtrace::{Environment, stdout};

/// Last line of the launcher's checks without a browser.
const CHAIN_END: &str = "page load        not tried: fix the problems above first\n";

const ID: &str = "aalhdoofknlgjgclnnkjbegphicaohme";

/// The extension's folder in the repository, which has the same content as the embedded one.
const EXTENSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/extension");

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Registers a program as the host below a user data directory.
fn register(user_data: &Path, program: &Path) {
    let manifest = json!({
        "name": "dev.navtrace.host",
        "path": program,
        "type": "stdio",
        "allowed_origins": [format!("chrome-extension://{ID}/")],
    });
    write(&user_data.join("NativeMessagingHosts/dev.navtrace.host.json"), &manifest.to_string());
}

/// Writes preferences with extensions, as Chromium does.
fn preferences(profile: &Path, extensions: &serde_json::Value) {
    let preferences = json!({"extensions": {"settings": extensions, "ui": {"developer_mode": true}}});
    write(&profile.join("Preferences"), &preferences.to_string());
}

/// Runs the doctor without any browser. Returns its exit code and its report, in which paths that differ from run to run are replaced.
fn doctor(environment: &Environment, args: &[&Path]) -> (i32, String) {
    let mut command = environment.navtrace(["doctor"]);
    let output = command.args(args).env("PATH", environment.home()).output().unwrap();
    // What is on the disk is for other tests.
    let report = stdout(&output);
    let report = report.split("\nOn the disk\n").next().unwrap();
    let report = report
        .replace(env!("CARGO_BIN_EXE_navtrace"), "NAVTRACE")
        .replace(EXTENSION, "EXTENSION")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
        .replace(&environment.home().display().to_string(), "HOME");
    (output.status.code().unwrap(), report)
}

#[test]
fn a_missing_registration_is_reported() {
    let (code, report) = doctor(&Environment::new(), &[]);
    assert_eq!(code, 1, "there is no browser");
    let (_, installed) = report.split_once(CHAIN_END).unwrap();
    assert_snapshot!(installed, @"hint  registration     navtrace is registered in no browser of this user, which `navtrace run` does not need; for a browser that you start yourself: `navtrace install`");
}

#[test]
fn every_browser_with_navtrace_in_it_is_listed() {
    let environment = Environment::new();
    let config = environment.home().join(".config");
    register(&config.join("chromium"), Path::new(env!("CARGO_BIN_EXE_navtrace")));
    preferences(
        &config.join("chromium/Default"),
        &json!({
            ID: {"location": 4, "path": EXTENSION, "disable_reasons": [], "incognito": true},
        }),
    );
    preferences(
        &config.join("chromium/Profile 1"),
        &json!({ID: {"location": 4, "path": "/gone", "disable_reasons": [1]}}),
    );
    write(&config.join("google-chrome/NativeMessagingHosts/dev.navtrace.host.json"), r#"{"name": "theirs"}"#);
    register(&config.join("BraveSoftware/Brave-Browser"), &environment.program("older", "echo navtrace 0.0.9"));
    preferences(
        &config.join("BraveSoftware/Brave-Browser/Default"),
        &json!({ID: {"location": 4, "path": EXTENSION, "disable_reasons": 0}}),
    );
    register(&config.join("microsoft-edge"), &environment.home().join("moved away"));
    register(&config.join("vivaldi"), &environment.program("something", "echo else"));
    preferences(
        &config.join("vivaldi/Default"),
        &json!({ID: {"location": 4, "path": EXTENSION, "disable_reasons": [65536, 16_777_216]}}),
    );
    let (code, report) = doctor(&environment, &[]);
    assert_eq!(code, 1);
    let (_, installed) = report.split_once(CHAIN_END).unwrap();
    assert_snapshot!(installed, @r#"

    Chromium (HOME/.config/chromium)
    ok    registration     for this user: NAVTRACE, which is this navtrace (VERSION)
    ok    extension        profile Default: VERSION, loaded from EXTENSION
    ok    Incognito        profile Default: the extension is allowed in Incognito
    FAIL  extension        profile Profile 1: /gone, where it was loaded from, holds no navtrace extension: No such file or directory (os error 2); run `navtrace install` and do what it says
    ok    policy           no policy file of this computer mentions extensions

    Google Chrome (HOME/.config/google-chrome)
    FAIL  registration     for this user: HOME/.config/google-chrome/NativeMessagingHosts/dev.navtrace.host.json is not navtrace's, so the extension has no host: move that file away, then run `navtrace install`
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
    ok    policy           no policy file of this computer mentions extensions

    Brave (HOME/.config/BraveSoftware/Brave-Browser)
    warn  registration     for this user: HOME/older is navtrace 0.0.9, and this one is VERSION: run `navtrace install` with the version that you want to use
    FAIL  extension        EXTENSION has version VERSION, but the host is 0.0.9: run `navtrace install` and do what it says, then reload the extension in chrome://extensions
    ok    policy           no policy file of this computer mentions extensions

    Microsoft Edge (HOME/.config/microsoft-edge)
    FAIL  registration     for this user: HOME/moved away is not there any more: run `navtrace install`
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install` says how to load it
    ok    policy           no policy file of this computer mentions extensions

    Vivaldi (HOME/.config/vivaldi)
    FAIL  registration     for this user: HOME/something does not say by `--version` that it is navtrace: run `navtrace install`
    FAIL  extension        turned off in chrome://extensions: by a policy (see chrome://policy); developer mode is off, so turn that on there
    ok    policy           no policy file of this computer mentions extensions
    "#);
}

#[test]
fn a_user_data_directory_is_checked_alone() {
    let environment = Environment::new();
    let dir = environment.home().join("a profile");
    let (code, report) = doctor(&environment, &[Path::new("--user-data-dir"), &dir]);
    assert_eq!(code, 1);
    assert_snapshot!(report, @"FAIL  profile          HOME/a profile is not a directory: `navtrace profile 'HOME/a profile'` prepares one");

    fs::create_dir(&dir).unwrap();
    let (code, report) = doctor(&environment, &[Path::new("--user-data-dir"), &dir]);
    assert_eq!(code, 1);
    assert_snapshot!(report, @r#"
    HOME/a profile (with Chromium)
    FAIL  registration     no host is registered, so the extension would work alone, without spans: run `navtrace install --user-data-dir 'HOME/a profile'`
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install --user-data-dir 'HOME/a profile'` says how to load it
    ok    policy           no policy file of this computer mentions extensions
    "#);

    // Prepared for a browser that gets the extension by an argument.
    register(&dir, Path::new(env!("CARGO_BIN_EXE_navtrace")));
    preferences(&dir.join("Default"), &json!({ID: {"incognito": true}}));
    let (code, report) = doctor(&environment, &[Path::new("--user-data-dir"), &dir]);
    assert_eq!(code, 0);
    assert_snapshot!(report, @r#"
    HOME/a profile (with Chromium)
    ok    registration     for this directory: NAVTRACE, which is this navtrace (VERSION)
    hint  extension        not loaded in any profile, unless an argument of the browser does it; `navtrace install --user-data-dir 'HOME/a profile'` says how to load it
    ok    Incognito        the extension is allowed in Incognito
    ok    policy           no policy file of this computer mentions extensions
    "#);
}
