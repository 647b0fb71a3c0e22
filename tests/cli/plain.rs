//! Tests `navtrace profile` and `navtrace env`: k6 without the launcher.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::host::{HELLO, frame, served};
use crate::navtrace::{Environment, stderr, stdout};

const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// Returns a command of navtrace with a browser, and with the argument that k6 needs as root.
fn navtrace(environment: &Environment, args: &[&str]) -> Command {
    let browser = environment.program("chromium", "");
    let mut command = environment.navtrace(args);
    command.env("NAVTRACE_BROWSER", browser).env("K6_BROWSER_ARGS", "no-sandbox").current_dir(environment.home());
    command
}

fn env(environment: &Environment, profile: &Path) -> Command {
    navtrace(environment, &["env", "--k6", "--profile", profile.to_str().unwrap()])
}

/// Evaluates the output of a command in a shell. Returns the status and the variables: arguments, ignored arguments, browser, profile.
fn evaluated(command: &Command) -> Vec<String> {
    let mut shell = Command::new("sh");
    let script = r#"eval "$("$@")"; printf '%s\n' "$?" "$K6_BROWSER_ARGS" "$K6_BROWSER_IGNORE_DEFAULT_ARGS" "$K6_BROWSER_EXECUTABLE_PATH" "$NAVTRACE_PROFILE""#;
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().unwrap());
    stdout(&shell.output().unwrap()).lines().map(ToOwned::to_owned).collect()
}

fn refused(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), stderr(output))
}

fn is_latched(profile: &Path) -> bool {
    fs::symlink_metadata(profile.join("DevToolsActivePort")).is_ok_and(|data| data.file_type().is_fifo())
}

#[test]
fn a_profile_is_prepared_and_the_next_step_is_shown() {
    let environment = Environment::new();
    let profile = environment.home().join("a/profile ü");
    let text = [true, false].map(|made| {
        let output = navtrace(&environment, &["profile", "a/profile ü"]).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
        assert!(is_latched(&profile));
        assert_eq!(fs::metadata(&profile).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(profile.join("NativeMessagingHosts/dev.navtrace.host.json").is_file());
        assert!(fs::read_to_string(profile.join("Default/Preferences")).unwrap().contains(r#""incognito":true"#));
        let text = stdout(&output).replace(environment.home().to_str().unwrap(), "~");
        assert_eq!(text.contains(" (created)"), made, "{text}");
        text.replace(" (created)", "")
    });
    assert_eq!(text[0], text[1]);
    assert_snapshot!(text[0], @r#"
    The profile ~/a/profile ü is ready: the extension is allowed in Incognito there, the host is registered, and a client is held back until requests carry headers. It serves one VU at a time. k6 uses it with

      eval "$(navtrace env --k6 --profile '~/a/profile ü')" && k6 run script.js
    "#);
}

#[test]
fn the_variables_are_lines_for_a_shell() {
    let environment = Environment::new();
    let mut command = env(&environment, Path::new("p q"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let home = environment.home().to_str().unwrap();
    let text = stdout(&output).replace(home, "~");
    let folder = text.split("/extension/").nth(1).unwrap().split(',').next().unwrap().to_owned();
    assert_snapshot!(text.replace(&folder, "VERSION"), @r#"
    export K6_BROWSER_EXECUTABLE_PATH=~/chromium
    export K6_BROWSER_ARGS='no-sandbox,load-extension=~/.cache/navtrace/extension/VERSION,user-data-dir=~/p q,allowlisted-extension-id=aalhdoofknlgjgclnnkjbegphicaohme'
    export K6_BROWSER_IGNORE_DEFAULT_ARGS=disable-extensions
    export NAVTRACE_PROFILE='~/p q'
    # For a shell: eval "$(navtrace env --k6 --profile DIR)"
    # One profile serves one VU at a time. A second k6 or VU there fails with "Failed to create .../SingletonLock: File exists".
    "#);
}

#[test]
fn any_path_is_quoted_and_a_repetition_changes_nothing() {
    let environment = Environment::new();
    let profile = environment.home().join("it's a \"$HOME\" `x` * ünï 测试=1");
    let mut command = env(&environment, &profile);
    command.env("K6_BROWSER_ARGS", "no-sandbox, lang=de").env("K6_BROWSER_IGNORE_DEFAULT_ARGS", "--mute-audio");
    let first = evaluated(&command);
    assert_eq!(first[0], "0");
    assert!(first[1].starts_with("no-sandbox, lang=de,load-extension=/"), "{first:?}");
    assert!(first[1].contains(&format!(",user-data-dir={},allow", profile.display())), "{first:?}");
    assert_eq!(first[2], "--mute-audio,disable-extensions");
    assert_eq!(first[4], profile.to_str().unwrap());
    command.env("K6_BROWSER_ARGS", &first[1]).env("K6_BROWSER_IGNORE_DEFAULT_ARGS", &first[2]);
    assert_eq!(evaluated(command.env("NAVTRACE_PROFILE", &first[4])), first);
}

#[test]
fn the_default_profile_is_the_users_or_navtraces() {
    let environment = Environment::new();
    let mut command = navtrace(&environment, &["env", "--k6"]);
    let own = environment.home().join(".local/state/navtrace/profiles/k6-one-vu-at-a-time");
    assert_eq!(evaluated(&command)[4], own.to_str().unwrap());
    assert!(is_latched(&own));
    let named = environment.home().join("theirs");
    command.env("K6_BROWSER_ARGS", format!("no-sandbox,user-data-dir={}", named.display()));
    assert_eq!(evaluated(&command)[4], named.to_str().unwrap());
    assert!(is_latched(&named));
}

#[test]
fn k6_starts_the_browser_directly() {
    let environment = Environment::new();
    let browser = environment.program("chromium", "").display().to_string();
    let other = environment.program("brave", "").display().to_string();
    let link = environment.home().join("navtrace-chromium");
    symlink(env!("CARGO_BIN_EXE_navtrace"), &link).unwrap();
    let path = format!("{}:{}", environment.home().display(), std::env::var("PATH").unwrap());
    let chosen = |ours: Option<&str>, of_k6: Option<&str>| {
        let mut command = env(&environment, Path::new("p"));
        command.env_remove("NAVTRACE_BROWSER").env("PATH", &path);
        command.envs(ours.map(|ours| ("NAVTRACE_BROWSER", ours)));
        command.envs(of_k6.map(|of_k6| ("K6_BROWSER_EXECUTABLE_PATH", of_k6)));
        evaluated(&command)[3].clone()
    };
    assert_eq!(chosen(None, None), browser);
    assert_eq!(chosen(None, Some(&other)), other);
    assert_eq!(chosen(Some(&browser), Some(&other)), browser);
    for ours in [link.to_str().unwrap(), env!("CARGO_BIN_EXE_navtrace"), "/old/navtrace-chromium"] {
        assert_eq!(chosen(None, Some(ours)), browser, "{ours}");
    }

    let mut command = env(&environment, Path::new("p"));
    command.env_remove("NAVTRACE_BROWSER").env("K6_BROWSER_EXECUTABLE_PATH", "/no/browser");
    let sentence = "navtrace: K6_BROWSER_EXECUTABLE_PATH=/no/browser: no such program; set it to the path of a Chromium, or unset it\n";
    assert_eq!(refused(&command.output().unwrap()), (127, sentence.to_owned()));
}

#[test]
fn obstacles_are_named_and_the_shell_stops() {
    let environment = Environment::new();
    let home = environment.home().display().to_string();
    fs::write(environment.home().join("file"), "").unwrap();
    let theirs = environment.home().join("theirs/NativeMessagingHosts/dev.navtrace.host.json");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "{}").unwrap();
    let cases = [
        (
            "theirs",
            1,
            format!(
                "the profile {home}/theirs can't be prepared: {} is a file of another program, not navtrace's; move it away, or choose another folder",
                theirs.display()
            ),
        ),
        ("a,b", 2, format!("the profile {home}/a,b can't be used by k6, because k6 splits its arguments at the comma; choose another folder")),
        (
            "a ",
            2,
            format!("the profile {home}/a  can't be used by k6, because k6 removes the white space at its end; choose another folder"),
        ),
        (
            "file",
            1,
            format!(
                "the profile {home}/file can't be prepared: can't create {home}/file/NativeMessagingHosts: Not a directory (os error 20); name \
                 a profile that you may write to"
            ),
        ),
        (
            "/proc/none",
            1,
            "the profile /proc/none can't be prepared: can't create /proc/none/NativeMessagingHosts: No such file or directory (os error 2); \
             name a profile that you may write to"
                .to_owned(),
        ),
    ];
    for (profile, code, sentence) in cases {
        let mut command = env(&environment, Path::new(profile));
        let output = command.output().unwrap();
        assert_eq!(refused(&output), (code, format!("navtrace: {sentence}\n")));
        assert_eq!(stdout(&output), "false\n");
        assert_eq!(evaluated(&command)[..2], ["1", "no-sandbox"]);
        let output = navtrace(&environment, &["profile", profile]).output().unwrap();
        assert_eq!((refused(&output), stdout(&output).as_str()), ((code, format!("navtrace: {sentence}\n")), ""));
    }
    assert_eq!(fs::read_to_string(theirs).unwrap(), "{}");

    let output = navtrace(&environment, &["env"]).output().unwrap();
    let sentence = "navtrace: env needs a client: add --k6, the only one supported\n";
    assert_eq!((refused(&output), stdout(&output).as_str()), ((2, sentence.to_owned()), "false\n"));

    let mut command = env(&environment, Path::new("p"));
    let output = command.env("K6_BROWSER_ARGS", "load-extension=/theirs").output().unwrap();
    let sentence = "navtrace: K6_BROWSER_ARGS has load-extension=/theirs, and k6 can't pass on another load-extension beside it: take it out, or \
                    use the launcher (navtrace run -- k6 run …), which keeps both\n";
    assert_eq!(refused(&output), (2, sentence.to_owned()));

    let output =
        env(&environment, Path::new("p")).env("XDG_CACHE_HOME", environment.home().join("x,y")).output().unwrap();
    assert!(refused(&output).1.contains("x,y/navtrace/extension/"), "{}", stderr(&output));
}

#[test]
fn a_profile_in_use_is_refused_unchanged() {
    let environment = Environment::new();
    let profile = environment.home().join("p");
    fs::create_dir(&profile).unwrap();
    let _listener = UnixListener::bind(environment.home().join("socket")).unwrap();
    symlink(environment.home().join("socket"), profile.join("SingletonSocket")).unwrap();
    let id = std::process::id();
    lock(&profile, id);
    let sentence = format!(
        "navtrace: the profile {} is in use by the browser with process id {id}: end it, or name another profile\n",
        profile.display()
    );
    for args in [&["profile", "p"][..], &["env", "--k6", "--profile", "p"]] {
        let output = navtrace(&environment, args).output().unwrap();
        assert_eq!(refused(&output), (1, sentence.clone()));
    }
    assert_eq!(fs::read_dir(&profile).unwrap().count(), 2);
}

#[test]
fn invalid_preferences_are_reported() {
    let environment = Environment::new();
    let default = environment.home().join("p/Default");
    fs::create_dir_all(&default).unwrap();
    fs::write(default.join("Preferences"), "{broken").unwrap();
    let output = env(&environment, Path::new("p")).output().unwrap();
    let text = format!(
        "navtrace: {0}/Preferences is not a valid preferences file: it was moved to {0}/Preferences.kept-1 and replaced\n",
        default.display()
    );
    assert_eq!(refused(&output), (0, text));
}

/// Locks a profile as the browser with this process id does.
fn lock(profile: &Path, pid: u32) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let path = profile.join("SingletonLock");
    let _ = fs::remove_file(&path);
    symlink(format!("{}-{pid}", host.trim_end()), path).unwrap();
}

/// Prepares a profile for a browser that is this process, and starts a thread that opens its port file as the browser does.
fn latched(environment: &Environment) -> (PathBuf, std::thread::JoinHandle<()>) {
    let profile = environment.home().join("p");
    assert!(navtrace(environment, &["profile", "p"]).output().unwrap().status.success());
    lock(&profile, std::process::id());
    let file = profile.join("DevToolsActivePort");
    (profile, std::thread::spawn(move || fs::write(file, "9222").unwrap()))
}

fn host(environment: &Environment, profile: &Path) -> Command {
    let mut command = environment.navtrace([ORIGIN]);
    command.env("NAVTRACE_PROFILE", profile).stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

#[test]
fn the_client_waits_until_the_extension_is_armed() {
    let environment = Environment::new();
    let (profile, browser) = latched(&environment);
    let mut host = host(&environment, &profile).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!browser.is_finished());
    let armed = include_str!("../fixtures/messages/armed.json").trim_end();
    let mut stdin = host.stdin.take().unwrap();
    stdin.write_all(&u32::try_from(armed.len()).unwrap().to_ne_bytes()).unwrap();
    stdin.write_all(armed.as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !browser.is_finished() {
        assert!(Instant::now() < deadline, "the client is not let through");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(stdin);
    assert!(host.wait().unwrap().success());
}

#[test]
fn the_client_waits_no_longer_than_the_timeout() {
    let environment = Environment::new();
    let (profile, browser) = latched(&environment);
    let mut host = host(&environment, &profile).env("NAVTRACE_ARM_TIMEOUT", "200ms").spawn().unwrap();
    browser.join().unwrap();
    drop(host.stdin.take());
    assert!(host.wait().unwrap().success());
}

#[test]
fn a_host_that_fails_lets_the_client_through() {
    let environment = Environment::new();
    let (profile, browser) = latched(&environment);
    let mut host = host(&environment, &profile);
    let output = host.env("NAVTRACE_LOG", "verbose").output().unwrap();
    assert!(refused(&output).0 == 2 && stderr(&output).contains("NAVTRACE_LOG=verbose can't be used"));
    browser.join().unwrap();
}

#[test]
fn a_shells_variable_is_not_for_a_browser_in_another_profile() {
    let environment = Environment::new();
    let (profile, browser) = latched(&environment);
    lock(&profile, 1);
    let mut failing = host(&environment, &profile);
    assert_eq!(failing.env("NAVTRACE_LOG", "verbose").output().unwrap().status.code(), Some(2));
    assert!(!browser.is_finished(), "the client of the other browser was let through");
    let scope = || {
        let mut host = host(&environment, &profile);
        let (code, frames, message) =
            served(host.env("NAVTRACE_ARM_TIMEOUT", "1s"), &frame(HELLO.trim_end().as_bytes()));
        assert_eq!(code, 0, "{message}");
        frames[0]["propagation"]["scope"].as_str().unwrap().to_owned()
    };
    assert_eq!(scope(), "navigation", "that of a browser of the user's own");
    assert!(!browser.is_finished());
    lock(&profile, std::process::id());
    assert_eq!(scope(), "context");
    browser.join().unwrap();
}

#[test]
fn the_launcher_removes_the_latch() {
    let environment = Environment::new();
    let profile = environment.home().join("p");
    assert!(navtrace(&environment, &["profile", "p"]).output().unwrap().status.success());
    assert!(is_latched(&profile));
    let argument = format!("--user-data-dir={}", profile.display());
    assert!(navtrace(&environment, &["launch", "--no-sandbox", &argument]).output().unwrap().status.success());
    assert!(!is_latched(&profile));
}
