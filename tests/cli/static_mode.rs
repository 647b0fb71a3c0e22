//! Tests the launcher in static mode with scripts instead of a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::launch::{assert_gone, launch, not_executable};
use crate::navtrace::{Environment, stderr, stdout};

fn static_launch(environment: &Environment, script: &str, args: &[&str]) -> Command {
    let mut command = launch(environment, script, &[args, &["--no-sandbox"]].concat());
    command.env("NAVTRACE_MODE", "static");
    command
}

#[test]
fn the_launcher_becomes_the_browser() {
    let environment = Environment::new();
    let mut command = static_launch(&environment, "echo $$; echo own words >&2; exit 7", &[]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output).trim(), id.to_string());
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(7), "own words\n"));
    assert_gone(&environment);
}

#[test]
fn the_browser_gets_an_extension_without_a_worker() {
    let environment = Environment::new();
    let profile = environment.home().join("profile");
    let dir = r#"for arg; do case "$arg" in --load-extension=*) dir="${arg#*=}";; esac; done"#;
    let script = format!(
        r#"{dir}; printf '%s\n' "$@" "gate=$NAVTRACE_GATE"; stat -c '%a %n' "$dir" "$dir"/*; cat "$dir/manifest.json" >"$HOME/manifest"; cat "$dir/rules.json" >"$HOME/rules""#
    );
    let argument = format!("--user-data-dir={}", profile.display());
    let args = ["--disable-extensions", "--remote-debugging-port=9333", &argument];
    let output = static_launch(&environment, &script, &args).output().unwrap();
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    let (lines, files): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("--") || line.contains("gate=") || *line == "about:blank");
    let starts: Vec<&str> = lines.iter().map(|line| line.split_once('=').map_or(*line, |(start, _)| start)).collect();
    let [ours, blank] = ["--load-extension", "about:blank"];
    assert_eq!(starts, ["--remote-debugging-port", "--user-data-dir", "--no-sandbox", ours, blank, "gate"]);
    assert_eq!((lines[0], lines[5]), ("--remote-debugging-port=9333", "gate="), "port and start are the client's own");
    let modes: Vec<&str> = files.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(modes, ["700", "600", "600"]);
    assert!(files[1].ends_with("/manifest.json") && files[2].ends_with("/rules.json"), "{files:?}");

    let read =
        |name| serde_json::from_str::<Value>(&fs::read_to_string(environment.home().join(name)).unwrap()).unwrap();
    let original = include_str!("../../extension/manifest.json");
    let original: Value = serde_json::from_str(original).unwrap();
    assert_eq!(read("manifest")["key"], original["key"], "the id is the same");
    assert_eq!(read("rules").as_array().unwrap().len(), 4);
    assert!(profile.join("Default/Preferences").is_file() && !profile.join("NativeMessagingHosts").exists());
    assert_gone(&environment);
}

#[test]
fn nothing_is_held_back() {
    let environment = Environment::new();
    let devtools = "DevTools listening on ws://127.0.0.1:9/devtools/browser/x";
    let mut command = static_launch(&environment, &format!("echo '{devtools}' >&2; read go"), &[]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("{devtools}\n"));
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_gone(&environment);
}

#[test]
fn a_browser_that_is_killed_with_its_group_leaves_nothing() {
    let environment = Environment::new();
    let mut command = static_launch(&environment, "exec sleep 60", &[]);
    let mut child = command.stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    while environment.processes().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(environment.left_behind().len(), 2, "an extension and a profile");
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    // A client that reads the browser's standard error to its end must not wait for the watcher.
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_gone(&environment);
}

#[test]
fn a_browser_that_cannot_be_executed_is_named() {
    not_executable("static");
}

#[test]
fn a_temporary_directory_with_a_comma_is_named() {
    let environment = Environment::new();
    let temporary = environment.home().join("a,b");
    fs::create_dir(&temporary).unwrap();
    let output = static_launch(&environment, "echo started", &[]).env("TMPDIR", &temporary).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let messages = stderr(&output);
    assert!(messages.contains("has a comma in its path, where Chromium would split it"), "{messages}");
    assert!(messages.ends_with("; set TMPDIR to a folder without a comma\n"), "{messages}");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn settings_and_patterns_without_effect_are_told() {
    let environment = Environment::new();
    let mut command = static_launch(&environment, "echo started", &[]);
    command.env("NAVTRACE_SCOPE", "tab").env("NAVTRACE_EXISTING", "keep");
    command.env("NAVTRACE_EXCLUDE", format!("https://a.test/{}", "x".repeat(200)));
    let output = command.output().unwrap();
    assert_eq!(stdout(&output), "started\n");
    let messages = stderr(&output);
    let lines: Vec<&str> = messages.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "navtrace: NAVTRACE_SCOPE has no effect in static mode: the whole session is one trace; use lightweight or detailed mode",
            "navtrace: NAVTRACE_EXISTING=keep has no effect in static mode on the headers that navtrace sets: those of pages are overridden; use detailed mode",
        ]
    );
    assert!(lines[2].starts_with("navtrace: the exclusion \"https://a.test/xxx"), "{messages}");
    assert!(
        lines[2].ends_with("so nothing gets headers: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all"),
        "{messages}"
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_start_that_only_prints_has_no_session() {
    let environment = Environment::new();
    let script = r#"printf '%s\n' "$@""#;
    let output = static_launch(&environment, script, &["--version"]).output().unwrap();
    assert!(stdout(&output).contains("--allowlisted-extension-id="), "{}", stdout(&output));
    assert_gone(&environment);
}

#[test]
fn the_doctor_does_not_ask_for_a_host() {
    let environment = Environment::new();
    let output =
        environment.navtrace(["doctor"]).env("PATH", environment.home()).env("NAVTRACE_MODE", "static").output();
    let report = stdout(&output.unwrap());
    assert!(report.contains("host             not checked: static mode has no worker and needs no host\n"), "{report}");
}

#[test]
fn k6_without_the_launcher_cannot_be_in_static_mode() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "echo Chromium 150");
    let mut command = environment.navtrace(["env", "--k6", "--mode", "static"]);
    let output = command.env("NAVTRACE_BROWSER", browser).output().unwrap();
    let messages = stderr(&output);
    assert!(
        output.status.success() && messages.contains("those that k6 starts itself are in lightweight mode"),
        "{messages}"
    );
}

#[test]
fn a_client_is_never_kept_waiting_by_the_watcher() {
    let environment = Environment::new();
    // The collector does not answer, so the watcher has its limit of 2 s to wait for.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let ended = environment.home().join("ended");
    let mut command = static_launch(&environment, &format!("sleep 0.2; touch '{}'", ended.display()), &[]);
    command.envs(Environment::exporting(&endpoint)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let waited = fs::metadata(ended).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(output.status.success() && waited < Duration::from_millis(1800), "{waited:?}");
    assert_gone(&environment);
}
