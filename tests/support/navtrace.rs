//! Runs the real binary in a private environment: its own home and temporary directory, and no settings but those of the test.
//!
//! Every test binary uses only a part of this.
#![allow(dead_code, unreachable_pub)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Prefixes of variables that are removed from the environment of the tests.
const CLEARED: [&str; 12] = [
    "CHROME_",
    "CHROMIUM_",
    "K6_",
    "NAVTRACE_",
    "OTEL_",
    "PLAYWRIGHT_",
    "PUPPETEER_",
    "PW_",
    "SE_",
    "TAIKO_",
    "TEST_",
    "XDG_",
];

/// A home and a temporary directory, which are deleted when this is dropped.
pub struct Environment {
    home: TempDir,
    temporary: TempDir,
}

impl Environment {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() }
    }

    /// Returns the home, which is also a place for files of the test.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the directory for temporary files.
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// Returns a command of the binary under test in this environment. By default its gate waits long enough for a slow machine, and it exports
    /// nothing.
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
        // Overridden by [`Environment::exporting`].
        command.env("OTEL_TRACES_EXPORTER", "none");
        command
    }

    /// Returns variables for the export to a collector.
    pub fn exporting(endpoint: &str) -> [(&'static str, String); 3] {
        [
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ]
    }

    /// Writes a shell script to the home and returns its path.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        self.executable(name, &format!("#!/bin/sh\n{script}\n"))
    }

    /// Writes an executable file to the home and returns its path.
    ///
    /// Another process writes it. A file that is open for writing can't be executed, and a program that another test starts at the same time
    /// would inherit the open file for a moment.
    pub fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        let script = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
        let status = Command::new("sh").args(["-c", script]).arg(&path).arg(text).status().unwrap();
        assert!(status.success(), "{}", path.display());
        path
    }

    /// Lists the temporary directory, which navtrace must leave empty.
    pub fn left_behind(&self) -> Vec<String> {
        let entries = fs::read_dir(self.temporary.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Chromium leaves one for each browser that plays a sound, with and without navtrace.
        names.filter(|name| !name.starts_with("pulse-")).collect()
    }

    /// Lists the processes that have this temporary directory in their environment, as `id name`. Zombies have no environment.
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

/// Copies the binary under test, by another process for the same reason as in [`Environment::executable`].
pub fn copy_binary(to: &Path) {
    let status = Command::new("cp").arg(env!("CARGO_BIN_EXE_navtrace")).arg(to).status().unwrap();
    assert!(status.success(), "{}", to.display());
}

/// Tells whether a process has this path in its arguments, as all processes of a browser have that of the profile. Their environment can't
/// tell, since Chromium's renderers overwrite it.
pub fn is_in_use(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    fs::read_dir("/proc").unwrap().any(|entry| {
        let arguments = entry.and_then(|entry| fs::read(entry.path().join("cmdline"))).unwrap_or_default();
        arguments.windows(path.len()).any(|part| part == path)
    })
}

pub fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn stdout(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
