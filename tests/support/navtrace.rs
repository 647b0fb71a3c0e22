//! Runs the real binary in an environment of its own: a private home, a private temporary directory, no settings but those given.
//!
//! Every test binary uses a part of this only.
#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What names that must not reach navtrace from whoever runs the tests begin with.
const CLEARED: [&str; 6] = ["CHROME_", "K6_", "NAVTRACE_", "OTEL_", "PUPPETEER_", "XDG_"];

/// A private environment, which goes away with this value.
pub struct Environment {
    home: TempDir,
    temporary: TempDir,
}

impl Environment {
    /// Makes an empty home and an empty temporary directory.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() }
    }

    /// A folder for what a test needs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where temporary files go.
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// The binary under test, to be started in this environment. Its gate is patient unless a test sets it otherwise: a
    /// slow machine is no failure. It exports nothing, unless a test has a collector.
    pub fn navtrace<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_navtrace"));
        command.args(args);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if CLEARED.iter().any(|start| name.starts_with(start)) {
                command.env_remove(&*name);
            }
        }
        command.env("HOME", self.home.path()).env("TMPDIR", self.temporary.path());
        command.env("NAVTRACE_ARM_TIMEOUT", "30s");
        // Whoever wants spans names a collector, and takes this back.
        command.env("OTEL_TRACES_EXPORTER", "none");
        command
    }

    /// What has a command export its spans.
    pub fn exporting(endpoint: &str) -> [(&'static str, String); 3] {
        [
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ]
    }

    /// Writes a program of the user's own and gives its path.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        self.executable(name, &format!("#!/bin/sh\n{script}\n"))
    }

    /// Writes an executable file with this text and gives its path.
    ///
    /// Another process writes it: a file that is open for writing can't be executed, and a test that starts a program meanwhile would have it
    /// open too.
    pub fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        let script = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
        let status = Command::new("sh").args(["-c", script]).arg(&path).arg(text).status().unwrap();
        assert!(status.success(), "{}", path.display());
        path
    }

    /// Copies the binary under test, by another process as in [`Environment::executable`].
    pub fn copy_binary(&self, to: &Path) {
        let status = Command::new("cp").arg(env!("CARGO_BIN_EXE_navtrace")).arg(to).status().unwrap();
        assert!(status.success(), "{}", to.display());
    }

    /// What is in the temporary directory: nothing, unless something was left behind.
    pub fn left_behind(&self) -> Vec<String> {
        let entries = fs::read_dir(self.temporary.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Chromium's audio makes one of these for each browser that plays a sound, with and without navtrace.
        names.filter(|name| !name.starts_with("pulse-")).collect()
    }

    /// The processes that carry this environment's temporary directory in theirs, as `id name` (zombies have no environment).
    pub fn processes(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.temporary.path().display());
        let entries = fs::read_dir("/proc").unwrap();
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| *id != std::process::id())
            .filter(|id| {
                let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
            })
            .map(|id| format!("{id} {}", fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim()))
            .collect()
    }
}

/// Tells whether a process has this path in its arguments. All processes of a browser have its profile's path there. Their environment does
/// not tell, since Chromium's renderers overwrite it.
pub fn is_in_use(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    fs::read_dir("/proc").unwrap().any(|entry| {
        let arguments = entry.and_then(|entry| fs::read(entry.path().join("cmdline"))).unwrap_or_default();
        arguments.windows(path.len()).any(|part| part == path)
    })
}

/// Standard error as text.
pub fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as text.
pub fn stdout(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
