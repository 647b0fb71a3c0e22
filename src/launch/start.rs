//! Starts the browser: prepares everything, forks the relay, and becomes Chromium.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::pipe::PipeFlags;

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::base::temporary::{self, TemporaryDirectory};
use crate::launch::find::started;
use crate::launch::flags::{self, AddedFlags};
use crate::launch::fork::{self, Side};
use crate::launch::gate::Gate;
use crate::launch::relay::Relay;
use crate::launch::relay::output::BrowserOutput;
use crate::launch::relay::pipe::CommandPipe;
use crate::launch::relay::port::ClientPort;
use crate::launch::relay::port_file::PortFile;
use crate::launch::watch::BrowserWatch;
use crate::launch::{devtools, extension, find, latch, machine, names, profile, worker_order};

/// The settings of a start.
#[derive(Debug, Clone)]
pub(crate) struct LaunchOptions {
    /// The browser's path or name. Otherwise the usual ones are tried.
    pub(crate) browser: Option<PathBuf>,
    /// A folder to load instead of the embedded extension.
    pub(crate) extension: Option<PathBuf>,
    /// Time after which the client is let through even if the extension is not armed.
    pub(crate) arm_timeout: Duration,
    /// Whether `navtrace run` started this launch. It has already warned about the sandbox.
    pub(crate) is_under_run: bool,
    /// Reports a problem to `navtrace run`. Returns whether it received the sentence.
    pub(crate) report_problem: fn(&str) -> bool,
}

impl LaunchOptions {
    /// Reports a problem to the user through `navtrace run`, or else on standard error.
    pub(super) fn tell(&self, problem: &str) {
        if !(self.report_problem)(problem) {
            say(problem);
        }
    }

    /// Finds the browser, and tells of those that a client's variable names and that are not started.
    pub(super) fn find_browser(&self) -> Result<PathBuf, Failure> {
        let browser = find::find(self.browser.as_deref())?;
        for sentence in &browser.warnings {
            self.tell(sentence);
        }
        Ok(browser.path)
    }

    /// Prepares the profile that the client names in its arguments, or a temporary one, which is returned. Registers the host at `host` there.
    pub(super) fn prepare_profile(
        &self,
        args: &[OsString],
        host: Option<&Path>,
    ) -> Result<Option<TemporaryDirectory>, Failure> {
        let client_profile = flags::user_data_dir(args);
        let temporary_profile = match client_profile {
            Some(_) => None,
            None => {
                Some(create("a temporary profile", || TemporaryDirectory::create_in(&temporary::root(), "profile"))?)
            }
        };
        // A browser of the launcher has no host that would release the latch: the gate does the latch's job, or nothing is held back.
        if let Some(Err(error)) = client_profile.as_deref().map(latch::remove) {
            tracing::debug!("the profile stays latched: {error}");
        }
        if let Some(dir) = client_profile.as_deref().or(temporary_profile.as_ref().map(TemporaryDirectory::path))
            && let Some(backup) = profile::prepare(dir, flags::value(args, "profile-directory"), host)?
        {
            self.tell(&backup.to_string());
        }
        Ok(temporary_profile)
    }

    /// Returns the switches that this machine needs besides the client's arguments, and warns if the sandbox is off.
    pub(super) fn machine_switches(&self, args: &[OsString]) -> Vec<&'static str> {
        let is_given = |name| flags::has(args, name);
        let missing_sandbox = if is_given(machine::NO_SANDBOX) { None } else { machine::missing_sandbox() };
        if let Some(reason) = missing_sandbox.filter(|_| !self.is_under_run) {
            say(&machine::sandbox_warning(reason));
        }
        let needs_files = !is_given(machine::NO_SHARED_MEMORY) && machine::lacks_shared_memory();
        let switches = [missing_sandbox.map(|_| machine::NO_SANDBOX), needs_files.then_some(machine::NO_SHARED_MEMORY)];
        switches.into_iter().flatten().collect()
    }
}

/// A browser that is ready to start.
#[derive(Debug)]
pub(crate) struct PreparedBrowser {
    browser: PathBuf,
    args: Vec<OsString>,
    gate: Gate,
    has_pipe: bool,
    port: Option<ClientPort>,
    port_file: Option<PortFile>,
    /// The file in which the browser names its `DevTools` port; `None` if no client can use `DevTools`.
    devtools_file: Option<PathBuf>,
    temporary_profile: Option<TemporaryDirectory>,
    options: LaunchOptions,
}

impl PreparedBrowser {
    /// Finds the browser, and prepares extension, profile and gate for a client's arguments.
    pub(crate) fn prepare(options: LaunchOptions, args: &[OsString]) -> Result<Self, Failure> {
        let browser = options.find_browser()?;
        let extension_dir = extension::provide(options.extension.as_deref())?;
        let binary = this_binary()?;

        let temporary_profile = options.prepare_profile(args, Some(&binary))?;
        let machine = options.machine_switches(args);
        let gate = create("the gate's directory", Gate::create)?;
        worker_order::announce(&gate.path(), args);
        let has_pipe = flags::has_devtools_pipe(args);
        let (port, port_file) = match (flags::devtools_port(args), flags::user_data_dir(args)) {
            (Some(0), Some(dir)) => (None, take_port_file(&dir, &options)),
            // Without a profile that it knows, a client cannot look for the file.
            (None | Some(0), _) => (None, None),
            (Some(number), _) => (take_port(number, &options), None),
        };
        let adds_port = has_pipe && !flags::has_devtools_port(args);
        let profile = flags::user_data_dir(args).or(temporary_profile.as_ref().map(|dir| dir.path().to_owned()));
        let devtools_file = profile
            .filter(|_| adds_port || flags::has_devtools_port(args))
            .and_then(|dir| devtools::port_file(&dir).ok());
        let added = AddedFlags {
            extension_dir: &extension_dir,
            granted_id: Some(extension::ID),
            user_data_dir: temporary_profile.as_ref().map(TemporaryDirectory::path),
            machine: &machine,
            port: port.as_ref().map(|_| 0).or(port_file.as_ref().map(PortFile::port)),
            adds_port,
        };
        let args = flags::rewrite(args, &added);
        Ok(Self { browser, args, gate, has_pipe, port, port_file, devtools_file, temporary_profile, options })
    }

    /// Becomes the browser, with the relay beside it. Returns only if that failed.
    ///
    /// Must be called while this process has only one thread, because it forks.
    pub(crate) fn exec(self) -> Failure {
        let browser = self.browser.clone();
        if let Err(failure) = fork::ensure_single_thread() {
            return failure;
        }
        match self.fork_relay() {
            Err(error) => cannot_fork(&browser, error),
            Ok(mut command) => cannot_execute(&browser, command.exec()),
        }
    }

    /// Forks the relay and returns the browser's command, which this process is to become.
    fn fork_relay(self) -> io::Result<Command> {
        let (browser_stderr, write_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let commands = if self.has_pipe { CommandPipe::take_over()? } else { CommandPipe::default() };
        let mut command = Command::new(&self.browser);
        command
            .args(&self.args)
            .env(environment::GATE_SOCKET, self.gate.path())
            .envs([started::variable(&self.browser)])
            .envs(names::search_path_without_links())
            .stderr(Stdio::from(write_end));
        if let Some(file) = self.devtools_file {
            command.env(environment::DEVTOOLS_FILE, file);
        }
        let relay = Relay {
            gate: self.gate,
            output: BrowserOutput::new(
                browser_stderr,
                self.port.is_some() || self.port_file.is_some(),
                self.port.as_ref().map(ClientPort::number),
            ),
            commands,
            port: self.port,
            port_file: self.port_file,
            watch: BrowserWatch::this_process(),
            arm_timeout: self.options.arm_timeout,
            report_problem: self.options.report_problem,
            temporary_profile: self.temporary_profile,
            sweeps: !self.options.is_under_run,
        };
        match fork::fork()? {
            Side::Beside => {
                // The browser's end of the pipe, which is in `command`, must be the only one.
                drop(command);
                relay.run();
                std::process::exit(0)
            }
            Side::Launcher => {
                relay.leave();
                Ok(command)
            }
        }
    }
}

/// Makes the failure of a browser start for which no process could be forked.
pub(super) fn cannot_fork(browser: &Path, error: io::Error) -> Failure {
    cannot_start(browser, ExitCode::Failure, error)
        .hint("close what uses up files or processes, or raise their limits (ulimit)")
}

/// Makes the failure of a browser that the system could not execute.
pub(super) fn cannot_execute(browser: &Path, error: io::Error) -> Failure {
    cannot_start(browser, ExitCode::CannotExecute, error).hint("set NAVTRACE_BROWSER to the path of a Chromium")
}

fn cannot_start(browser: &Path, exit: ExitCode, error: io::Error) -> Failure {
    Failure::new(exit, format!("{} can't be started", browser.display())).because(error)
}

/// Listens on the port that a client chose. If that fails, the browser listens there and no client is held back.
fn take_port(number: u16, options: &LaunchOptions) -> Option<ClientPort> {
    ClientPort::bind(number)
        .inspect_err(|error| {
            options.tell(&format!(
                "port {number} can't be taken ({error}), so a client of that port is not held back until requests carry headers; choose \
                 another --remote-debugging-port"
            ));
        })
        .ok()
}

/// Takes over the file by which a client learns the port that Chromium chooses. If that fails, Chromium writes it and no client is held back.
fn take_port_file(user_data_dir: &Path, options: &LaunchOptions) -> Option<PortFile> {
    PortFile::prepare(user_data_dir).unwrap_or_else(|error| {
        options.tell(&format!(
            "the browser's port can't be held back ({error}), so a client that finds it in {} does not wait until requests carry headers; name \
             another --user-data-dir",
            user_data_dir.display()
        ));
        None
    })
}

/// Returns the path of this program, which Chromium starts as the host.
pub(crate) fn this_binary() -> Result<PathBuf, Failure> {
    // Follows the link `navtrace-chromium`: by that name the program would be the browser.
    std::env::current_exe().and_then(std::fs::canonicalize).map_err(|error| {
        Failure::new(ExitCode::Failure, "navtrace can't find its own program file")
            .because(error)
            .hint("install it again")
    })
}

/// Creates something temporary. The failure has its `name`.
pub(super) fn create<T>(name: &str, create: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
    create().map_err(|error| {
        Failure::new(ExitCode::Failure, format!("{name} can't be created"))
            .because(error)
            .hint("free some space, or set TMPDIR to a folder that you may write to")
    })
}
