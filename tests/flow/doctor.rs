//! `navtrace doctor` with the real browser.

use std::ffi::OsStr;
use std::path::Path;

use crate::bench::{Bench, script_path, turn};
use crate::clients::chromium;
use crate::navtrace::{Environment, stderr, stdout};

#[test]
fn every_link_holds() {
    let _turn = turn();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).output().unwrap();
    let words = stdout(&output);
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert_eq!(lines.len(), 8, "{words}");
    assert!(lines[..7].iter().all(|line| line.starts_with("ok    ")), "{words}");
    assert!(lines[5].ends_with("detailed: a span id for every request"), "{words}");
    assert!(lines[6].contains("the server received traceparent: 00-"), "{words}");
    assert!(
        lines[7].starts_with("hint  registration     navtrace is registered in no browser of this user"),
        "{words}"
    );
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn the_mode_that_was_chosen_is_named() {
    let _turn = turn();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_MODE", "lightweight").output().unwrap();
    let words = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("  lightweight, as NAVTRACE_MODE says: a span id for every navigation\n"), "{words}");
}

#[test]
fn a_program_that_is_no_browser_fails_where_it_breaks() {
    let _turn = turn();
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo Chromium 150; echo no display >&2; exit 1");
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_BROWSER", browser).output().unwrap();
    let words = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("FAIL  browser start    the browser ended at once: no display\n"), "{words}");
    assert!(words.contains("FAIL  page load        not tried, because the browser did not start\n"), "{words}");
}

/// What the doctor says of a user data directory, with the marks alone of lines that hold, and whether it is content.
fn of_user_data(bench: &Bench, dir: &Path) -> (Option<i32>, Vec<String>) {
    let arguments = [OsStr::new("doctor"), OsStr::new("--user-data-dir"), dir.as_os_str()];
    let output = bench.environment.navtrace(arguments).output().unwrap();
    let words = stdout(&output).replace(&bench.environment.home().display().to_string(), "HOME");
    // The first one names the directory and the browser.
    let lines = words.lines().skip(1).map(ToOwned::to_owned).collect();
    (output.status.code(), lines)
}

/// Loads unpacked extensions into a profile through a real browser, which is closed again.
fn load_unpacked(bench: &Bench, dir: &Path, extensions: &[&Path], incognito: bool, off: Option<&str>) {
    let mut command = bench.without_navtrace("node");
    command.arg(script_path("unpacked.mjs")).env("BROWSER", chromium()).env("PROFILE", dir);
    command.env("EXTENSIONS", serde_json::to_string(extensions).unwrap()).env("INCOGNITO", incognito.to_string());
    let output = command.env("OFF", off.unwrap_or_default()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_a_real_profile_has_is_told() {
    const ID: &str = "aalhdoofknlgjgclnnkjbegphicaohme";
    let _turn = turn();
    let bench = Bench::new();
    let home = bench.environment.home();
    let (dir, binary) = (home.join("my profile"), home.join("navtrace"));
    std::fs::copy(env!("CARGO_BIN_EXE_navtrace"), &binary).unwrap();
    let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/extension"));

    // A browser that navtrace started has registered the host there, and had the extension by an argument.
    let mut launch = bench.without_navtrace(binary.to_str().unwrap());
    launch
        .args(["launch", "--headless", "--dump-dom", "about:blank"])
        .arg(format!("--user-data-dir={}", dir.display()));
    assert!(launch.output().unwrap().status.success());
    let (code, lines) = of_user_data(&bench, &dir);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines[0], format!("ok    registration     for this directory: HOME/navtrace ({version})"));
    let argument = format!("ok    extension        {version}, last loaded by an argument of the browser, from HOME/");
    assert!(lines[1].starts_with(&argument), "{lines:#?}");
    assert!(lines[2..].iter().all(|line| line.starts_with("ok    ")), "{lines:#?}");

    load_unpacked(&bench, &dir, &[own], true, None);
    let (code, lines) = of_user_data(&bench, &dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines.iter().all(|line| line.starts_with("ok    ")), "{lines:#?}");
    assert_eq!(lines[1], format!("ok    extension        {version}, loaded from {}", own.display()));

    load_unpacked(&bench, &dir, &[own], false, None);
    let (code, lines) = of_user_data(&bench, &dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines[2].starts_with("hint  off the record   the extension may not act"), "{lines:#?}");

    load_unpacked(&bench, &dir, &[own], true, Some(ID));
    std::fs::rename(&binary, home.join("moved")).unwrap();
    let (code, lines) = of_user_data(&bench, &dir);
    assert_eq!(code, Some(1), "{lines:#?}");
    let gone = "FAIL  registration     for this directory: HOME/navtrace is not there any more: run `navtrace install --user-data-dir 'HOME/my profile'`";
    assert_eq!(lines[0], gone);
    assert_eq!(lines[1], "FAIL  extension        turned off in chrome://extensions: by hand, so turn it on there");
}
