//! Tests the launcher with scripts instead of a browser, since they can fail in every way.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::navtrace::{Environment, stderr, stdout};

const DEVTOOLS: &str = "DevTools listening on ws://127.0.0.1:9/devtools/browser/x";

pub(crate) fn launch(environment: &Environment, script: &str, args: &[&str]) -> Command {
    let browser = environment.program("chromium", script);
    let mut launch = environment.navtrace([&["launch"], args].concat());
    launch.env("NAVTRACE_BROWSER", browser);
    launch
}

/// Timeout of the gate in tests that wait for its warning: enough for a shell and a host to start on a busy machine.
const ARM_TIMEOUT: Duration = Duration::from_secs(2);

/// Launches a script whose gate is never opened and makes its `read` return after the warning. Returns standard error.
fn unarmed(environment: &Environment, script: &str) -> String {
    let mut command = launch(environment, script, &["--no-sandbox"]);
    command.env("NAVTRACE_ARM_TIMEOUT", format!("{}s", ARM_TIMEOUT.as_secs()));
    command.env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace"));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("the browser was not armed within 2s") {
        assert!(reader.read_line(&mut text).unwrap() > 0, "there was no warning: {text}");
    }
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

/// Waits until no process and no file of a launch is left.
pub(crate) fn assert_gone(environment: &Environment) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !(environment.left_behind().is_empty() && environment.processes().is_empty()) {
        let left = (environment.left_behind(), environment.processes());
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_launcher_becomes_the_browser() {
    let environment = Environment::new();
    let child = launch(&environment, "echo $$; exit 7", &[]).stdout(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output).trim(), id.to_string());
    assert_eq!(output.status.code(), Some(7));
    assert_gone(&environment);
}

#[test]
fn a_link_named_navtrace_chromium_launches_the_browser() {
    let environment = Environment::new();
    let browser = environment.program("chromium", r#"printf '%s\n' "$@""#);
    let link = environment.home().join("navtrace-chromium");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_navtrace"), &link).unwrap();
    let profile = environment.home().join("profile with spaces");
    let mut command = environment.navtrace(["--disable-extensions", "--version"]);
    let mut linked = Command::new(&link);
    linked.args(command.get_args()).arg(format!("--user-data-dir={}", profile.display()));
    for (name, value) in command.env("NAVTRACE_BROWSER", browser).get_envs() {
        match value {
            Some(value) => linked.env(name, value),
            None => linked.env_remove(name),
        };
    }
    let output = linked.output().unwrap();
    let args = stdout(&output);
    assert!(args.starts_with("--version\n--user-data-dir="), "{args}");
    assert!(args.contains("\n--load-extension=") && args.contains("\n--allowlisted-extension-id=aalh"), "{args}");
    assert!(profile.join("NativeMessagingHosts/dev.navtrace.host.json").is_file());
    assert!(profile.join("Default/Preferences").is_file());
}

#[test]
fn the_gate_opens_with_a_warning_after_its_timeout() {
    let environment = Environment::new();
    let script = format!("echo before >&2; echo '{DEVTOOLS}' >&2; echo after >&2; read go; echo late >&2");
    let start = Instant::now();
    let text = unarmed(&environment, &script);
    assert!(start.elapsed() >= ARM_TIMEOUT);
    assert_eq!(
        text,
        format!(
            "before\nafter\nnavtrace: the browser was not armed within 2s, so requests may go without trace context: the extension \
             has not reached the host (it was not loaded, the host could not be started, or the machine is slow); `navtrace doctor` shows more\n\
             {DEVTOOLS}\nlate\n"
        )
    );
    assert_gone(&environment);
}

#[test]
fn the_warning_names_the_step_that_is_missing() {
    let hello = include_str!("../fixtures/messages/hello.json").trim_end();
    let started = r#""$NAVTRACE" chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/ </dev/null"#;
    let greeted = format!(
        r#"printf '\{:03o}\{:03o}\000\000%s' '{hello}' | "$NAVTRACE" chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/ >/dev/null"#,
        hello.len() % 256,
        hello.len() / 256
    );
    for (script, missing) in [
        (started, "the host was started, but the extension has not said hello to it"),
        (&greeted, "the extension has its session, but has not put its headers in place"),
    ] {
        let environment = Environment::new();
        let text = unarmed(&environment, &format!("{script}; read go"));
        assert!(text.contains(missing), "{text}");
    }
}

#[test]
fn the_gate_opens_as_soon_as_it_is_armed() {
    let armed = include_str!("../fixtures/messages/armed.json").trim_end();
    let script = format!(
        r#"echo '{DEVTOOLS}' >&2
        printf '\{:03o}\000\000\000%s' '{armed}' | "$NAVTRACE" chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/; sleep 0.2"#,
        armed.len()
    );
    let environment = Environment::new();
    let mut command = launch(&environment, &script, &["--no-sandbox"]);
    command.env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace")).env("NAVTRACE_ARM_TIMEOUT", "1m");
    let start = Instant::now();
    let output = command.output().unwrap();
    assert_eq!(stderr(&output), format!("{DEVTOOLS}\n"));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_browser_that_is_killed_leaves_nothing() {
    let environment = Environment::new();
    let mut child = launch(&environment, "exec sleep 60", &[]).stderr(Stdio::piped()).spawn().unwrap();
    while environment.processes().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(environment.left_behind().len(), 2, "a gate and a profile");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    // A client that reads the browser's standard error to its end must not wait either.
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_gone(&environment);
}

/// Launches a script that writes more than a pipe holds. `client` decides what becomes of its standard error.
fn unread(script: &str, client: fn(&mut Child)) {
    let environment = Environment::new();
    let mut command = launch(&environment, script, &[]);
    command.env("NAVTRACE_ARM_TIMEOUT", "300ms").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    client(&mut child);
    let mut messages = String::new();
    child.stdout.take().unwrap().read_to_string(&mut messages).unwrap();
    assert_eq!(messages, "written\n");
    assert!(child.wait().unwrap().success());
    assert_gone(&environment);
}

#[test]
fn a_client_that_does_not_read_stops_nothing() {
    unread("head -c 4000000 /dev/zero | tr '\\0' 'x' >&2; echo written; sleep 0.5", |_| ());
}

#[test]
fn a_client_that_closes_its_end_stops_nothing() {
    unread("sleep 0.6; head -c 400000 /dev/zero >&2; echo written", |child| drop(child.stderr.take()));
}

#[test]
fn a_client_that_reads_gets_everything() {
    let environment = Environment::new();
    let mut command = launch(&environment, "seq 1 1000000 >&2", &["--no-sandbox"]);
    // So that there is no warning, however long this takes.
    let output = command.env("NAVTRACE_ARM_TIMEOUT", "1m").output().unwrap();
    let messages = stderr(&output);
    assert_eq!(messages.lines().count(), 1_000_000);
    assert!(messages.ends_with("\n1000000\n"));
}

#[test]
fn invalid_preferences_are_kept_and_the_browser_starts() {
    let environment = Environment::new();
    let profile = environment.home().join("profile");
    fs::create_dir_all(profile.join("Default")).unwrap();
    fs::write(profile.join("Default/Preferences"), "{broken").unwrap();
    let argument = format!("--user-data-dir={}", profile.display());
    let output = launch(&environment, "echo started", &[&argument, "--no-sandbox"]).output().unwrap();
    assert_eq!(stdout(&output), "started\n");
    let default = profile.join("Default");
    assert_eq!(
        stderr(&output),
        format!(
            "navtrace: {0}/Preferences is not a valid preferences file: it was moved to {0}/Preferences.kept-1 and replaced\n",
            default.display()
        )
    );
    assert_eq!(fs::read_to_string(default.join("Preferences.kept-1")).unwrap(), "{broken");
}

#[test]
fn an_unwritable_profile_is_named() {
    let environment = Environment::new();
    let output = launch(&environment, "echo started", &["--user-data-dir=/proc/none"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    assert_eq!(
        stderr(&output),
        "navtrace: the profile /proc/none can't be prepared: can't create /proc/none/NativeMessagingHosts: No such file or directory (os \
         error 2); name a profile that you may write to\n"
    );
    assert_gone(&environment);
}

/// Launches a browser in a mode that the system can't execute.
pub(crate) fn not_executable(mode: &str) {
    let environment = Environment::new();
    let browser = environment.executable("chromium", "#!/no/such/interpreter\n");
    let mut command = environment.navtrace(["launch", "--no-sandbox"]);
    let output = command.env("NAVTRACE_BROWSER", &browser).env("NAVTRACE_MODE", mode).output().unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(
        stderr(&output),
        format!(
            "navtrace: {} can't be started: No such file or directory (os error 2); set NAVTRACE_BROWSER to the path of a Chromium\n",
            browser.display()
        )
    );
    assert_gone(&environment);
}

#[test]
fn a_browser_that_cannot_be_executed_is_named() {
    not_executable("auto");
}

#[test]
fn an_unwritable_temporary_directory_is_named() {
    let environment = Environment::new();
    let mut command = launch(&environment, "echo started", &[]);
    let output = command.env("TMPDIR", Path::new("/proc/none")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let messages = stderr(&output);
    assert!(
        messages.starts_with("navtrace: a temporary profile can't be created: No such file or directory"),
        "{messages}"
    );
    assert!(messages.contains("set TMPDIR to a folder that you may write to"), "{messages}");
}
