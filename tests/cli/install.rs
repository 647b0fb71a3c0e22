//! Tests `install/install.sh` and `install/uninstall.sh`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::navtrace::{Environment, stderr, stdout};

fn script(environment: &Environment, name: &str, args: &[&str]) -> Output {
    let path = format!("{}/install/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(path);
    for (name, value) in environment.navtrace([""; 0]).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let found = std::env::var("PATH").unwrap_or_default();
    let found = format!("{}:{found}", environment.home().join("browsers").display());
    command.args(args).env("PATH", found).env_remove("PREFIX").output().unwrap()
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_installation_works_and_can_be_removed() {
    let environment = Environment::new();
    let prefix = environment.home().join("a prefix");
    let arguments = ["--prefix", prefix.to_str().unwrap()];
    let binary = ["--binary", env!("CARGO_BIN_EXE_navtrace")];
    fs::create_dir(environment.home().join("browsers")).unwrap();
    environment.program("browsers/vivaldi", "");
    let host = environment.home().join(".config/vivaldi/NativeMessagingHosts/dev.navtrace.host.json");
    for (options, registered) in [(&["--no-browser"][..], false), (&[], true), (&[], true)] {
        let output = script(&environment, "install.sh", &[&arguments, &binary, options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(entries(&prefix.join("bin")), ["navtrace", "navtrace-chromium"]);
        assert_eq!(host.exists(), registered);
    }
    assert!(fs::read_to_string(&host).unwrap().contains("/a prefix/bin/navtrace\""));
    let browser = environment.program("chromium", "echo a browser");
    let output = Command::new(prefix.join("bin/navtrace-chromium"))
        .env("NAVTRACE_BROWSER", browser)
        .env("HOME", environment.home())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"a browser\n");

    let output = script(&environment, "uninstall.sh", &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains(&format!("removed     {}  for Vivaldi\n", host.display())), "{}", stdout(&output));
    assert_eq!(entries(&prefix.join("bin")), [""; 0]);
    assert!(!environment.home().join(".config").exists() && !environment.home().join(".local").exists());
}

#[test]
fn it_takes_the_program_of_a_release() {
    let environment = Environment::new();
    let home = environment.home().to_str().unwrap();
    let release = format!("{home}/navtrace-1.tar.gz");
    let tar = |args: &[&str]| assert!(Command::new("tar").args(args).status().unwrap().success());
    environment.program("navtrace", "echo navtrace released");
    tar(&["-czf", &release, "-C", home, "--transform", "s,^,navtrace-1/,", "navtrace"]);
    let output = script(&environment, "install.sh", &["--binary", &release, "--no-browser"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(entries(&environment.home().join(".local/bin")), ["navtrace", "navtrace-chromium"]);
    assert_eq!(entries(environment.temporary()), [""; 0]);
    let output = Command::new(environment.home().join(".local/bin/navtrace")).output().unwrap();
    assert_eq!(output.stdout, b"navtrace released\n");

    // Another program does not take its place.
    let other = environment.program("other", "echo other");
    for option in [format!("--binary={}", other.display()), "--binary=".to_owned()] {
        let output = script(&environment, "install.sh", &[&option, "--no-browser"]);
        let words = if option.ends_with('=') {
            "--binary needs a value".to_owned()
        } else {
            format!("not a navtrace that runs on this machine: {}", other.display())
        };
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), format!("install.sh: {words}\n")));
        let installed = environment.home().join(".local/bin");
        assert_eq!(entries(&installed), ["navtrace", "navtrace-chromium"]);
        assert!(fs::read_to_string(installed.join("navtrace")).unwrap().contains("released"));
    }

    fs::remove_dir_all(environment.home().join(".local")).unwrap();
    for (name, words) in [("other.tar.gz", "not a release of navtrace"), ("missing", "not a program")] {
        let other = format!("{home}/{name}");
        if name != "missing" {
            tar(&["-czf", &other, "-T", "/dev/null"]);
        }
        let output = script(&environment, "install.sh", &["--binary", &other, "--no-browser"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), format!("install.sh: {words}: {other}\n")));
        assert!(!environment.home().join(".local").exists() && entries(environment.temporary()).is_empty());
    }
}

#[test]
fn it_installs_without_a_browser() {
    let environment = Environment::new();
    // All programs that the script calls, and no browser.
    let search_path = std::env::var_os("PATH").unwrap();
    let tools = environment.home().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["bash", "cat", "chmod", "cp", "dirname", "env", "ln", "mkdir", "mv", "readlink", "rm", "sed"] {
        let found = std::env::split_paths(&search_path).map(|dir| dir.join(tool)).find(|path| path.exists());
        symlink(found.unwrap(), tools.join(tool)).unwrap();
    }
    let output = Command::new(format!("{}/install/install.sh", env!("CARGO_MANIFEST_DIR")))
        .args(["--binary", env!("CARGO_BIN_EXE_navtrace")])
        .env_clear()
        .env("HOME", environment.home())
        .env("PATH", tools)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("\nnavtrace: no browser was found: "), "{}", stderr(&output));
    assert!(stderr(&output).contains("\nnavtrace run works all the same; "), "{}", stderr(&output));
    assert!(environment.home().join(".local/bin/navtrace").exists());
}

#[test]
fn files_of_others_are_kept() {
    let environment = Environment::new();
    let prefix = environment.home().join("prefix");
    fs::create_dir_all(prefix.join("bin")).unwrap();
    fs::write(prefix.join("bin/navtrace-chromium"), "someone else's").unwrap();
    let arguments = ["--prefix", prefix.to_str().unwrap()];
    let output =
        script(&environment, "install.sh", &[&arguments[..], &["--binary", env!("CARGO_BIN_EXE_navtrace")]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("exists and is not a link to navtrace: please move it away"));
    let output = script(&environment, "uninstall.sh", &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(entries(&prefix.join("bin")), ["navtrace-chromium"]);
}
