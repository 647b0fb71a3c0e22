//! Names the browser's port in its profile once the gate is open, for clients that poll the file `DevToolsActivePort` there, as chromedriver does.
//!
//! Chromium writes that file as soon as it listens, but only if it has chosen the port itself. So where a client leaves the choice to Chromium
//! (`--remote-debugging-port=0`), navtrace chooses the port, and writes the file. Nothing in the profile has to be taken back if navtrace is
//! killed meanwhile.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

use crate::base::files::{self, Readers};
use crate::launch::devtools;
use crate::launch::in_use;
use crate::launch::relay::endpoint::Endpoint;

/// The file to be written, and the port to be named there.
#[derive(Debug)]
pub(in crate::launch) struct PortFile {
    path: PathBuf,
    port: u16,
    _reservation: Option<OwnedFd>,
}

impl PortFile {
    /// Chooses a port for the browser that will use this user data directory, and removes the file of an earlier browser.
    ///
    /// Returns `None` if a browser already uses the directory. The new one then only tells that browser to open a window.
    pub(in crate::launch) fn prepare(user_data_dir: &Path) -> io::Result<Option<Self>> {
        if in_use::check(user_data_dir).is_err() {
            return Ok(None);
        }
        let path = devtools::port_file(user_data_dir)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (port, reservation) = reserve_port()?;
        Ok(Some(Self { path, port, _reservation: reservation }))
    }

    /// Returns the port on which the browser is to listen.
    pub(in crate::launch) fn port(&self) -> u16 {
        self.port
    }

    /// Writes the file as Chromium does.
    pub(super) fn write(&self, endpoint: &Endpoint) -> io::Result<()> {
        let content = format!("{}\n{}", endpoint.address.port(), endpoint.path);
        files::write(&self.path, content.as_bytes(), Readers::User)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }
}

/// Returns a free port of the loopback interface, and what keeps the kernel from giving it to another program.
fn reserve_port() -> io::Result<(u16, Option<OwnedFd>)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Chromium sets this option too, so that both sockets can be bound to the port as long as this one does not listen.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let port = SocketAddrV4::try_from(getsockname(&socket)?)?.port();
    // Only Linux lets a second socket be bound.
    Ok((port, cfg!(target_os = "linux").then_some(socket)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_browser_can_listen_on_the_port_and_is_named_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("DevToolsActivePort");
        fs::write(&path, "1\n/devtools/browser/earlier").unwrap();
        let file = PortFile::prepare(dir.path()).unwrap().unwrap();
        assert!(!path.exists());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, file.port())).unwrap();
        let address = listener.local_addr().unwrap();
        file.write(&Endpoint { address, path: "/devtools/browser/x".to_owned() }).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), format!("{}\n/devtools/browser/x", address.port()));
    }

    /// The kernel gives a port to nobody who asks for any free one as long as a socket is bound to it.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_port_is_given_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = PortFile::prepare(dir.path()).unwrap().unwrap();
        let other = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let bound = bind(&other, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, file.port()));
        assert_eq!(bound, Err(rustix::io::Errno::ADDRINUSE));
    }

    #[test]
    fn a_path_that_is_no_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("DevToolsActivePort");
        fs::create_dir(&path).unwrap();
        assert!(PortFile::prepare(dir.path()).is_err());
        assert!(path.exists());
    }
}
