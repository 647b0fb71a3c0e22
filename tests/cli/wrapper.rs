//! Tests browsers that are scripts around navtrace, which must not start each other without an end.

use std::fs;
use std::os::unix::fs::symlink;

use crate::launch::assert_gone;
use crate::navtrace::{Environment, stderr};

/// Launches a script around navtrace, which a variable names as the browser. Returns how often it was started, and standard error.
fn launched(variable: &str, name: &str, start: &str, args: &[&str], mode: &str) -> (usize, String) {
    let environment = Environment::new();
    symlink(env!("CARGO_BIN_EXE_navtrace"), environment.home().join("navtrace-chromium")).unwrap();
    // It ends by itself should nothing else end it.
    let script = format!(
        r#"echo started >>"$HOME/starts"; [ "$(wc -l <"$HOME/starts")" -lt 6 ] || exit 99
        {start} "$HOME/navtrace-chromium" "$@""#
    );
    let wrapper = environment.program(name, &script);
    let mut command = environment.navtrace(args);
    command.env(variable, &wrapper).env("NAVTRACE_MODE", mode);
    let output = command.output().unwrap();
    let messages = stderr(&output);
    assert_eq!(output.status.code(), Some(126), "{messages}");
    let sentence = format!(
        "navtrace: {} is no browser: it starts navtrace again; set NAVTRACE_BROWSER to Chromium itself\n",
        wrapper.display()
    );
    assert!(messages.contains(&sentence), "{messages}");
    assert_gone(&environment);
    (fs::read_to_string(environment.home().join("starts")).unwrap().lines().count(), messages)
}

#[test]
fn a_script_that_starts_navtrace_again_is_started_once() {
    let launch = ["launch", "--no-sandbox"];
    for variable in ["K6_BROWSER_EXECUTABLE_PATH", "CHROME_BIN", "NAVTRACE_BROWSER"] {
        for mode in ["detailed", "static"] {
            for start in ["exec", "env"] {
                let (starts, messages) = launched(variable, "wrapper", start, &launch, mode);
                assert_eq!(starts, 1, "{variable} {mode} {start}: {messages}");
            }
        }
    }
    let client = r#""$CHROME_BIN" --no-sandbox"#;
    let (starts, messages) = launched("CHROME_BIN", "wrapper", "exec", &["run", "--", "sh", "-c", client], "detailed");
    assert_eq!(starts, 1, "{messages}");
}

#[test]
fn scripts_that_start_each_other_are_started_once() {
    let environment = Environment::new();
    symlink(env!("CARGO_BIN_EXE_navtrace"), environment.home().join("navtrace-chromium")).unwrap();
    let names = ["one", "two", "three"];
    for mode in ["detailed", "static"] {
        for (name, next) in names.iter().zip(names.iter().cycle().skip(1)) {
            // It ends by itself should nothing else end it.
            let script = format!(
                r#"echo {name} >>"$HOME/starts"; [ "$(wc -l <"$HOME/starts")" -lt 9 ] || exit 99
                NAVTRACE_BROWSER="$HOME/{next}" exec "$HOME/navtrace-chromium" "$@""#
            );
            environment.program(name, &script);
        }
        let mut command = environment.navtrace(["launch", "--no-sandbox"]);
        command.env("NAVTRACE_BROWSER", environment.home().join("one")).env("NAVTRACE_MODE", mode);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(126), "{}", stderr(&output));
        let starts = environment.home().join("starts");
        assert_eq!(fs::read_to_string(&starts).unwrap(), "one\ntwo\nthree\n", "{}", stderr(&output));
        fs::remove_file(starts).unwrap();
        assert_gone(&environment);
    }
}

#[test]
fn a_script_that_is_asked_for_its_version_does_not_ask_itself() {
    let (starts, messages) =
        launched("CHROME_BIN", "google-chrome", "exec", &["launch", "--no-sandbox"], "lightweight");
    assert_eq!(starts, 2, "one for the version: {messages}");
}

#[test]
fn programs_of_a_traced_browser_may_start_the_same_browser() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo started");
    let gate = environment.home().join("gate");
    let started = || {
        let mut command = environment.navtrace(["launch", "--no-sandbox"]);
        command.env("NAVTRACE_BROWSER", &browser).env("NAVTRACE_STARTED", &browser).env("NAVTRACE_GATE", &gate);
        command.output().unwrap().status.code()
    };
    assert_eq!(started(), Some(126));
    fs::write(environment.home().join("session-1"), "").unwrap();
    assert_eq!(started(), Some(0));
}
