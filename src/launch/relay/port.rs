//! The port that a client chose with `--remote-debugging-port`, and its connections on their way to the browser.
//!
//! Chromium listens as soon as it can and can't be told to wait. So the port is navtrace's, from before the browser starts, and the browser
//! listens on one of its own choice. Whoever connects too early waits in the port's queue.

use std::io::{self, BufReader, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::launch::relay::wait::{Event, Wait};

/// How much of a connection's data is read at once, in each direction.
const BUFFER: usize = 64 * 1024;

/// What a thread that copies needs at most, since its buffer is elsewhere.
const STACK: usize = 128 * 1024;

/// How long a port that is in use is tried again: a client that starts one browser after another may be quicker than the last relay.
const RELEASE: Duration = Duration::from_secs(2);

/// How long no connection is taken after one could not be taken, which means that files or memory are used up.
const REST: Duration = Duration::from_millis(100);

/// The port that the client chose.
#[derive(Debug)]
pub(in crate::launch) struct Port {
    number: u16,
    listener: TcpListener,
    resting_until: Option<Instant>,
}

impl Port {
    /// Listens on a port of the IPv4 loopback, where Chromium would.
    pub(in crate::launch) fn bind(number: u16) -> io::Result<Self> {
        let deadline = Instant::now() + RELEASE;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                bound => break bound?,
            }
        };
        // A connection that was given up before it was taken must not stop the relay.
        listener.set_nonblocking(true)?;
        Ok(Self { number, listener, resting_until: None })
    }

    /// The port's number.
    pub(in crate::launch) fn number(&self) -> u16 {
        self.number
    }

    /// To be called once the gate is open and the browser listens: before, connections wait.
    pub(super) fn wait<'fd>(&'fd self, browser: SocketAddr, wait: &mut Wait<'fd>) {
        match self.resting_until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(rest) if !rest.is_zero() => wait.at_most(rest),
            _ => wait.on(Event::Connection(browser), self.listener.as_fd(), PollFlags::IN),
        }
    }

    /// Takes a connection and forwards it to where the browser listens, in threads of its own.
    pub(super) fn accept(&mut self, browser: SocketAddr) {
        let forwarded = self.listener.accept().and_then(|(client, _)| {
            // One that can't be forwarded is closed: that is how its client learns of it.
            thread().spawn(move || drop(forward(&client, browser)))
        });
        self.resting_until = match forwarded {
            Err(error) if !is_passing(&error) => Some(Instant::now() + REST),
            _ => None,
        };
    }
}

/// Tells whether the next connection can be taken at once.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

fn thread() -> thread::Builder {
    thread::Builder::new().stack_size(STACK)
}

/// Copies both directions of a connection until both have ended.
fn forward(client: &TcpStream, browser: SocketAddr) -> io::Result<()> {
    let browser = &TcpStream::connect(browser)?;
    for stream in [client, browser] {
        // Some systems let a connection inherit this from its listener.
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
    }
    thread::scope(|scope| {
        thread().spawn_scoped(scope, || copy(client, browser))?;
        copy(browser, client);
        Ok(())
    })
}

/// Copies one direction and passes its end on. The other may go on, or is about to find its own end where this one broke.
fn copy(from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut BufReader::with_capacity(BUFFER, from), &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
