//! Forwards connections to the port that a client chose with `--remote-debugging-port`, once the gate is open.
//!
//! Chromium listens as soon as it can and has no option to wait. So navtrace takes the port before the browser starts, and the browser
//! listens on another one. Early connections wait in the port's queue.

use std::io::{self, BufReader, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::launch::relay::poll::{Poll, PollEvent};

/// Bytes of a connection that are read at once, in each direction.
const BUFFER: usize = 64 * 1024;

/// Stack size in bytes of a thread that copies. Its buffer is on the heap.
const STACK: usize = 128 * 1024;

/// Time for retrying a port in use: a client may start the next browser before the last relay has ended.
const BIND_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after a failed accept, which means that files or memory are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The port that the client chose.
#[derive(Debug)]
pub(in crate::launch) struct ClientPort {
    number: u16,
    listener: TcpListener,
    paused_until: Option<Instant>,
}

impl ClientPort {
    /// Listens on the IPv4 loopback address, as Chromium would.
    pub(in crate::launch) fn bind(number: u16) -> io::Result<Self> {
        let deadline = Instant::now() + BIND_TIMEOUT;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                bound => break bound?,
            }
        };
        // A connection that the client gives up before it is accepted must not block the relay.
        listener.set_nonblocking(true)?;
        Ok(Self { number, listener, paused_until: None })
    }

    pub(in crate::launch) fn number(&self) -> u16 {
        self.number
    }

    /// Registers the next connection. Must not be called before the gate is open.
    pub(super) fn register<'fd>(&'fd self, browser: SocketAddr, poll: &mut Poll<'fd>) {
        match self.paused_until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(pause) if !pause.is_zero() => poll.limit(pause),
            _ => poll.add(PollEvent::Connection(browser), self.listener.as_fd(), PollFlags::IN),
        }
    }

    /// Accepts a connection and forwards it to the browser, in threads of its own.
    pub(super) fn accept(&mut self, browser: SocketAddr) {
        let forwarded = self.listener.accept().and_then(|(client, _)| {
            // If forwarding fails, the connection is closed, which tells the client.
            thread().spawn(move || drop(forward(&client, browser)))
        });
        self.paused_until = match forwarded {
            Err(error) if !is_transient(&error) => Some(Instant::now() + ACCEPT_PAUSE),
            _ => None,
        };
    }
}

/// Returns whether the next connection can be accepted at once.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

fn thread() -> thread::Builder {
    thread::Builder::new().stack_size(STACK)
}

/// Copies both directions of a connection until both have ended.
fn forward(client: &TcpStream, browser: SocketAddr) -> io::Result<()> {
    let browser = &TcpStream::connect(browser)?;
    for stream in [client, browser] {
        // On some systems a connection inherits non-blocking mode from its listener.
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
    }
    thread::scope(|scope| {
        thread().spawn_scoped(scope, || copy(client, browser))?;
        copy(browser, client);
        Ok(())
    })
}

/// Copies one direction and passes its end on. Errors are ignored, since the other direction may go on.
fn copy(from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut BufReader::with_capacity(BUFFER, from), &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
