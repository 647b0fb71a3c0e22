//! Tests a container: another user than root, a home directory that does not exist, and a root of which only the temporary directory can be written.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::navtrace::{Environment, copy_binary, stderr, stdout};

/// Runs a shell script in namespaces of its own: as a user that is not root, gains no privileges, and for whom the kernel makes no further user
/// namespace unless `sandboxed`; with a `/dev/shm` of `shared_memory` MiB.
fn contained(environment: &Environment, script: &str, sandboxed: bool, shared_memory: u32) -> Output {
    let browser = environment.program("chromium", r#"printf '%s\n' "$@""#);
    let limit = if sandboxed { "" } else { "echo 1 >/proc/sys/user/max_user_namespaces" };
    let set_up = format!(
        r#"mount -t tmpfs -o size={shared_memory}m,mode=1777 tmpfs /dev/shm && {limit}
        exec unshare --user --map-user=1000 --map-group=1000 -- setpriv --no-new-privs -- sh -c "$0""#
    );
    let described = environment.navtrace(["--version"]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--", "sh", "-c", &set_up, script]);
    command.env_clear().envs(described.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .env("PATH", "/usr/bin:/bin")
        .env("NAVTRACE", env!("CARGO_BIN_EXE_navtrace"))
        .env("NAVTRACE_BROWSER", browser);
    command.output().unwrap()
}

#[test]
fn a_temporary_directory_is_enough() {
    let environment = Environment::new();
    let program = environment.home().join("navtrace");
    copy_binary(&program);
    let browser = environment.program("chromium", "exit 0");
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root { 1_000_000 + std::process::id() } else { rustix::process::geteuid().as_raw() };
    for dir in [environment.home(), environment.temporary()] {
        chown(dir, Some(user), Some(user)).unwrap();
    }
    let navtrace = |args: &[&str]| {
        let described = environment.navtrace(args);
        let mut command = Command::new(&program);
        command.args(args).env_clear().envs(described.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // Only root could write there.
        command.env("HOME", "/proc/none").env("PATH", "/usr/bin:/bin").env("OTEL_TRACES_EXPORTER", "otlp");
        command.env("NAVTRACE_BROWSER", &browser);
        if is_root {
            command.uid(user).gid(user);
        }
        command.output().unwrap()
    };
    let run = navtrace(&["run", "--", "sh", "-c", "echo done"]);
    assert!(run.status.success() && stdout(&run) == "done\n", "{}", stderr(&run));
    let private = environment.temporary().join(format!("navtrace-{user}"));
    assert_eq!(fs::metadata(&private).unwrap().mode() & 0o777, 0o700);
    assert!(private.join("cache/navtrace/extension").is_dir() && private.join("state/navtrace/traces").is_dir());
    let flush = navtrace(&["flush"]);
    assert_eq!(stderr(&flush), "navtrace: there is nothing to send\n");
    let report = stdout(&navtrace(&["doctor"]));
    let extension = format!("ok    extension        aalhdoofknlgjgclnnkjbegphicaohme in {}/", private.display());
    assert!(report.contains(&extension), "{report}");
}

#[test]
fn chromium_starts_without_a_sandbox_where_it_could_not_start_with_one() {
    const REASON: &str = "user namespaces or chroot are not allowed here, and Chromium's sandbox needs both";
    let sentence = format!("navtrace: {REASON}: starting it with --no-sandbox\n");
    let launch = r#""$NAVTRACE" launch --headless"#;
    let environment = Environment::new();
    let flags = |sandboxed, shared_memory, script: &str| {
        let output = contained(&environment, script, sandboxed, shared_memory);
        assert!(output.status.success(), "{}", stderr(&output));
        let printed = stdout(&output);
        let kept = printed.lines().filter(|line| ["--no-sandbox", "--disable-dev-shm-usage"].contains(line));
        (kept.map(str::to_owned).collect::<Vec<_>>().join(" "), stderr(&output))
    };
    assert_eq!(flags(true, 300, launch), (String::new(), String::new()));
    assert_eq!(flags(false, 300, launch), ("--no-sandbox".to_owned(), sentence.clone()));
    // The client's own flags stay alone.
    let named = format!("{launch} --no-sandbox --disable-dev-shm-usage");
    assert_eq!(flags(false, 64, &named), ("--no-sandbox --disable-dev-shm-usage".to_owned(), String::new()));
    for mode in ["auto", "static"] {
        let script = format!("NAVTRACE_MODE={mode} {launch}");
        assert_eq!(flags(true, 64, &script), ("--disable-dev-shm-usage".to_owned(), String::new()));
    }
    // A run says it once, however many browsers it has.
    let run = r#""$NAVTRACE" run -- sh -c '"$CHROME_BIN"; "$CHROME_BIN"'"#;
    let (flags_of_run, messages) = flags(false, 300, run);
    assert_eq!(
        (flags_of_run.as_str(), messages.matches(&sentence).count()),
        ("--no-sandbox --no-sandbox", 1),
        "{messages}"
    );

    for (sandboxed, finding) in [
        (true, "ok    sandbox          navtrace leaves it on".to_owned()),
        (false, format!("warn  sandbox          {REASON}: navtrace starts it with --no-sandbox")),
    ] {
        let report = stdout(&contained(&environment, r#""$NAVTRACE" doctor"#, sandboxed, 300));
        assert!(report.lines().any(|line| line == finding), "{report}");
    }
    let plain = stderr(&contained(&environment, r#""$NAVTRACE" env --k6"#, false, 300));
    assert_eq!(
        plain,
        format!("navtrace: {REASON}: put no-sandbox into K6_BROWSER_ARGS before this, or k6 can't start it\n")
    );
}

#[test]
fn the_first_process_passes_signals_on_and_waits_for_orphans() {
    let environment = Environment::new();
    // The orphan's parent ends at once. The signal goes to the first process, which is navtrace.
    let script = r#"
        orphan=$(sh -c 'sleep 0.1 >/dev/null & echo $!')
        for _ in $(seq 200); do [ -e "/proc/$orphan" ] || break; sleep 0.05; done
        if [ -e "/proc/$orphan" ]; then echo left; else echo "waited for $orphan"; fi
        trap 'exit 7' TERM
        kill -TERM 1
        for _ in $(seq 200); do sleep 0.05; done"#;
    let described = environment.navtrace(["run", "--", "sh", "-c", script]);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount-proc", "--pid", "--fork"]);
    command.arg(described.get_program()).args(described.get_args());
    command.env_clear().envs(described.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").env("NAVTRACE_BROWSER", environment.program("chromium", "exit 0"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("waited for "), "{}", stdout(&output));
}
