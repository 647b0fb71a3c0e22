//! The relay: the process beside the browser that keeps the gate, stands between the browser and its client, and tidies up after it.
//!
//! It is forked off before the launcher becomes the browser, so the client still holds, signals and waits for the process that it
//! started. It has a session of its own, because clients kill the browser's process group and what was temporary must still go away.
//!
//! A client may reach the browser in three ways, and the gate is on each: by the line on standard error that names the endpoint
//! ([`output`]), by a pipe ([`pipe`]) and by a port of its own choice ([`port`]). One loop serves them all and waits in one place
//! ([`wait`]).

mod hold;
pub(super) mod output;
pub(super) mod pipe;
pub(super) mod port;
mod wait;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::process::Pid;

use output::Output;
use pipe::Pipe;
use port::Port;
use wait::{Event, Wait};

use crate::base::{files, stdio};
use crate::launch::gate::{DOCTOR_HINT, Gate, Link};
use crate::launch::inherited;
use crate::run::reports;

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

    fn wait<'fd>(&'fd self, wait: &mut Wait<'fd>) {
        match &self.pidfd {
            Some(pidfd) => wait.on(Event::BrowserEnded, pidfd.as_fd(), PollFlags::IN),
            None => wait.at_most(WATCH_INTERVAL),
        }
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
    /// The browser's standard error.
    pub(super) output: Output,
    /// The client's commands, where they come by a pipe.
    pub(super) pipe: Pipe,
    /// The client's port, where it chose one.
    pub(super) port: Option<Port>,
    /// The browser.
    pub(super) watch: Watch,
    /// How long the gate stays shut at most.
    pub(super) arm_timeout: Duration,
    /// What goes away with the browser.
    pub(super) temporary: Option<PathBuf>,
}

impl Relay {
    /// Relays until the browser has ended, then tidies up.
    pub(super) fn run(mut self) {
        // A client that waits for the end of one of the files that it gave to the browser waits for the browser alone.
        stdio::silence_input();
        stdio::silence_output();
        inherited::close();
        self.relay();
        self.finish();
    }

    fn relay(&mut self) {
        let deadline = Instant::now() + self.arm_timeout;
        let mut last_link = None;
        loop {
            if self.output.is_shut() && Instant::now() >= deadline {
                self.warn(last_link);
                self.output.open();
            }
            for event in self.wait(deadline) {
                match event {
                    Event::Link => last_link = last_link.max(self.receive_links()),
                    Event::BrowserEnded => return,
                    Event::OutputToRead => self.output.read(),
                    Event::OutputToWrite => self.output.write(),
                    Event::CommandsToRead => self.pipe.read(),
                    Event::CommandsToWrite => self.pipe.write(),
                    Event::CommandsUnwanted => self.pipe.close(),
                    Event::Connection(browser) => {
                        if let Some(port) = &mut self.port {
                            port.accept(browser);
                        }
                    }
                }
            }
            if self.watch.orphaned() {
                return;
            }
        }
    }

    /// Waits for whatever there is to do. What a client sends is waited for, and so taken, only once the gate is open.
    fn wait(&self, deadline: Instant) -> Vec<Event> {
        let mut wait = Wait::default();
        wait.on(Event::Link, self.gate.socket().as_fd(), PollFlags::IN);
        self.watch.wait(&mut wait);
        self.output.wait(&mut wait);
        if self.output.is_shut() {
            wait.at_most(deadline.saturating_duration_since(Instant::now()));
        } else {
            self.pipe.wait(&mut wait);
            if let (Some(port), Some(browser)) = (&self.port, self.output.endpoint()) {
                port.wait(browser, &mut wait);
            }
        }
        wait.events()
    }

    /// Takes the links that were reported, opens the gate if that is due, and gives the last of them.
    fn receive_links(&mut self) -> Option<Link> {
        let mut last_link = None;
        while let Some(link) = self.gate.receive() {
            last_link = last_link.max(Some(link));
            if link == Link::Armed {
                self.output.open();
            }
        }
        last_link
    }

    /// Warns through `navtrace run`, or else between the browser's own lines: never by a write that a client could block.
    fn warn(&mut self, last_link: Option<Link>) {
        let sentence = format!(
            "the browser was not armed within {:?}, so requests may go without trace context: {}{DOCTOR_HINT}",
            self.arm_timeout,
            Link::missing_after(last_link)
        );
        if !reports::Sender::connect().problem(&sentence) {
            self.output.say(&sentence);
        }
    }

    fn finish(self) {
        // Whoever still sends or connects finds nobody there, and the port is free for the next browser.
        drop((self.pipe, self.port));
        self.output.finish();
        // A client may wait for the end of this stream: it need not wait for what comes now.
        stdio::silence_errors();
        self.gate.remove(REMOVAL);
        if let Some(dir) = self.temporary {
            files::remove_directory(&dir, REMOVAL);
        }
    }
}
