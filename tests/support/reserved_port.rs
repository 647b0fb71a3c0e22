//! Reserves a loopback port for as long as a test needs it.
//!
//! A port that is looked up and released can go to another process before the test uses it. A socket that is bound but does not listen keeps
//! the port: connections are refused, and the kernel never assigns the port to a program that asks for any free one. A program that gets
//! the number can still listen there if it sets `SO_REUSEADDR`, as std, tokio, Go, node and Chromium do.
//!
//! Every test binary uses only a part of this.
#![allow(dead_code, unreachable_pub)]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A loopback port that is assigned to no other program while this value lives.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddrV4,
    _socket: OwnedFd,
}

impl ReservedPort {
    pub fn new() -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Self { address, _socket: socket }
    }

    pub fn number(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> SocketAddr {
        self.address.into()
    }

    /// Listens on the port, which stays reserved when the listener is dropped.
    pub fn listen(&self) -> TcpListener {
        TcpListener::bind(self.address).unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }
}
