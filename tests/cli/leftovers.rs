//! Tests that what killed processes and other builds leave behind is removed by a later start, and that nothing is removed that is still used.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::launch::{assert_gone, launch};
use crate::navtrace::{Environment, stderr, stdout};

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the kinds of the directories that were left behind, such as `profile`.
fn kinds(environment: &Environment) -> Vec<String> {
    let names = environment.left_behind();
    let kind = |name: &String| name.split('-').nth(1).unwrap().to_owned();
    let mut kinds: Vec<String> = names.iter().map(kind).collect();
    kinds.sort();
    kinds
}

fn run(environment: &Environment) {
    let mut command = environment.navtrace(["run", "--", "true"]);
    let output = command.env("NAVTRACE_BROWSER", environment.home().join("chromium")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn directories_of_killed_processes_are_removed_once_nobody_uses_them() {
    for (mode, directories) in [("lightweight", ["gate", "profile"]), ("static", ["profile", "static"])] {
        let environment = Environment::new();
        let mut command = launch(&environment, "read _", &["--no-sandbox"]);
        let mut browser = command.env("NAVTRACE_MODE", mode).stdin(Stdio::piped()).spawn().unwrap();
        let id = browser.id().to_string();
        // The process beside the browser, once the launcher has become the browser.
        let mut beside = None;
        wait_until("the browser starts", || {
            let processes = environment.processes();
            let others: Vec<_> = processes.iter().filter_map(|process| process.split_once(' ')).collect();
            beside = others.iter().find(|(other, _)| *other != id).map(|(other, _)| (*other).to_owned());
            others.iter().any(|(other, name)| *other == id && *name == "chromium") && beside.is_some()
        });
        kill(&beside.unwrap());
        wait_until("the browser is alone", || environment.processes().len() == 1);
        run(&environment);
        assert_eq!(kinds(&environment), directories, "the browser still uses them");
        let mut command = environment.navtrace(["run", "--", "sh", "-c", "kill -KILL $PPID"]);
        command.env("NAVTRACE_BROWSER", environment.home().join("chromium")).output().unwrap();
        let mut expected = [&directories[..], &["run"]].concat();
        expected.sort_unstable();
        assert_eq!(kinds(&environment), expected);
        kill(&id);
        browser.wait().unwrap();
        let report = stdout(&environment.navtrace(["doctor"]).env("PATH", "/none").output().unwrap());
        let line = format!(
            "hint  left behind      3 folders of killed processes (0.0 MB), such as {}",
            environment.temporary().display()
        );
        assert!(report.contains(&line) && report.contains("; the next `navtrace run` removes them\n"), "{report}");
        assert_eq!(kinds(&environment), expected, "doctor removes nothing");
        run(&environment);
        assert_eq!(environment.left_behind(), [""; 0]);
    }
}

#[test]
fn a_launcher_without_run_sweeps_too() {
    let environment = Environment::new();
    launch(&environment, "", &["--no-sandbox"]);
    let mut command = environment.navtrace(["run", "--", "sh", "-c", "kill -KILL $PPID"]);
    command.env("NAVTRACE_BROWSER", environment.home().join("chromium")).output().unwrap();
    assert_eq!(kinds(&environment), ["run"]);
    // Not navtrace's, or of a build that does not lock its directories.
    for other in ["navtrace-run-other", "navtrace-notes"] {
        fs::create_dir(environment.temporary().join(other)).unwrap();
    }
    assert!(launch(&environment, "", &["--no-sandbox"]).status().unwrap().success());
    wait_until("the directory is removed", || environment.left_behind().len() == 2);
    for other in ["navtrace-run-other", "navtrace-notes"] {
        fs::remove_dir(environment.temporary().join(other)).unwrap();
    }
    assert_gone(&environment);
}

#[test]
fn extensions_of_other_builds_are_removed_when_unused() {
    let environment = Environment::new();
    let unpacked = environment.home().join(".cache/navtrace/extension");
    let make = |name: &str, age: Duration| {
        fs::create_dir_all(unpacked.join(name)).unwrap();
        fs::write(unpacked.join(name).join("manifest.json"), "{}").unwrap();
        fs::File::open(unpacked.join(name)).unwrap().set_modified(SystemTime::now() - age).unwrap();
    };
    let day = Duration::from_secs(24 * 60 * 60);
    for number in 0..8 {
        make(&format!("0.0.{number}-old"), day * (2 + number));
    }
    for number in 0..3 {
        make(&format!("9.0.{number}-new"), day / 2);
    }
    let names = |unpacked: &Path| {
        let mut names: Vec<String> =
            fs::read_dir(unpacked).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert!(launch(&environment, "", &["--no-sandbox"]).status().unwrap().success());
    let kept = names(&unpacked);
    let own = kept[1].clone();
    assert_eq!(kept, ["0.0.0-old", own.as_str(), "9.0.0-new", "9.0.1-new", "9.0.2-new"]);
    // Folders of the last day stay, however many.
    for number in 3..9 {
        make(&format!("9.0.{number}-new"), day / 2);
    }
    fs::remove_dir_all(unpacked.join(own)).unwrap();
    assert!(launch(&environment, "", &["--no-sandbox"]).status().unwrap().success());
    assert_eq!(names(&unpacked).len(), 10);
    let report = stdout(&environment.navtrace(["doctor"]).env("PATH", "/none").output().unwrap());
    assert!(report.contains("\nok    extensions       10 items ("), "{report}");
}
