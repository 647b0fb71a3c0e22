//! `navtrace run`: runs a command whose browsers are traced, and says what was traced.

use std::collections::BTreeMap;
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
use url::Url;

use super::{BROWSER_NAME, counted};
use crate::browser::{extension, find, private, process};
use crate::config::{self, Config};
use crate::export::record::Exported;
use crate::failure::{ExitCode, Failure};
use crate::observe::tally::{Slowest, Tally};
use crate::report::{self, Ledger, Receiver, Trace};
use crate::say::say;

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
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// How much of a path a summary shows.
const LONGEST_PATH: usize = 60;

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
    if process::needs_no_sandbox() {
        say(process::NO_SANDBOX);
    }

    let set_up = |error| {
        let message = format!("the run can't be set up: {error}; set TMPDIR to a folder that you may write to");
        Failure::new(ExitCode::Failure, message)
    };
    // From here on no signal ends this process and leaves the command or a directory behind.
    let signals = SignalsInfo::<WithOrigin>::new(passed_on()).map_err(set_up)?;
    let dir = private::temporary_directory("navtrace-run-").map_err(set_up)?;
    let receiver = Receiver::listen(dir.path(), say).map_err(set_up)?;
    let link = link_browser_name(&dir).map_err(set_up)?;

    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env(config::BROWSER, browser)
        .env(report::VARIABLE, receiver.path())
        .envs(BROWSER_VARIABLES.map(|name| (name, &link)));
    if config.extension.is_some() {
        // As it was checked: the browser may be started from another directory.
        command.env(config::EXTENSION, extension);
    }
    let status = supervise(command, signals).map_err(|error| cannot_run(&args.command[0], &error))?;

    summarise(&receiver.finish(LAST_REPORTS));
    Ok(exit_code(status))
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
    if ledger.further_problems > 0 {
        lines.push(format!("{} more, not told one by one", counted(ledger.further_problems, "problem")));
    }
    if ledger.traces.is_empty() {
        lines.push(
            "no browser was traced: did the command start one? (Playwright and Selenium need to be given CHROME_BIN as the browser's path)"
                .to_owned(),
        );
        return lines;
    }
    lines.push(counted(ledger.traces.len(), "trace"));
    lines.extend(ledger.traces.iter().map(trace_line));
    lines
}

/// Everything about one trace, its parts two blanks apart.
fn trace_line(trace: &Trace) -> String {
    let Tally { navigations, requests, failures, cache_hits, slowest, dropped } = &trace.tally;
    let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let ended = trace.ended.map(|ended| ended.duration_since(trace.started));
    let parts = [
        Some(trace.id.to_string()),
        Some(counted(*navigations, "navigation")),
        Some(counted(*requests, "request")),
        some(*failures, "failed"),
        some(*cache_hits, "from cache"),
        some(usize::try_from(*dropped).unwrap_or(usize::MAX), "events not seen"),
        Some(ended.map_or("not ended".to_owned(), |duration| format!("{:.2} s", duration.as_secs_f64()))),
        slowest.as_ref().map(slowest_request),
        Some(trace.mode.map_or("never armed".to_owned(), |mode| format!("{mode} mode"))),
        Some(trace.exported.map_or("export not ended".to_owned(), export_state)),
    ];
    format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

/// The slowest request, without what all addresses have.
fn slowest_request(slowest: &Slowest) -> String {
    let (method, address) = slowest.name.split_once(' ').unwrap_or(("", &slowest.name));
    let path = Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.path().to_owned());
    let path = match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    };
    format!("slowest {:.0} ms {method} {path}", Duration::from_nanos(slowest.duration).as_secs_f64() * 1000.0)
}

fn export_state(exported: Exported) -> String {
    let Exported { exported, refused, spooled, lost } = exported;
    let parts = [(exported, "exported"), (refused, "refused"), (spooled, "kept for later"), (lost, "lost")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count, "span")))
        .collect();
    if parts.is_empty() { "nothing exported".to_owned() } else { parts.join(", ") }
}
