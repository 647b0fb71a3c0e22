//! The gate for a client that chose the browser's port by `--remote-debugging-port`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::gated::Gated;
use crate::launch::launch;
use crate::navtrace::Environment;

/// The two ports of a launch.
struct Ports {
    /// What the client chose.
    chosen: u16,
    /// Where the browser listens: the test does that for it.
    browser: TcpListener,
}

impl Ports {
    fn new() -> Self {
        Self { chosen: free_port(), browser: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
    }

    /// A script that says where the browser listens, and the argument by which the client chooses where it shall.
    fn launch(&self, script: &str) -> Gated {
        let line = devtools(self.browser.local_addr().unwrap().port());
        let script = format!("echo \"$1\"; {}", script.replace("LISTEN", &format!("printf '{line}' >&2")));
        let mut gated = Gated::start(&script, &[&argument(self.chosen)], |_| ());
        assert_eq!(gated.line(), argument(0));
        gated
    }

    /// Connects as the client, with patience for an answer but not for ever.
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.chosen)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// Takes what reaches the browser.
    fn accept(&self) -> TcpStream {
        self.browser.accept().unwrap().0
    }
}

/// A port that nobody else takes before the launch does: not one of those that the system gives to whoever asks for
/// any, and neither one that another test has, nor, most likely, one that another run of the tests has.
fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    // A system that gives these too leaves nothing better.
    let count = end.max(FIRST + 1_000) - FIRST;
    let mut ports = (0..count).map(|_| {
        let number = std::process::id().wrapping_mul(100).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        u16::try_from(FIRST + number % count).unwrap()
    });
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

fn argument(port: u16) -> String {
    format!("--remote-debugging-port={port}")
}

fn devtools(port: u16) -> String {
    format!("DevTools listening on ws://127.0.0.1:{port}/devtools/browser/x\n")
}

fn read_to_end(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_early_connection_is_served_once_the_gate_is_open() {
    let ports = Ports::new();
    let mut gated = ports.launch("LISTEN; read go");
    let clients = [ports.connect(), ports.connect()];
    for mut client in &clients {
        client.write_all(b"question").unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    ports.browser.set_nonblocking(true).unwrap();
    assert_eq!(ports.browser.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    ports.browser.set_nonblocking(false).unwrap();

    gated.arm();
    assert_eq!(gated.error_line(), devtools(ports.chosen));
    for _ in &clients {
        let mut browser = ports.accept();
        let mut question = [0; 8];
        browser.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"question");
        browser.write_all(b"answer").unwrap();
    }
    for client in &clients {
        assert_eq!(read_to_end(client), "answer");
    }
    gated.go_on();
    gated.assert_ends();
}

#[test]
fn either_side_may_end_its_direction_first() {
    let ports = Ports::new();
    let mut gated = ports.launch("LISTEN; read go");
    gated.arm();
    for client_first in [true, false] {
        let (client, browser) = (ports.connect(), ports.accept());
        let (mut first, mut second) = if client_first { (&client, &browser) } else { (&browser, &client) };
        first.write_all(b"the first word").unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(second), "the first word");
        second.write_all(b"the last word").unwrap();
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(first), "the last word");
    }
    gated.go_on();
    gated.assert_ends();
}

#[test]
fn many_connections_are_served_at_once() {
    const COUNT: usize = 100;
    let ports = Ports::new();
    let mut gated = ports.launch("LISTEN; read go; echo alive >&2; read go");
    gated.arm();
    assert_eq!(gated.error_line(), devtools(ports.chosen));
    let mut pairs: Vec<_> = (0..COUNT).map(|_| (ports.connect(), ports.accept())).collect();
    gated.go_on();
    assert_eq!(gated.error_line(), "alive\n", "the relay has time for what else it does");

    let text = "x".repeat(300_000);
    std::thread::scope(|scope| {
        for (client, browser) in &mut pairs {
            let text = &text;
            scope.spawn(move || {
                let mut client = &*client;
                client.write_all(text.as_bytes()).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || assert_eq!(read_to_end(browser).len(), text.len()));
        }
    });
    gated.go_on();
    gated.assert_ends();
}

#[test]
fn the_browsers_end_ends_connections_and_frees_the_port() {
    for armed in [true, false] {
        let ports = Ports::new();
        let mut gated = ports.launch("LISTEN; read go");
        let mut client = ports.connect();
        let browser = armed.then(|| {
            gated.arm();
            ports.accept()
        });
        gated.go_on();
        // An end that the client runs out of patience for is none.
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        gated.assert_ends();
        drop(browser);
        TcpListener::bind((Ipv4Addr::LOCALHOST, ports.chosen)).unwrap();
    }
}

#[test]
fn a_client_may_start_one_browser_after_another_on_its_port() {
    let (environment, ports) = (Environment::new(), Ports::new());
    for _ in 0..20 {
        let mut command = launch(&environment, "echo \"$1\"", &[&argument(ports.chosen), "--no-sandbox"]);
        let mut browser = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        assert!(browser.wait().unwrap().success());
        let mut word = String::new();
        browser.stdout.unwrap().read_to_string(&mut word).unwrap();
        assert_eq!(word.trim_end(), argument(0));
    }
}

#[test]
fn a_browser_that_listens_late_is_found() {
    let ports = Ports::new();
    let mut gated = ports.launch("read go; LISTEN; read go");
    let client = ports.connect();
    gated.arm();
    gated.go_on();
    assert_eq!(gated.error_line(), devtools(ports.chosen));
    ports.accept().write_all(b"answer").unwrap();
    assert_eq!(read_to_end(&client), "answer");
    gated.go_on();
    gated.assert_ends();
}

#[test]
fn a_port_that_is_in_use_is_left_to_the_browser() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let script = format!("echo \"$1\"; printf '{}' >&2; read go", devtools(9));
    let mut gated = Gated::start(&script, &[&argument(port)], |_| ());
    assert_eq!(gated.line(), argument(port));
    let warning = gated.error_line();
    assert!(warning.contains(&format!("port {port} can't be taken")), "{warning}");
    gated.arm();
    assert_eq!(gated.error_line(), devtools(9));
    gated.go_on();
    gated.assert_ends();
}
