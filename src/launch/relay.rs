//! The relay: the process beside the browser that keeps the gate, stands between browser and client, and cleans up in the end.
//!
//! It is forked before the launcher becomes the browser, so the client still holds, signals and waits for the process that it started. It
//! leads a process session of its own, because clients kill the browser's process group and temporary files must still be removed then.
//!
//! A client reaches the browser in one of four ways, and the gate covers each: by the line on standard error that names the endpoint
//! ([`output`]), by a file in the profile that names it ([`port_file`]), by a pipe ([`pipe`]), or by a port of its own choice ([`port`]). One
//! loop with one `poll` ([`poll`]) serves them all.

mod endpoint;
pub(super) mod output;
pub(super) mod pipe;
mod poll;
pub(super) mod port;
pub(super) mod port_file;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::base::stdio;
use crate::base::temporary::{self, TemporaryDirectory};
use crate::launch::gate::{DOCTOR_HINT, Gate, Stage};
use crate::launch::relay::output::BrowserOutput;
use crate::launch::relay::pipe::CommandPipe;
use crate::launch::relay::poll::{Poll, PollEvent};
use crate::launch::relay::port::ClientPort;
use crate::launch::relay::port_file::PortFile;
use crate::launch::watch::{BrowserWatch, WATCH_INTERVAL};

/// Time for removing temporary directories, into which the browser's children may still be writing.
pub(super) const REMOVAL_TIMEOUT: Duration = Duration::from_millis(500);

/// The state of the relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) gate: Gate,
    /// The browser's standard error.
    pub(super) output: BrowserOutput,
    /// The client's commands, if they come through a pipe.
    pub(super) commands: CommandPipe,
    /// The client's port, if it chose one.
    pub(super) port: Option<ClientPort>,
    /// The file that names the port, until it is written.
    pub(super) port_file: Option<PortFile>,
    pub(super) watch: BrowserWatch,
    /// Time after which the gate opens in any case.
    pub(super) arm_timeout: Duration,
    /// Reports a problem to `navtrace run`. Returns whether it received the sentence.
    pub(super) report_problem: fn(&str) -> bool,
    /// Removed when the browser has ended.
    pub(super) temporary_profile: Option<TemporaryDirectory>,
    /// Whether to remove what killed processes have left behind. Otherwise `navtrace run` does.
    pub(super) sweeps: bool,
}

impl Relay {
    /// Relays until the browser has ended, then cleans up.
    pub(super) fn run(mut self) {
        // A client that waits until the files are closed that it passed to the browser should wait for the browser alone.
        stdio::silence_input();
        stdio::silence_output();
        pipe::close_inherited();
        self.relay();
        self.finish();
    }

    /// Leaves the cleanup to the forked process that has the same relay.
    pub(super) fn leave(self) {
        self.gate.leave();
        if let Some(dir) = self.temporary_profile {
            dir.leave();
        }
    }

    fn relay(&mut self) {
        let deadline = Instant::now() + self.arm_timeout;
        let mut last_stage = None;
        loop {
            if self.output.is_held() && Instant::now() >= deadline {
                self.warn(last_stage);
                self.open();
            }
            for event in self.poll(deadline) {
                match event {
                    PollEvent::StageReported => last_stage = last_stage.max(self.receive_stages()),
                    PollEvent::BrowserEnded => return,
                    PollEvent::OutputReadable => {
                        self.output.read();
                        self.name_port();
                    }
                    PollEvent::OutputWritable => self.output.write(),
                    PollEvent::CommandsReadable => self.commands.read(),
                    PollEvent::CommandsWritable => self.commands.write(),
                    PollEvent::CommandsClosed => self.commands.close(),
                    PollEvent::Connection(browser) => {
                        if let Some(port) = &mut self.port {
                            port.accept(browser);
                        }
                    }
                }
            }
            if self.watch.has_ended() {
                return;
            }
        }
    }

    /// Waits for the next events. Before the gate is open, commands and connections stay in their queues.
    fn poll(&self, deadline: Instant) -> Vec<PollEvent> {
        let mut poll = Poll::default();
        poll.add(PollEvent::StageReported, self.gate.socket().as_fd(), PollFlags::IN);
        match self.watch.fd() {
            Some(fd) => poll.add(PollEvent::BrowserEnded, fd, PollFlags::IN),
            None => poll.limit(WATCH_INTERVAL),
        }
        self.output.register(&mut poll);
        if self.output.is_held() {
            poll.limit(deadline.saturating_duration_since(Instant::now()));
        } else {
            self.commands.register(&mut poll);
            if let (Some(port), Some(browser)) = (&self.port, self.output.endpoint()) {
                port.register(browser.address, &mut poll);
            }
        }
        poll.wait()
    }

    /// Receives the reported stages, opens the gate if the extension is armed, and returns the last stage.
    fn receive_stages(&mut self) -> Option<Stage> {
        let mut last_stage = None;
        while let Some(stage) = self.gate.receive() {
            last_stage = last_stage.max(Some(stage));
            if stage == Stage::Armed {
                self.open();
            }
        }
        last_stage
    }

    /// Opens the gate.
    fn open(&mut self) {
        self.output.release();
        self.name_port();
    }

    /// Writes the file that names the port, once the gate is open and the port known. The client has not read the line that names it by then,
    /// because only the next [`BrowserOutput::write`] passes it on.
    fn name_port(&mut self) {
        if self.output.is_held() {
            return;
        }
        let (Some(endpoint), Some(file)) = (self.output.endpoint(), &self.port_file) else { return };
        let written = file.write(endpoint);
        self.port_file = None;
        if let Err(error) = written {
            self.tell(&format!(
                "the browser's port can't be written, so a client that looks for it there does not find it: {error}"
            ));
        }
    }

    /// Warns of an extension that was not ready in time.
    fn warn(&mut self, last_stage: Option<Stage>) {
        let warning = format!(
            "the browser was not armed within {:?}, so requests may go without trace context: {}{DOCTOR_HINT}",
            self.arm_timeout,
            Stage::missing_after(last_stage)
        );
        self.tell(&warning);
    }

    /// Tells the user through `navtrace run`, or else between the browser's own lines, but never by a write that a client could block.
    fn tell(&mut self, problem: &str) {
        if !(self.report_problem)(problem) {
            self.output.say(problem);
        }
    }

    fn finish(self) {
        // Tells clients that still send or connect, and frees the port for the next browser.
        drop((self.commands, self.port));
        self.output.finish();
        // A client that waits for the end of this stream need not wait for the removal.
        stdio::silence_errors();
        self.gate.remove(REMOVAL_TIMEOUT);
        if let Some(dir) = self.temporary_profile {
            dir.remove(REMOVAL_TIMEOUT);
        }
        if self.sweeps {
            temporary::sweep();
        }
    }
}
