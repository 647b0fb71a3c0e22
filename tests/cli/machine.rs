//! A made-up machine with browsers, for `navtrace install`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::navtrace::{Environment, copy_binary, stderr, stdout};

/// Path of the host manifest below a user data directory.
pub(crate) const HOST: &str = "NativeMessagingHosts/dev.navtrace.host.json";

pub(crate) struct Machine {
    environment: Environment,
    pub(crate) binary: PathBuf,
}

impl Machine {
    /// Makes a machine with these programs on PATH.
    pub(crate) fn with(programs: &[&str]) -> Self {
        let environment = Environment::new();
        fs::create_dir(environment.home().join("bin")).unwrap();
        for program in programs {
            environment.program(&format!("bin/{program}"), "");
        }
        Self { environment, binary: env!("CARGO_BIN_EXE_navtrace").into() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.environment.home()
    }

    /// Returns a command of navtrace in this environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let command = self.environment.navtrace(args);
        let mut other = Command::new(&self.binary);
        other.args(args).env("PATH", self.home().join("bin"));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        other
    }

    /// Copies the binary, and uses the copy from now on.
    pub(crate) fn copy_binary(&mut self, to: PathBuf) {
        copy_binary(&to);
        self.binary = to;
    }

    /// Runs navtrace and returns its exit code and output as one text.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.exit_and_output(&self.command(args).output().unwrap())
    }

    pub(crate) fn exit_and_output(&self, output: &Output) -> String {
        let text = format!("exit {}\n{}{}", output.status.code().unwrap(), stdout(output), stderr(output));
        self.plain(&text)
    }

    /// Replaces the paths that differ from run to run.
    fn plain(&self, text: &str) -> String {
        let canonical = fs::canonicalize(self.home()).unwrap();
        text.replace(env!("CARGO_BIN_EXE_navtrace"), "NAVTRACE")
            .replace(canonical.to_str().unwrap(), "~")
            .replace(self.home().to_str().unwrap(), "~")
    }

    /// Lists everything in the home with its mode, except the files of the extension.
    pub(crate) fn tree(&self) -> String {
        let mut lines = Vec::new();
        list(self.home(), self.home(), &mut lines);
        lines.sort();
        lines.join("\n")
    }

    pub(crate) fn host(&self, browser: &str) -> PathBuf {
        self.home().join(".config").join(browser).join(HOST)
    }
}

fn list(dir: &Path, base: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let path = entry.path();
        lines.push(format!("{} {mode:o}", path.strip_prefix(base).unwrap().display()));
        if entry.file_type().unwrap().is_dir() && !path.ends_with("navtrace/extension") {
            list(&path, base, lines);
        }
    }
}
