//! Tests a host in a container that limits the number of processes: it says so, or does with fewer threads.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::host::TestHost;
use crate::observations::{page, page_ids};
use crate::setup::{ExportTest, ORIGIN, wait_until};

const NO_THREAD: &str = "no thread can be started: Resource temporarily unavailable (os error 11); raise the limit of processes (`ulimit \
                         -u`, or the container's)";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Lets the user of a command have no more than `threads` threads. Root is not limited, so it becomes a user that has no other process.
fn limited(test: &ExportTest, mut command: Command, threads: u64) -> Command {
    if is_root() {
        let user = 1_000_000 + 4 * std::process::id() + u32::try_from(threads).unwrap();
        for dir in [test.environment.home(), test.environment.temporary()] {
            chown(dir, Some(user), Some(user)).unwrap();
        }
        command.uid(user).gid(user);
    }
    let limit = move || {
        let limit = libc::rlimit { rlim_cur: threads, rlim_max: threads };
        // SAFETY: the kernel reads the limit, which lives through the call.
        let status = unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) };
        if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure only makes a system call, and allocates nothing.
    unsafe { command.pre_exec(limit) };
    command
}

/// Starts a host with a limited number of threads. The name of the collector's computer must be looked up.
fn host(test: &ExportTest, threads: u64) -> TestHost {
    let program = test.environment.home().join("navtrace");
    crate::navtrace::copy_binary(&program);
    let mut command = Command::new(&program);
    let described = test.command(&[ORIGIN]);
    command.arg(ORIGIN).env_clear().envs(described.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", test.collector.endpoint().replace("127.0.0.1", "localhost"));
    let file = test.environment.home().join(format!("host-{threads}"));
    TestHost::start(limited(test, command, threads), &file, None)
}

#[test]
fn a_host_without_any_thread_says_so() {
    let test = ExportTest::new();
    let mut host = host(&test, 1);
    wait_until("the host ends", || !host.is_running());
    assert_eq!(host.stderr(), format!("navtrace: {NO_THREAD}\n"));
    assert_eq!(host.close_and_wait().code(), Some(1));
}

#[test]
fn spans_are_kept_where_no_thread_can_send_them() {
    // Other processes of this user count too.
    if !is_root() {
        return;
    }
    let test = ExportTest::new();
    let mut host = host(&test, 2);
    host.start_session();
    host.observe(&page(1, 3));
    host.wait_for_stderr(&format!("spans can't be sent: {NO_THREAD}"));
    assert!(host.close_and_wait().success());
    assert_eq!((host.stderr().lines().count(), test.collector.arrived().len()), (1, 0));
    assert_eq!(test.journals().len(), 1);
}

#[test]
fn two_threads_are_enough_for_an_export() {
    if !is_root() {
        return;
    }
    let test = ExportTest::new();
    let mut host = host(&test, 3);
    host.start_session();
    host.observe(&page(1, 3));
    let ids = crate::tree::ids(&test.wait_for_spans(4));
    assert!(host.close_and_wait().success());
    assert_eq!(host.stderr(), "");
    assert!(page_ids(1, 3).iter().all(|id| ids.contains(id)), "{ids:?}");
}
