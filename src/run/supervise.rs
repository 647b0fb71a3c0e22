//! Starts a command, passes signals on to it, reaps orphans, and reads its exit status.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, WaitOptions};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level::siginfo::{Cause, Origin};

use crate::base::failure::{ExitCode, Failure};
use crate::base::lock;
use crate::base::signals::{self, Signals};
use crate::base::stdio::say;
use crate::base::threads;

/// Signals that ask a command to stop or to report something.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Catches the signals to pass on, except ignored ones: the command inherits that they are ignored.
pub(super) fn catch_signals() -> Result<Signals, Failure> {
    let wanted: Vec<i32> = PASSED_ON.into_iter().filter(|signal| !signals::is_ignored(*signal)).collect();
    signals::catch(&wanted)
}

/// Starts the command.
pub(super) fn start(command: &mut Command) -> Result<Child, Failure> {
    command.spawn().map_err(|error| cannot_run(command.get_program(), &error))
}

/// Waits for the command's end and passes signals on to it meanwhile. Also returns the signals that arrive from then on.
pub(super) fn wait(mut child: Child, mut signals: Signals) -> Result<(ExitStatus, Signals), Failure> {
    let target = Arc::new(Mutex::new(pid_of(&child)));
    let handle = signals.handle();
    let target_of_thread = Arc::clone(&target);
    let passing_on = threads::start("signals", move || {
        for origin in &mut signals {
            if has_reached_the_command(&origin) {
                continue;
            }
            let target = lock(&target_of_thread);
            if let (Some(pid), Some(signal)) = (*target, Signal::from_named_raw(origin.signal)) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });

    if let Err(failure) = &passing_on {
        say(&format!("signals are not passed on to the command: {failure}"));
    }
    if let Some(Err(error)) = pid_of(&child).map(wait_without_reaping) {
        tracing::debug!("waiting for the command: {error}");
    }
    // Those before were meant for the command, so they must not count as signals after its end.
    let later = catch_signals();
    // Reaping frees the process id for another process, which must not get this one's signals.
    *lock(&target) = None;
    let status = child.wait();
    handle.close();
    let _ = passing_on.map(JoinHandle::join);
    let status =
        status.map_err(|error| Failure::new(ExitCode::Failure, "the command's status is lost").because(error))?;
    Ok((status, later?))
}

/// Converts a status as a shell does: 128 plus the signal's number when a signal killed the command.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let killed = || status.signal().map_or(1, |signal| 128 + signal);
    let code = status.code().unwrap_or_else(killed);
    u8::try_from(code).unwrap_or(ExitCode::Failure as u8)
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Waits for the command to end. Reaps other children meanwhile: as the first process of a container this one inherits relays and hosts.
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

/// Waits until a child has ended, and does not reap it. `None` when a signal interrupted the wait.
fn next_ended_child() -> io::Result<Option<Pid>> {
    // SAFETY: all-zero bytes are a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` lives through the call.
    let status = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
    if status == 0 {
        // SAFETY: a successful waitid has set the process id.
        return Ok(Pid::from_raw(unsafe { info.si_pid() }));
    }
    match io::Error::last_os_error() {
        error if error.kind() == ErrorKind::Interrupted => Ok(None),
        error => Err(error),
    }
}

/// Returns whether the kernel sent the signal to the command too, as it does for Ctrl-C. k6 takes a second one for "stop at once".
///
/// A hangup reaches only the leader of the terminal's session, which may be this process.
fn has_reached_the_command(origin: &Origin) -> bool {
    origin.signal != SIGHUP && matches!(origin.cause, Cause::Kernel)
}

fn cannot_run(program: &OsStr, error: &io::Error) -> Failure {
    let name = program.display();
    match error.kind() {
        ErrorKind::NotFound if Path::new(program).is_file() => {
            Failure::new(ExitCode::CannotExecute, format!("{name} can't be run"))
                .because("the interpreter in its first line is missing")
        }
        ErrorKind::NotFound => Failure::new(ExitCode::NotFound, format!("{name}: no such program"))
            .hint("check its name, or give its path"),
        _ => Failure::new(ExitCode::CannotExecute, format!("{name} can't be run")).because(error),
    }
}
