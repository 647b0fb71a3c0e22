//! The relay: the process beside the browser that copies its standard error, keeps the gate, and tidies up after it.
//!
//! It is forked off before the launcher becomes the browser, so the client still holds, signals and waits for the process that it
//! started. It has a session of its own, because clients kill the browser's process group and what was temporary must still go away.

mod output;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Pid;

use output::{Output, PATIENCE, Taken, takes_more};

use super::gate::{DOCTOR_HINT, Gate, Link};
use super::private;
use crate::{report, stdio};

/// How many reads what is left of the output may take once the browser has ended.
const LAST_READS: usize = 64;

/// How long what is left of the output may take to write once the browser has ended.
const FINAL_OUTPUT: Duration = Duration::from_millis(300);

/// How long removing what was temporary is tried: the browser's children may still be writing to it.
const REMOVAL: Duration = Duration::from_millis(500);

/// How often the browser is looked for where no file descriptor tells of its end.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// Tells when the browser, this process's parent, has ended.
#[derive(Debug)]
pub(super) struct Watch {
    pid: Pid,
    pidfd: Option<OwnedFd>,
}

impl Watch {
    /// Watches the calling process, from which the relay is about to be forked and which is about to become the browser.
    pub(super) fn this_process() -> Self {
        let pid = rustix::process::getpid();
        #[cfg(target_os = "linux")]
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok();
        #[cfg(not(target_os = "linux"))]
        let pidfd = None;
        Self { pid, pidfd }
    }

    fn orphaned(&self) -> bool {
        rustix::process::getppid() != Some(self.pid)
    }
}

/// Everything that the relay works with.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where links of the chain are reported.
    pub(super) gate: Gate,
    /// The reading end of the browser's standard error.
    pub(super) browser_stderr: OwnedFd,
    /// The browser.
    pub(super) watch: Watch,
    /// How long the gate stays shut at most.
    pub(super) arm_timeout: Duration,
    /// What goes away with the browser.
    pub(super) temporary: Option<PathBuf>,
}

impl Relay {
    /// Relays until the browser has ended, then tidies up.
    pub(super) fn run(self) {
        self.let_go_of_inherited_files();
        // The last reads, once the browser has ended, go on until nothing is there.
        let _ = rustix::io::ioctl_fionbio(&self.browser_stderr, true);
        let mut output = Output::default();
        self.relay(&mut output);
        self.finish(output);
    }

    fn relay(&self, output: &mut Output) {
        let deadline = Instant::now() + self.arm_timeout;
        let mut last_link = None;
        let mut reading = true;
        loop {
            let now = Instant::now();
            if output.is_shut() && now >= deadline {
                self.warn(last_link, output);
                output.open();
            }
            let ready = self.wait(output, reading, deadline.saturating_duration_since(now));
            while let Some(link) = self.gate.receive() {
                last_link = last_link.max(Some(link));
                if link == Link::Armed {
                    output.open();
                }
            }
            if ready.stderr_out {
                output.write();
            }
            if ready.stderr_in {
                reading = output.take_from(&self.browser_stderr) != Taken::End;
            }
            if ready.browser_ended || self.watch.orphaned() {
                return;
            }
        }
    }

    fn wait(&self, output: &Output, reading: bool, until_deadline: Duration) -> Ready {
        let stderr = rustix::stdio::stderr();
        let mut fds = vec![PollFd::new(self.gate.socket(), PollFlags::IN)];
        let mut stderr_in = None;
        if reading && !output.is_full() {
            stderr_in = Some(fds.len());
            fds.push(PollFd::new(&self.browser_stderr, PollFlags::IN));
        }
        let mut stderr_out = None;
        if output.has_pending() {
            stderr_out = Some(fds.len());
            fds.push(PollFd::new(&stderr, PollFlags::OUT));
        }
        let mut browser = None;
        if let Some(pidfd) = &self.watch.pidfd {
            browser = Some(fds.len());
            fds.push(PollFd::new(pidfd, PollFlags::IN));
        }
        let timeouts = [
            output.is_shut().then_some(until_deadline),
            browser.is_none().then_some(WATCH_INTERVAL),
            output.is_full().then_some(PATIENCE),
        ];
        let timeout = timeouts.into_iter().flatten().min();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // An interruption is a round in which nothing was ready.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        let ready = |index: Option<usize>| index.is_some_and(|index| !fds[index].revents().is_empty());
        Ready { stderr_in: ready(stderr_in), stderr_out: ready(stderr_out), browser_ended: ready(browser) }
    }

    /// Warns through `navtrace run`, or else between the browser's own lines: never by a write that a client could block.
    fn warn(&self, last_link: Option<Link>, output: &mut Output) {
        let sentence = format!(
            "the browser was not armed within {:?}, so requests may go without trace context: {}{DOCTOR_HINT}",
            self.arm_timeout,
            Link::missing_after(last_link)
        );
        if !report::Sender::connect().problem(&sentence) {
            output.say(&sentence);
        }
    }

    fn finish(self, mut output: Output) {
        // What the browser's children still write is not waited for: they outlive it by a moment only.
        for _ in 0..LAST_READS {
            if output.take_from(&self.browser_stderr) != Taken::Some {
                break;
            }
        }
        output.open();
        let deadline = Instant::now() + FINAL_OUTPUT;
        while output.has_pending() && takes_more(deadline.saturating_duration_since(Instant::now())) {
            output.write();
        }
        // A client may wait for the end of this stream: it need not wait for what comes now.
        stdio::silence_errors();
        let _ = self.gate.remove();
        if let Some(dir) = self.temporary {
            private::remove_directory(&dir, REMOVAL);
        }
    }

    /// Closes what the client gave to the browser: a client that waits for the end of one of those streams waits for the browser alone.
    fn let_go_of_inherited_files(&self) {
        stdio::silence_input();
        stdio::silence_output();
        let mut kept: Vec<RawFd> = vec![
            libc::STDIN_FILENO,
            libc::STDOUT_FILENO,
            libc::STDERR_FILENO,
            self.gate.socket().as_raw_fd(),
            self.browser_stderr.as_raw_fd(),
        ];
        kept.extend(self.watch.pidfd.as_ref().map(AsRawFd::as_raw_fd));
        let Ok(entries) = fs::read_dir("/dev/fd") else {
            return;
        };
        let open: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
            // SAFETY: this process was just forked and owns nothing but what is kept; the directory's own descriptor is closed already.
            unsafe { libc::close(fd) };
        }
    }
}

struct Ready {
    stderr_in: bool,
    stderr_out: bool,
    browser_ended: bool,
}
