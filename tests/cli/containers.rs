//! Tests a container: another user than root, a home directory that does not exist, and a root of which only the temporary directory can be written.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;

use crate::navtrace::{Environment, copy_binary, stderr, stdout};

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
        let mut command = std::process::Command::new(&program);
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
