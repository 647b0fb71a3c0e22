//! Starts the browser: prepares everything, forks the relay off, and becomes Chromium.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::launch::flags::{self, Additions};
use crate::launch::gate::Gate;
use crate::launch::relay::output::Output;
use crate::launch::relay::pipe::Pipe;
use crate::launch::relay::port::Port;
use crate::launch::relay::{Relay, Watch};
use crate::launch::{extension, find, latch, profile};
use crate::run::reports;
use crate::settings::Config;

/// A browser that is ready to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    browser: PathBuf,
    args: Vec<OsString>,
    gate: Gate,
    has_pipe: bool,
    port: Option<Port>,
    arm_timeout: Duration,
    temporary_profile: Option<TempDir>,
}

impl Launch {
    /// Finds the browser, provides the extension and prepares the profile for a client's arguments.
    pub(crate) fn prepare(config: &Config, args: &[OsString]) -> Result<Self, Failure> {
        let browser = find::find(config.browser.as_deref())?;
        let extension_dir = extension::provide(config.extension.as_deref())?;
        let binary = this_binary()?;

        let given_profile = flags::user_data_dir(args);
        let temporary_profile = match given_profile {
            Some(_) => None,
            None => Some(private("a temporary profile", || {
                files::temporary_directory_in(&files::temporary_root(), "navtrace-profile-")
            })?),
        };
        // The gate does what the latch would, and its host does not know of that.
        if let Some(Err(error)) = given_profile.as_deref().map(latch::remove) {
            tracing::debug!("the profile stays latched: {error}");
        }
        let temporary_path = temporary_profile.as_ref().map(TempDir::path);
        if let Some(dir) = given_profile.as_deref().or(temporary_path)
            && let Some(kept) = profile::prepare(dir, flags::value(args, "profile-directory"), &binary)?
        {
            reports::problem(&kept.to_string());
        }

        let no_sandbox = needs_no_sandbox() && !flags::has(args, "no-sandbox");
        if no_sandbox && !reports::is_heard() {
            say(NO_SANDBOX);
        }
        let gate = private("the gate's directory", Gate::create)?;
        let has_pipe = flags::has_devtools_pipe(args);
        let port = flags::devtools_port(args).and_then(take_port);
        let args = flags::rewrite(
            args,
            &Additions {
                extension_dir: &extension_dir,
                extension_id: extension::ID,
                user_data_dir: temporary_path,
                no_sandbox,
                port_is_ours: port.is_some(),
            },
        );
        Ok(Self { browser, args, gate, has_pipe, port, arm_timeout: config.arm_timeout, temporary_profile })
    }

    /// Becomes the browser, with the relay beside it. Returns only when that failed.
    ///
    /// No other thread may exist yet: the relay is forked off.
    pub(crate) fn exec(self) -> Failure {
        let browser = self.browser.clone();
        match self.become_browser() {
            Err(error) => {
                let message = format!(
                    "{} can't be started: {error}; close what uses up files or processes, or raise their limits (ulimit)",
                    browser.display()
                );
                Failure::new(ExitCode::Failure, message)
            }
            Ok(error) => cannot_start(&browser, &error),
        }
    }

    /// Gives why the browser could not be executed, once everything for it was there.
    fn become_browser(self) -> io::Result<io::Error> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (browser_stderr, write_end) = pipe()?;
        let (detached, relay_detached) = pipe()?;
        let commands = if self.has_pipe { Pipe::take_over()? } else { Pipe::default() };
        let mut command = Command::new(&self.browser);
        command.args(&self.args).env(environment::GATE_SOCKET, self.gate.path()).stderr(Stdio::from(write_end));

        let watch = Watch::this_process();
        // SAFETY: the launcher has only this one thread, so the child may do everything that this process may.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // Clients kill the browser's process group, and what was temporary must still go away.
                if let Err(error) = rustix::process::setsid() {
                    tracing::debug!("the relay has no session of its own: {error}");
                }
                // The browser's end of the pipe must be the only one: it stands in `command`.
                drop((command, detached, relay_detached));
                let relay = Relay {
                    gate: self.gate,
                    output: Output::new(browser_stderr, self.port.as_ref().map(Port::number)),
                    pipe: commands,
                    port: self.port,
                    watch,
                    arm_timeout: self.arm_timeout,
                    temporary: self.temporary_profile.map(TempDir::keep),
                };
                relay.run();
                std::process::exit(0)
            }
            _ => {
                // From here on the relay tidies up, whether this process becomes the browser or ends.
                self.gate.leave();
                let _ = self.temporary_profile.map(TempDir::keep);
                // The end of this pipe tells that the relay has left the process group, which a client may kill from now on.
                drop(relay_detached);
                let _ = rustix::io::read(&detached, &mut [0; 1]);
                Ok(command.exec())
            }
        }
    }
}

/// Listens on the port that a client chose. Where it can't, the browser does, and nobody is held back.
fn take_port(number: u16) -> Option<Port> {
    let taken = Port::bind(number);
    if let Err(error) = &taken {
        reports::problem(&format!(
            "port {number} can't be taken ({error}), so a client of that port is not held back until requests carry headers; choose \
             another --remote-debugging-port"
        ));
    }
    taken.ok()
}

/// What is said when the sandbox is turned off.
pub(crate) const NO_SANDBOX: &str = "running as root, where Chromium has no sandbox: starting it with --no-sandbox";

/// Tells whether Chromium would refuse to start without `--no-sandbox`.
pub(crate) fn needs_no_sandbox() -> bool {
    rustix::process::geteuid().is_root()
}

/// The path of this program, which Chromium starts as the host.
pub(crate) fn this_binary() -> Result<PathBuf, Failure> {
    // Not the link by whose name this may have been started: under that name it is the browser.
    std::env::current_exe().and_then(std::fs::canonicalize).map_err(|error| {
        Failure::new(ExitCode::Failure, format!("navtrace can't find its own program file: {error}; install it again"))
    })
}

fn private<T>(what: &str, make: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
    make().map_err(|error| {
        let message =
            format!("{what} can't be made: {error}; free some space, or set TMPDIR to a folder that you may write to");
        Failure::new(ExitCode::Failure, message)
    })
}

fn cannot_start(browser: &std::path::Path, error: &io::Error) -> Failure {
    let message =
        format!("{} can't be started: {error}; set NAVTRACE_BROWSER to the path of a Chromium", browser.display());
    Failure::new(ExitCode::CannotExecute, message)
}
