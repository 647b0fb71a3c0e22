//! `navtrace run`: runs a command whose browsers are traced, and says what was traced.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode as ProcessExitCode, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};
use tempfile::TempDir;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::cli::settings::Flags;
use crate::cli::{BROWSER_NAME, collect};
use crate::collect::receiver::Collector;
use crate::launch::{extension, find, start};
use crate::run::progress::Progress;
use crate::run::reports::{self, Receiver};
use crate::run::{collector, summary};
use crate::settings::assignment::Source;
use crate::settings::export::{ENDPOINT, EXPORTER, PROTOCOL, SCHEDULE_DELAY, TRACES_ENDPOINT, TRACES_PROTOCOL};
use crate::settings::{self, Config};

/// Run a command whose browsers carry trace context
///
/// Sets the variables by which k6, Puppeteer and others find their browser (K6_BROWSER_EXECUTABLE_PATH, PUPPETEER_EXECUTABLE_PATH,
/// CHROME_BIN; with Playwright, pass the last as executablePath), runs the command with its own standard streams and exit status,
/// and then says on standard error what was traced.
///
/// Unless OTEL_EXPORTER_OTLP_ENDPOINT names a collector, spans are received here: the browser's, and those of services that send them to the
/// same place. The command's environment says where that is.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "navtrace run [OPTIONS] -- <CMD>...",
    after_help = "Examples:\n  navtrace run -- k6 run script.js\n  navtrace run --output traces.jsonl -- node puppeteer-test.js"
)]
pub(super) struct Args {
    #[command(flatten)]
    collect: collect::Options,

    /// How long services may be silent before their last spans are taken to have arrived, once CMD has ended
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = collect::duration)]
    wait: Duration,

    #[command(flatten)]
    pub(super) flags: Flags,

    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// What clients read to find the browser that they start.
const BROWSER_VARIABLES: [&str; 3] = ["K6_BROWSER_EXECUTABLE_PATH", "PUPPETEER_EXECUTABLE_PATH", "CHROME_BIN"];

/// How long hosts that outlive the command are waited for.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// How long spans wait for others in the services that CMD starts, and in its browsers, when they go to the collector here: whoever looks at a
/// trace when the test has ended wants it whole. Milliseconds.
const COLLECTED_DELAY: &str = "500";

/// The signals that a command is sent to make it stop or speak.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Runs the command and gives its exit status.
pub(super) fn run(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    // What would keep every browser from starting is said once, before anything runs.
    let browser = find::find(config.browser.as_deref())?;
    let extension = extension::provide(config.extension.as_deref())?;
    if start::needs_no_sandbox() {
        say(start::NO_SANDBOX);
    }

    let set_up = |error| {
        let message = format!("the run can't be set up: {error}; set TMPDIR to a folder that you may write to");
        Failure::new(ExitCode::Failure, message)
    };
    // From here on no signal ends this process and leaves the command or a directory behind.
    let signals = SignalsInfo::<WithOrigin>::new(passed_on()).map_err(set_up)?;
    let dir = files::temporary_directory("navtrace-run-").map_err(set_up)?;
    let receiver = Receiver::listen(dir.path(), say).map_err(set_up)?;
    let link = link_browser_name(&dir).map_err(set_up)?;
    let collector = start_collector(config, &args.collect)?;

    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .envs(config.environment())
        .env(settings::BROWSER, browser)
        .env(reports::VARIABLE, receiver.path())
        .envs(BROWSER_VARIABLES.map(|name| (name, &link)));
    if config.extension.is_some() {
        // As it was checked: the browser may be started from another directory.
        command.env(settings::EXTENSION, extension);
    }
    if let Some(collector) = &collector {
        give_endpoint(config, &mut command, collector.receiver());
    }
    let progress = Progress::start(receiver.watch());
    let status = supervise(command, signals).map_err(|error| cannot_run(&args.command[0], &error));
    drop(progress);
    let ledger = receiver.finish(LAST_REPORTS);
    let collected = collector.map(|collector| collector.finish(args.wait, config.link.as_ref()));
    let status = status?;

    for line in summary::summary(&ledger, collected.as_ref(), config.link.as_ref()) {
        say(&line);
    }
    Ok(exit_code(status))
}

/// Starts the collector where nobody named another one.
fn start_collector(config: &Config, options: &collect::Options) -> Result<Option<collector::Running>, Failure> {
    let in_the_way = match &config.export.endpoint {
        None => format!("the export is switched off: unset {EXPORTER} and OTEL_SDK_DISABLED"),
        Some(endpoint) if !endpoint.is_default => {
            format!("spans go to {}: unset {ENDPOINT} and {TRACES_ENDPOINT}", endpoint.name())
        }
        Some(_) => {
            let running = collector::start(&options.to_collector())?;
            let endpoint = running.receiver().endpoint();
            say(&format!(
                "spans are collected at {endpoint}, where services can send theirs too ({ENDPOINT}={endpoint})"
            ));
            return Ok(Some(running));
        }
    };
    if let Some(option) = options.given() {
        return Err(Failure::new(ExitCode::Usage, format!("{option} can't be used while {in_the_way}")));
    }
    Ok(None)
}

/// Tells a command and whatever it starts where spans go.
fn give_endpoint(config: &Config, command: &mut Command, collector: &Collector) {
    let protocol = "http/protobuf";
    command.env(ENDPOINT, collector.endpoint()).env(PROTOCOL, protocol).env_remove(TRACES_PROTOCOL);
    if matches!(config.source(TRACES_PROTOCOL), Source::File(_)) {
        // The browser's host reads the file too.
        command.env(TRACES_PROTOCOL, protocol);
    }
    if *config.source(SCHEDULE_DELAY) == Source::Default {
        command.env(SCHEDULE_DELAY, COLLECTED_DELAY);
    }
}

/// Makes the name under which this program is the browser. A bare path is all that clients take, no arguments fit in it.
fn link_browser_name(dir: &TempDir) -> io::Result<PathBuf> {
    let link = dir.path().join(BROWSER_NAME);
    std::os::unix::fs::symlink(std::env::current_exe()?, &link)?;
    Ok(link)
}

/// The signals to pass on: those that this process was not told to ignore, as `nohup` does. What it ignores, the command ignores too.
fn passed_on() -> Vec<i32> {
    let is_ignored = |signal: &i32| {
        // SAFETY: a zeroed sigaction is a valid one, and asking for the current one changes nothing.
        let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
        let asked = unsafe { libc::sigaction(*signal, std::ptr::null(), &raw mut current) };
        asked == 0 && current.sa_sigaction == libc::SIG_IGN
    };
    PASSED_ON.into_iter().filter(|signal| !is_ignored(signal)).collect()
}

/// Runs the command to its end and passes signals on to it meanwhile.
fn supervise(mut command: Command, mut signals: SignalsInfo<WithOrigin>) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let target = Arc::new(Mutex::new(pid_of(&child)));
    let handle = signals.handle();
    let for_signals = Arc::clone(&target);
    let passing_on = std::thread::spawn(move || {
        for origin in &mut signals {
            if reached_the_command_already(&origin) {
                continue;
            }
            let target = for_signals.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(pid), Some(signal)) = (*target, Signal::from_named_raw(origin.signal)) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });

    if let Some(Err(error)) = pid_of(&child).map(wait_without_reaping) {
        tracing::debug!("waiting for the command: {error}");
    }
    // Once it is reaped its id may become another process's, so nobody may signal it from here on.
    *target.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let status = child.wait();
    handle.close();
    let _ = passing_on.join();
    status
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Waits for the command and reaps everybody else: as the first process of a container this one inherits relays and hosts.
fn wait_without_reaping(command: Pid) -> io::Result<()> {
    loop {
        let ended = next_ended_child()?;
        if ended == Some(command) {
            return Ok(());
        }
        if let Some(orphan) = ended {
            rustix::process::waitpid(Some(orphan), WaitOptions::empty())?;
        }
    }
}

/// Waits until some child has ended, and leaves it to be reaped.
fn next_ended_child() -> io::Result<Option<Pid>> {
    // SAFETY: a zeroed siginfo is a valid one, and waitid fills it in when it succeeds.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let waited = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
    match io::Error::last_os_error() {
        _ if waited == 0 => Ok(Pid::from_raw(unsafe { info.si_pid() })),
        error if error.kind() == ErrorKind::Interrupted => Ok(None),
        error => Err(error),
    }
}

/// Ctrl-C in a terminal reaches the command by itself, and k6 takes a second one for "stop at once". A hangup reaches this process alone when
/// it leads the session.
fn reached_the_command_already(origin: &Origin) -> bool {
    origin.signal != SIGHUP && matches!(origin.cause, Cause::Kernel)
}

fn cannot_run(program: &OsString, error: &io::Error) -> Failure {
    let path = Path::new(program);
    let program = path.display();
    match error.kind() {
        ErrorKind::NotFound if path.is_file() => Failure::new(
            ExitCode::CannotExecute,
            format!("{program} can't be run: the interpreter in its first line is missing"),
        ),
        ErrorKind::NotFound => {
            Failure::new(ExitCode::NotFound, format!("{program}: no such program; check its name, or give its path"))
        }
        _ => Failure::new(ExitCode::CannotExecute, format!("{program} can't be run: {error}")),
    }
}

/// The command's own status, as a shell would give it: 128 plus the signal for one that was killed.
fn exit_code(status: ExitStatus) -> ProcessExitCode {
    let killed = || status.signal().map_or(1, |signal| 128 + signal);
    let code = status.code().unwrap_or_else(killed);
    u8::try_from(code).unwrap_or(ExitCode::Failure as u8).into()
}
