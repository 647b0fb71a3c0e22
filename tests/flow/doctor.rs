//! Tests `navtrace doctor` with the real browser.

use std::ffi::OsStr;
use std::path::Path;

use crate::browser_test::{BrowserTest, beside_others, chromium, is_root, script_path};
use crate::navtrace::{Environment, copy_binary, stderr, stdout};

#[test]
fn every_check_passes() {
    let _guard = beside_others();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).output().unwrap();
    let report = stdout(&output);
    let (report, disk) = report.split_once("\n\nOn the disk\n").unwrap();
    // Root has no sandbox.
    let sandbox = if is_root() { "warn  sandbox          running as root" } else { "ok    sandbox  " };
    let (sandboxes, lines): (Vec<&str>, Vec<&str>) = report.lines().partition(|line| line.contains("  sandbox  "));
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(sandboxes.len() == 1 && sandboxes[0].starts_with(sandbox), "{report}");
    assert_eq!(lines.len(), 8, "{report}");
    assert!(disk.starts_with("ok    extensions       1 item "), "{disk}");
    assert!(lines[..7].iter().all(|line| line.starts_with("ok    ")), "{report}");
    assert!(lines[5].ends_with("detailed: a span id for every request"), "{report}");
    assert!(lines[6].contains("the server received traceparent: 00-"), "{report}");
    assert!(
        lines[7].starts_with("hint  registration     navtrace is registered in no browser of this user"),
        "{report}"
    );
    assert_eq!(environment.left_behind(), [""; 0]);
}

#[test]
fn the_chosen_mode_is_named() {
    let _guard = beside_others();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_MODE", "lightweight").output().unwrap();
    let report = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.contains("  lightweight, as NAVTRACE_MODE says: a span id for every navigation\n"), "{report}");
}

#[test]
fn a_program_that_is_no_browser_fails() {
    let _guard = beside_others();
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo Chromium 150; echo no display >&2; exit 1");
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_BROWSER", browser).output().unwrap();
    let report = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("FAIL  browser start    the browser ended at once: no display\n"), "{report}");
    assert!(report.contains("FAIL  page load        not tried, because the browser did not start\n"), "{report}");
}

/// Returns the doctor's exit code and its lines on a user data directory.
fn of_user_data(test: &BrowserTest, dir: &Path) -> (Option<i32>, Vec<String>) {
    let arguments = [OsStr::new("doctor"), OsStr::new("--user-data-dir"), dir.as_os_str()];
    let output = test.environment.navtrace(arguments).output().unwrap();
    let report = stdout(&output).replace(&test.environment.home().display().to_string(), "HOME");
    // The first line names the directory and the browser.
    let lines = report.lines().skip(1).map(ToOwned::to_owned).collect();
    (output.status.code(), lines)
}

/// Loads unpacked extensions into a profile by a real browser.
fn load_unpacked(test: &BrowserTest, dir: &Path, extensions: &[&Path], incognito: bool, off: Option<&str>) {
    let mut command = test.without_navtrace("node");
    command.arg(script_path("unpacked.mjs")).env("BROWSER", chromium()).env("PROFILE", dir);
    command.env("EXTENSIONS", serde_json::to_string(extensions).unwrap()).env("INCOGNITO", incognito.to_string());
    let output = command.env("OFF", off.unwrap_or_default()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_real_profile_is_described() {
    const ID: &str = "aalhdoofknlgjgclnnkjbegphicaohme";
    let _guard = beside_others();
    let test = BrowserTest::new();
    let home = test.environment.home();
    let (dir, binary) = (home.join("my profile"), home.join("navtrace"));
    copy_binary(&binary);
    let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/extension"));

    // A launched browser gets the host registered there and the extension by an argument.
    let mut launch = test.without_navtrace(binary.to_str().unwrap());
    launch
        .args(["launch", "--headless", "--dump-dom", "about:blank"])
        .arg(format!("--user-data-dir={}", dir.display()));
    assert!(launch.output().unwrap().status.success());
    let (code, lines) = of_user_data(&test, &dir);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines[0], format!("ok    registration     for this directory: HOME/navtrace ({version})"));
    let argument = format!("ok    extension        {version}, last loaded by an argument of the browser, from HOME/");
    assert!(lines[1].starts_with(&argument), "{lines:#?}");
    assert!(lines[2..].iter().all(|line| line.starts_with("ok    ")), "{lines:#?}");

    load_unpacked(&test, &dir, &[own], true, None);
    let (code, lines) = of_user_data(&test, &dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines.iter().all(|line| line.starts_with("ok    ")), "{lines:#?}");
    assert_eq!(lines[1], format!("ok    extension        {version}, loaded from {}", own.display()));

    let rival = home.join("rival");
    std::fs::create_dir(&rival).unwrap();
    std::fs::write(rival.join("manifest.json"), r#"{"manifest_version": 3, "name": "A rival", "version": "1"}"#)
        .unwrap();
    std::fs::write(rival.join("rules.json"), r#"[{"header": "traceparent"}]"#).unwrap();
    load_unpacked(&test, &dir, &[own, &rival], false, None);
    let (code, lines) = of_user_data(&test, &dir);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines[2].starts_with("hint  Incognito        the extension is not allowed"), "{lines:#?}");

    load_unpacked(&test, &dir, &[own], true, Some(ID));
    std::fs::rename(&binary, home.join("moved")).unwrap();
    let (code, lines) = of_user_data(&test, &dir);
    assert_eq!(code, Some(1), "{lines:#?}");
    let gone = "FAIL  registration     for this directory: HOME/navtrace is not there any more: run `navtrace install --user-data-dir 'HOME/my profile'`";
    assert_eq!(lines[0], gone);
    assert_eq!(lines[1], "FAIL  extension        turned off in chrome://extensions: by hand, so turn it on there");
}
