//! `navtrace run`: runs a command whose browsers are traced, and says what was traced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode as ProcessExitCode, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};
use tempfile::TempDir;

use super::BROWSER_NAME;
use crate::browser::{extension, find, private_dir, process};
use crate::config::{self, Config};
use crate::failure::{ExitCode, Failure};
use crate::report::{self, Ledger, Receiver};

/// Run a command whose browsers carry trace context
///
/// Sets the variables by which k6, Puppeteer and others find their browser (K6_BROWSER_EXECUTABLE_PATH, PUPPETEER_EXECUTABLE_PATH,
/// CHROME_BIN; with Playwright, pass the last as executablePath), runs the command with its own standard streams and exit status,
/// and then says on standard error what was traced.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "navtrace run -- <CMD>...",
    after_help = "Examples:\n  navtrace run -- k6 run script.js\n  navtrace run -- node puppeteer-test.js"
)]
pub(super) struct Args {
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// What clients read to find the browser that they start.
const BROWSER_VARIABLES: [&str; 3] = ["K6_BROWSER_EXECUTABLE_PATH", "PUPPETEER_EXECUTABLE_PATH", "CHROME_BIN"];

/// How long hosts that outlive the command are waited for.
const LAST_REPORTS: Duration = Duration::from_secs(3);

/// The signals that a command is sent to make it stop or speak.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Runs the command and gives its exit status.
pub(super) fn run(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    for warning in &config.warnings {
        say(warning);
    }
    // What would keep every browser from starting is said once, before anything runs.
    let browser = find::find(own_or_clients_browser(config).as_deref())?;
    extension::provide(config.extension.as_deref())?;
    if process::needs_no_sandbox() {
        say(process::NO_SANDBOX);
    }

    let set_up = |error| Failure::new(ExitCode::Failure, format!("the run can't be set up: {error}"));
    let dir = private_dir::create("navtrace-run-").map_err(set_up)?;
    let receiver = Receiver::listen(dir.path(), say).map_err(set_up)?;
    let link = link_browser_name(&dir).map_err(set_up)?;

    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env(config::BROWSER, browser)
        .env(report::VARIABLE, receiver.path())
        .envs(BROWSER_VARIABLES.map(|name| (name, &link)));
    let status = supervise(command).map_err(|error| cannot_run(&args.command[0], &error))?;

    summarise(&receiver.finish(LAST_REPORTS));
    Ok(exit_code(status))
}

/// The browser that the user chose: for navtrace, or else for the client whose variable is about to be set.
fn own_or_clients_browser(config: &Config) -> Option<PathBuf> {
    let clients = || BROWSER_VARIABLES.iter().find_map(std::env::var_os).filter(|path| !path.is_empty());
    config.browser.clone().or_else(|| clients().map(PathBuf::from))
}

/// Makes the name under which this program is the browser. A bare path is all that clients take, no arguments fit in it.
fn link_browser_name(dir: &TempDir) -> io::Result<PathBuf> {
    let link = dir.path().join(BROWSER_NAME);
    std::os::unix::fs::symlink(std::env::current_exe()?, &link)?;
    Ok(link)
}

/// Runs the command to its end and passes signals on to it meanwhile.
fn supervise(mut command: Command) -> io::Result<ExitStatus> {
    // Registered before the command starts, so that no signal ends this process and leaves the command alone.
    let mut signals = SignalsInfo::<WithOrigin>::new(PASSED_ON)?;
    let mut child = command.spawn()?;
    let target = Arc::new(Mutex::new(pid_of(&child)));
    let handle = signals.handle();
    let for_signals = Arc::clone(&target);
    let passing_on = std::thread::spawn(move || {
        for origin in &mut signals {
            if comes_from_terminal(&origin) {
                continue;
            }
            let target = for_signals.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(pid), Some(signal)) = (*target, Signal::from_named_raw(origin.signal)) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });

    let ended = pid_of(&child).map(wait_without_reaping);
    if let Some(Err(error)) = ended {
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

fn wait_without_reaping(pid: Pid) -> rustix::io::Result<()> {
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Ctrl-C in a terminal reaches the command by itself, and k6 takes a second one for "stop at once".
fn comes_from_terminal(origin: &Origin) -> bool {
    matches!(origin.cause, Cause::Kernel)
}

fn cannot_run(program: &OsString, error: &io::Error) -> Failure {
    let program = Path::new(program).display();
    match error.kind() {
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

fn say(sentence: &str) {
    eprintln!("navtrace: {sentence}");
}

fn summarise(ledger: &Ledger) {
    for line in summary(ledger) {
        say(&line);
    }
}

/// One line per trace, and how often a problem came up that was told once.
fn summary(ledger: &Ledger) -> Vec<String> {
    let repeated = |problems: &BTreeMap<String, usize>| -> Vec<String> {
        let often = problems.iter().filter(|(_, count)| **count > 1);
        often.map(|(problem, count)| format!("{count} times: {problem}")).collect()
    };
    let mut lines = repeated(&ledger.problems);
    if ledger.traces.is_empty() {
        lines.push(
            "no browser was traced: did the command start one? (Playwright and Selenium need to be given CHROME_BIN as the browser's path)"
                .to_owned(),
        );
        return lines;
    }
    lines.push(counted(ledger.traces.len(), "trace"));
    for trace in &ledger.traces {
        let ended = trace.ended.map(|ended| ended.duration_since(trace.started));
        let duration = ended.map_or("not ended".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()));
        lines.push(format!("  {}  {}  {duration}", trace.id, counted(trace.navigations, "navigation")));
    }
    lines
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
