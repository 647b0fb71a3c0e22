//! Tests file systems on which locks work in another way, or not at all: nothing is lost, and the user is told what to do.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::collector::{Behaviour, Collector};
use crate::observations::{all_ids, page, page_ids};
use crate::setup::{ExportTest, ORIGIN, exit_and_stderr};

const REFUSED: &str = "No locks available (os error 37)";

/// Makes the system refuse every lock of a command, as some network file systems do.
fn without_locks(mut command: Command) -> Command {
    let refuse = || {
        let instruction =
            |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
        let flock = u32::try_from(libc::SYS_flock).unwrap_or(0);
        let errno = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOLCK).unwrap_or(0);
        let mut filter = [
            // The first word of the data that a filter gets is the number of the system call.
            instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, flock),
            instruction(libc::BPF_RET | libc::BPF_K, 0, 0, errno),
            instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        // SAFETY: the kernel copies the program, which lives through the call.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure only makes system calls, and allocates nothing.
    unsafe { command.pre_exec(refuse) };
    command
}

/// Runs a session whose spans are all in the spool: three requests, their navigation, and the root.
fn spooled() -> (ExportTest, crate::tree::Session) {
    let test = ExportTest::with(Collector::down());
    let mut host = test.host_with_browser();
    let session = host.start_session();
    host.observe(&page(1, 3));
    host.end();
    assert_eq!(test.spooled_ids().len(), 5);
    (test, session)
}

#[test]
fn a_batch_is_locked_by_a_writable_file() {
    let (mut test, _) = spooled();
    test.collector.up();
    test.collector.behave(Behaviour::Silent);
    let mut flush = test.command(&["flush"]).stderr(Stdio::null()).spawn().unwrap();
    test.wait_for_requests(1);
    let process = format!("/proc/{}", flush.id());
    let spooled = test.spooled();
    let files = fs::read_dir(format!("{process}/fd")).unwrap().flatten();
    let batch = files.filter(|file| fs::read_link(file.path()).is_ok_and(|path| spooled.contains(&path)));
    let modes: Vec<_> = batch
        .map(|file| {
            let info = fs::read_to_string(format!("{process}/fdinfo/{}", file.file_name().display())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            i32::from_str_radix(flags, 8).unwrap() & libc::O_ACCMODE
        })
        .collect();
    flush.kill().unwrap();
    flush.wait().unwrap();
    // NFS refuses an exclusive lock of a file that was opened for reading alone.
    assert_eq!(modes, [libc::O_RDWR]);
}

#[test]
fn a_spool_that_cannot_be_locked_is_named() {
    let (mut test, session) = spooled();
    test.collector.up();
    let before = test.spooled();
    let batch = before[0].display();
    let unusable = format!(
        "{batch} can't be used ({REFUSED}): check its permissions, or set XDG_STATE_HOME to a folder on another file system"
    );
    let flushed = exit_and_stderr(&without_locks(test.command(&["flush"])).output().unwrap());
    let left = format!("5 spans can't be sent to {} now and will be kept: {unusable}", test.target());
    assert_eq!(flushed, (1, format!("navtrace: {left}\n")));
    assert_eq!(test.spooled(), before);
    assert_eq!(test.flush().0, 0);
    test.assert_tree(&session, &page_ids(1, 3));
}

#[test]
fn spans_are_exported_where_no_file_can_be_locked() {
    let test = ExportTest::new();
    let shell = |test: &ExportTest| {
        let file = test.environment.home().join("locks");
        crate::host::TestHost::start(without_locks(test.command(&[ORIGIN])), &file, None)
    };
    let mut host = shell(&test);
    host.start_session();
    host.observe(&page(1, 3));
    host.observe(&page(2, 1));
    test.wait_for_spans(6);
    assert!(host.close_and_wait().success());
    let sentence = format!(
        "the session's journal can't be used ({REFUSED}): spans are kept in memory alone, and a host that dies loses them"
    );
    assert_eq!(host.stderr(), format!(" WARN navtrace::channel::host: {sentence}\n"));
    let ids = crate::tree::ids(&test.collector.spans());
    assert!(all_ids([page_ids(1, 3), page_ids(2, 1)]).iter().all(|id| ids.contains(id)), "{ids:?}");
    // A journal that nobody can lock would stay for ever.
    assert_eq!((test.journals().len(), test.spooled().len()), (0, 0));
}
