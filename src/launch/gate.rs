//! The gate: keeps the client waiting until the extension is armed.
//!
//! Each launch has a private directory with a datagram socket. The host, a child of the browser, finds the socket's path in its environment
//! and sends a word for each stage of the start that is reached. The relay beside the browser receives them. The host also stores the
//! session's context there, so that a later host of the same browser can continue it even if the extension was reloaded and has lost it.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::base::{environment, files};
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
    dir: TempDir,
    socket: UnixDatagram,
}

impl Gate {
    /// Creates the private directory and the socket in it.
    pub(crate) fn create() -> io::Result<Self> {
        let dir = files::temporary_directory("navtrace-gate-")?;
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

    /// Removes the private directory. Retries for as long as `patience`, because the host may still be writing there.
    pub(crate) fn remove(self, patience: Duration) {
        files::remove_directory(&self.dir.keep(), patience);
    }

    /// Keeps the private directory for the forked process that holds the same gate.
    pub(crate) fn leave(self) {
        let _ = self.dir.keep();
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

/// Stores the session's context for a later host of this browser, if the browser has a gate.
pub(crate) fn remember(session: &SessionContext) -> io::Result<()> {
    match session_file() {
        Some(path) => files::write_if_changed(&path, &serde_json::to_vec(session)?),
        None => Ok(()),
    }
}

/// Returns the session's context that an earlier host of this browser stored.
pub(crate) fn remembered() -> Option<SessionContext> {
    serde_json::from_slice(&fs::read(session_file()?).ok()?).ok()
}

fn session_file() -> Option<PathBuf> {
    Some(environment::path(environment::GATE_SOCKET)?.with_file_name("session"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_directory_is_private_and_removable() {
        use std::os::unix::fs::PermissionsExt;
        let gate = Gate::create().unwrap();
        let dir = gate.dir.path().to_owned();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        gate.remove(Duration::ZERO);
        assert!(!dir.exists());
    }
}
