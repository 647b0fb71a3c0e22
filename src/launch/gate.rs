//! The gate: how the relay beside the browser learns that the extension is armed.
//!
//! Each launch has a private directory with a datagram socket in it. The host, a child of the browser, finds the socket's path in its
//! environment and sends one word per link of the chain that holds. Beside the socket the host leaves the session's context, so that a later
//! host of the same browser continues it even where the extension was loaded anew and knows of none.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::base::{environment, files};
use crate::context::issuer::SessionContext;

/// What a warning about a link ends with, unless doctor itself shows it.
pub(crate) const DOCTOR_HINT: &str = "; `navtrace doctor` shows more";

/// A link of the chain from the browser's start to the first header, in the order in which they come to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    /// The extension was loaded and Chromium started the host for it.
    HostStarted,
    /// The extension said hello and was given its session.
    SessionIssued,
    /// Headers are in place.
    Armed,
}

impl Link {
    const ALL: [Self; 3] = [Self::HostStarted, Self::SessionIssued, Self::Armed];

    fn word(self) -> &'static [u8] {
        match self {
            Self::HostStarted => b"host-started",
            Self::SessionIssued => b"session-issued",
            Self::Armed => b"armed",
        }
    }

    fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|link| link.word() == word)
    }

    /// Says what is missing when `last` was the last link that held (`None`: not even the first).
    pub(crate) fn missing_after(last: Option<Self>) -> &'static str {
        let missing = Self::ALL.into_iter().find(|link| Some(*link) > last);
        match missing.unwrap_or(Self::Armed) {
            Self::HostStarted => {
                "the extension has not reached the host (it was not loaded, the host could not be started, or the machine is slow)"
            }
            Self::SessionIssued => "the host was started, but the extension has not said hello to it",
            Self::Armed => "the extension has its session, but has not put its headers in place",
        }
    }
}

/// The receiving end, held by the relay.
#[derive(Debug)]
pub(crate) struct Gate {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Gate {
    /// Makes the private directory and the socket in it.
    pub(crate) fn create() -> io::Result<Self> {
        let dir = files::temporary_directory("navtrace-gate-")?;
        let socket = UnixDatagram::bind(socket_in(dir.path()))?;
        socket.set_nonblocking(true)?;
        Ok(Self { dir, socket })
    }

    /// The path that goes into [`environment::GATE_SOCKET`].
    pub(crate) fn path(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// The socket, to be polled for reading.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// Takes the next link that was reported, if there is one by now. What is no link is passed over.
    pub(crate) fn receive(&self) -> Option<Link> {
        let mut word = [0; 32];
        loop {
            let length = self.socket.recv(&mut word).ok()?;
            if let Some(link) = Link::from_word(&word[..length]) {
                return Some(link);
            }
        }
    }

    /// Removes the private directory. The host may be writing there just now, so it is tried for as long as `patience`.
    pub(crate) fn remove(self, patience: Duration) {
        files::remove_directory(&self.dir.keep(), patience);
    }

    /// Leaves the private directory to another process that holds the same gate.
    pub(crate) fn leave(self) {
        let _ = self.dir.keep();
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("gate")
}

/// Reports a link to the gate of this browser, if it has one. A gate that is gone has been opened already.
pub(crate) fn report(link: Link) {
    let Some(path) = environment::path(environment::GATE_SOCKET) else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(link.word(), path)
    });
    if let Err(error) = sent {
        tracing::debug!("the gate was not told of {link:?}: {error}");
    }
}

/// Leaves the session's context for a later host of this browser, if the browser has a gate.
pub(crate) fn remember(session: &SessionContext) -> io::Result<()> {
    match session_file() {
        Some(path) => files::write_if_changed(&path, &serde_json::to_vec(session)?),
        None => Ok(()),
    }
}

/// The session's context that an earlier host of this browser has left.
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
    fn links_arrive_in_order_and_noise_is_passed_over() {
        let gate = Gate::create().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        for word in [Link::HostStarted.word(), b"noise", &[0xff; 100], Link::Armed.word()] {
            sender.send_to(word, gate.path()).unwrap();
        }
        assert_eq!(gate.receive(), Some(Link::HostStarted));
        assert_eq!(gate.receive(), Some(Link::Armed));
        assert_eq!(gate.receive(), None);
    }

    #[test]
    fn the_directory_is_private_and_goes_away() {
        use std::os::unix::fs::PermissionsExt;
        let gate = Gate::create().unwrap();
        let dir = gate.dir.path().to_owned();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        gate.remove(Duration::ZERO);
        assert!(!dir.exists());
    }
}
