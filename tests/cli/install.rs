//! `install/install.sh` and `install/uninstall.sh`.

use std::path::Path;
use std::process::{Command, Output};

use crate::navtrace::{Environment, stderr};

fn script(environment: &Environment, name: &str, args: &[&str]) -> Output {
    let path = format!("{}/install/{name}", env!("CARGO_MANIFEST_DIR"));
    Command::new(path).args(args).env("HOME", environment.home()).env_remove("PREFIX").output().unwrap()
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_installed_works_and_is_taken_away_again() {
    let environment = Environment::new();
    let prefix = environment.home().join("a prefix");
    let arguments = ["--prefix", prefix.to_str().unwrap()];
    let binary = ["--binary", env!("CARGO_BIN_EXE_navtrace")];
    for _ in 0..2 {
        let output = script(&environment, "install.sh", &[arguments, binary].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(entries(&prefix.join("bin")), ["navtrace", "navtrace-chromium"]);
    }
    let browser = environment.program("chromium", "echo a browser");
    let output = Command::new(prefix.join("bin/navtrace-chromium"))
        .env("NAVTRACE_BROWSER", browser)
        .env("HOME", environment.home())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"a browser\n");

    let output = script(&environment, "uninstall.sh", &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(entries(&prefix.join("bin")), [""; 0]);
}

#[test]
fn what_is_not_ours_is_left() {
    let environment = Environment::new();
    let prefix = environment.home().join("prefix");
    std::fs::create_dir_all(prefix.join("bin")).unwrap();
    std::fs::write(prefix.join("bin/navtrace-chromium"), "someone else's").unwrap();
    let arguments = ["--prefix", prefix.to_str().unwrap()];
    let output =
        script(&environment, "install.sh", &[&arguments[..], &["--binary", env!("CARGO_BIN_EXE_navtrace")]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("exists and is not a link to navtrace: please move it away"));
    let output = script(&environment, "uninstall.sh", &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(entries(&prefix.join("bin")), ["navtrace-chromium"]);
}
