//! Tests the gate for clients that choose the browser's port by `--remote-debugging-port`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use crate::gated::GatedBrowser;
use crate::launch::launch;
use crate::navtrace::Environment;
use crate::reserved_port::ReservedPort;

struct Ports {
    /// The port that the client has chosen.
    chosen: ReservedPort,
    /// The browser's own listener, for which the test stands in.
    browser: TcpListener,
}

impl Ports {
    fn new() -> Self {
        Self { chosen: ReservedPort::new(), browser: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
    }

    /// Launches a script in which `LISTEN` prints where the browser listens.
    fn launch(&self, script: &str) -> GatedBrowser {
        let line = devtools(self.browser.local_addr().unwrap().port());
        let script = format!("echo \"$1\"; {}", script.replace("LISTEN", &format!("printf '{line}' >&2")));
        let mut gated = GatedBrowser::start(&script, &[&argument(self.chosen.number())], |_| ());
        assert_eq!(gated.read_line(), argument(0));
        gated
    }

    /// Connects as the client.
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.chosen.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// Accepts a connection as the browser.
    fn accept(&self) -> TcpStream {
        self.browser.accept().unwrap().0
    }
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
fn a_connection_waits_for_the_gate_and_is_served() {
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

    gated.open_gate();
    assert_eq!(gated.read_stderr_line(), devtools(ports.chosen.number()));
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
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn either_side_may_close_its_direction_first() {
    let ports = Ports::new();
    let mut gated = ports.launch("LISTEN; read go");
    gated.open_gate();
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
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn many_connections_are_served_at_once() {
    const COUNT: usize = 100;
    let ports = Ports::new();
    let mut gated = ports.launch("LISTEN; read go; echo alive >&2; read go");
    gated.open_gate();
    assert_eq!(gated.read_stderr_line(), devtools(ports.chosen.number()));
    let mut pairs: Vec<_> = (0..COUNT).map(|_| (ports.connect(), ports.accept())).collect();
    gated.continue_script();
    assert_eq!(gated.read_stderr_line(), "alive\n", "the relay has time for what else it does");

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
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn the_end_of_the_browser_closes_connections_and_port() {
    for armed in [true, false] {
        let ports = Ports::new();
        let mut gated = ports.launch("LISTEN; read go");
        let mut client = ports.connect();
        let browser = armed.then(|| {
            gated.open_gate();
            ports.accept()
        });
        gated.continue_script();
        // A timeout of the client is a failure.
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        gated.assert_ends();
        drop(browser);
        ports.chosen.listen();
    }
}

#[test]
fn a_client_may_reuse_its_port_at_once() {
    let (environment, ports) = (Environment::new(), Ports::new());
    for _ in 0..20 {
        let mut command = launch(&environment, "echo \"$1\"", &[&argument(ports.chosen.number()), "--no-sandbox"]);
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
    gated.open_gate();
    gated.continue_script();
    assert_eq!(gated.read_stderr_line(), devtools(ports.chosen.number()));
    ports.accept().write_all(b"answer").unwrap();
    assert_eq!(read_to_end(&client), "answer");
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn a_port_that_is_in_use_is_left_to_the_browser() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let script = format!("echo \"$1\"; printf '{}' >&2; read go", devtools(9));
    let mut gated = GatedBrowser::start(&script, &[&argument(port)], |_| ());
    assert_eq!(gated.read_line(), argument(port));
    let warning = gated.read_stderr_line();
    assert!(warning.contains(&format!("port {port} can't be taken")), "{warning}");
    gated.open_gate();
    assert_eq!(gated.read_stderr_line(), devtools(9));
    gated.continue_script();
    gated.assert_ends();
}
