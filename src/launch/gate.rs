//! The gate: keeps the client waiting until the extension is armed.
//!
//! Each launch has a private directory with a datagram socket. The host, a child of the browser, finds the socket's path in its environment
//! and sends a word for each stage of the start that is reached. The relay beside the browser receives them. Each host also stores its
//! session's context there, so that a later host of the same browser can continue it even if the extension was reloaded and has lost it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::temporary::TemporaryDirectory;
use crate::base::{environment, file_lock};
use crate::context::issuer::SessionContext;

/// The end of a warning about a missing stage. `navtrace doctor` removes it from its own output.
pub(crate) const DOCTOR_HINT: &str = "; `navtrace doctor` shows more";

/// A stage of the browser's start, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Chromium has loaded the extension and started the host for it.
    HostStarted,
    /// The extension has said hello and received its session.
    SessionIssued,
    /// Every further request carries headers.
    Armed,
}

impl Stage {
    const ALL: [Self; 3] = [Self::HostStarted, Self::SessionIssued, Self::Armed];

    fn word(self) -> &'static [u8] {
        match self {
            Self::HostStarted => b"host-started",
            Self::SessionIssued => b"session-issued",
            Self::Armed => b"armed",
        }
    }

    fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// Describes the stage that is missing after `last`, the last one that was reached.
    pub(crate) fn missing_after(last: Option<Self>) -> &'static str {
        let missing = Self::ALL.into_iter().find(|stage| Some(*stage) > last);
        match missing.unwrap_or(Self::Armed) {
            Self::HostStarted => {
                "the extension has not reached the host (it was not loaded, the host could not be started, or the machine is slow)"
            }
            Self::SessionIssued => "the host was started, but the extension has not said hello to it",
            Self::Armed => "the extension has its session, but has not put its headers in place",
        }
    }
}

/// The relay's end of the gate.
#[derive(Debug)]
pub(crate) struct Gate {
    dir: TemporaryDirectory,
    socket: UnixDatagram,
}

impl Gate {
    /// Creates the private directory and the socket in it.
    pub(crate) fn create() -> io::Result<Self> {
        let dir = TemporaryDirectory::create("gate")?;
        let socket = UnixDatagram::bind(socket_in(dir.path()))?;
        socket.set_nonblocking(true)?;
        Ok(Self { dir, socket })
    }

    /// Returns the path for [`environment::GATE_SOCKET`].
    pub(crate) fn path(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// Returns the socket, to be polled for reading.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// Receives the next stage that was reported, or `None` if there is none yet. Skips unknown words.
    pub(crate) fn receive(&self) -> Option<Stage> {
        let mut word = [0; 32];
        loop {
            let length = self.socket.recv(&mut word).ok()?;
            if let Some(stage) = Stage::from_word(&word[..length]) {
                return Some(stage);
            }
        }
    }

    /// Removes the private directory. Retries for as long as `timeout`, because the host may still be writing there.
    pub(crate) fn remove(self, timeout: Duration) {
        self.dir.remove(timeout);
    }

    /// Keeps the private directory for the forked process that holds the same gate.
    pub(crate) fn leave(self) {
        self.dir.leave();
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("gate")
}

/// Reports a stage to the gate of this browser, if it has one. A gate that no longer exists has opened already.
pub(crate) fn report(stage: Stage) {
    let Some(path) = environment::path(environment::GATE_SOCKET) else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(stage.word(), path)
    });
    if let Err(error) = sent {
        tracing::debug!("cannot report {stage:?} to the gate: {error}");
    }
}

/// How long a host waits for another one to leave its session. A host leaves it as soon as its channel ends, so one that does not serves
/// another profile.
const LEAVING: Duration = Duration::from_millis(300);

/// Pause between two attempts to take over a session.
const LEAVING_INTERVAL: Duration = Duration::from_millis(10);

/// A file with the context of a session, which a host has locked while it serves the session. A browser with several profiles has several.
#[derive(Debug)]
pub(crate) struct SessionFile(Option<File>);

impl SessionFile {
    /// Takes the file of a host of this browser that has ended, or else makes a new one. Without a gate there is none.
    pub(crate) fn take() -> Self {
        let gate = environment::path(environment::GATE_SOCKET);
        Self(gate.as_deref().and_then(Path::parent).and_then(|dir| {
            let taken = Self::take_in(dir);
            taken.inspect_err(|error| tracing::debug!("a later host will not know the session: {error}")).ok()
        }))
    }

    /// Returns whether a host of the browser with the gate at `gate` has had a session.
    pub(crate) fn exists_beside(gate: &Path) -> bool {
        gate.with_file_name("session-1").exists()
    }

    fn take_in(dir: &Path) -> io::Result<File> {
        let deadline = Instant::now() + LEAVING;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        loop {
            let path = |number: usize| dir.join(format!("session-{number}"));
            let existing: Vec<_> = (1..).map_while(|number| options.open(path(number)).ok()).collect();
            let next = path(existing.len() + 1);
            let free = |file: &File| file_lock::try_lock(file).unwrap_or(false);
            let is_first = existing.is_empty();
            if let Some(file) = existing.into_iter().find(free) {
                return Ok(file);
            }
            if is_first || Instant::now() >= deadline {
                match options.clone().create_new(true).open(next) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                    Ok(file) if free(&file) => return Ok(file),
                    Ok(_) => {}
                }
            }
            std::thread::sleep(LEAVING_INTERVAL);
        }
    }

    /// Returns the context that the host before has stored.
    pub(crate) fn context(&self) -> Option<SessionContext> {
        let mut text = String::new();
        self.0.as_ref()?.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Stores the context of the session.
    pub(crate) fn store(&self, session: &SessionContext) -> io::Result<()> {
        let Some(mut file) = self.0.as_ref() else { return Ok(()) };
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&serde_json::to_vec(session)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::ids::Flags;

    #[test]
    fn stages_arrive_in_order_and_noise_is_skipped() {
        let gate = Gate::create().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        for word in [Stage::HostStarted.word(), b"noise", &[0xff; 100], Stage::Armed.word()] {
            sender.send_to(word, gate.path()).unwrap();
        }
        assert_eq!(gate.receive(), Some(Stage::HostStarted));
        assert_eq!(gate.receive(), Some(Stage::Armed));
        assert_eq!(gate.receive(), None);
    }

    #[test]
    fn each_host_has_a_session_of_its_own_and_the_next_one_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let take = || SessionFile(Some(SessionFile::take_in(dir.path()).unwrap()));
        let context = |id: u8| SessionContext {
            trace_id: format!("{id:032x}").parse().unwrap(),
            span_id: format!("{id:016x}").parse().unwrap(),
            flags: Flags::SAMPLED,
        };
        let (first, second) = (take(), take());
        assert_eq!((first.context(), second.context()), (None, None));
        for id in [1, 2] {
            first.store(&context(id)).unwrap();
        }
        second.store(&context(3)).unwrap();
        drop(second);
        let third = take();
        assert_eq!(third.context(), Some(context(3)));
        drop(first);
        assert_eq!(take().context(), Some(context(2)));
    }

    #[test]
    fn the_directory_is_private_and_removable() {
        use std::os::unix::fs::PermissionsExt;
        let gate = Gate::create().unwrap();
        let dir = gate.dir.path().to_owned();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        gate.remove(Duration::ZERO);
        assert!(!dir.exists());
    }
}
