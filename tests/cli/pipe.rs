//! The gate for a client that gives the browser its commands by `--remote-debugging-pipe`.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::gated::Gated;
use crate::launch::launch;
use crate::navtrace::{Environment, stderr, stdout};

const PIPE: &[&str] = &["--remote-debugging-pipe"];

/// Stands in for the browser: what arrives as a command is the answer.
const ANSWER: &str = "exec cat <&3 >&4";

/// The client's ends of the two files, whose other ends the browser is given.
struct Client {
    commands: File,
    answers: File,
}

impl Client {
    /// Starts a browser with two pipes, as Playwright does in most languages.
    fn with_pipes(script: &str) -> (Self, Gated) {
        let (browser_commands, commands) = std::io::pipe().unwrap();
        let (answers, browser_answers) = std::io::pipe().unwrap();
        Self::start(script, (commands.into(), browser_commands.into()), (answers.into(), browser_answers.into()))
    }

    /// Starts a browser with two socket pairs, as node does.
    fn with_sockets(script: &str) -> (Self, Gated) {
        let pair = || UnixStream::pair().map(|(client, browser)| (client.into(), browser.into())).unwrap();
        Self::start(script, pair(), pair())
    }

    fn start(script: &str, commands: (OwnedFd, OwnedFd), answers: (OwnedFd, OwnedFd)) -> (Self, Gated) {
        let gated = Gated::start(script, PIPE, |command| {
            give(command, 3, commands.1);
            give(command, 4, answers.1);
        });
        (Self { commands: commands.0.into(), answers: answers.0.into() }, gated)
    }

    /// Tells how long no answer comes, at most `at_most`.
    fn silence(&self, at_most: Duration) -> Duration {
        let start = Instant::now();
        let mut fds = [rustix::event::PollFd::new(&self.answers, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&at_most.try_into().unwrap())).unwrap();
        start.elapsed()
    }
}

/// Puts a file where the browser looks for it. The test itself keeps nothing of it.
fn give(command: &mut Command, number: i32, file: OwnedFd) {
    // Out of the way of the numbers that are given.
    let file = rustix::io::fcntl_dupfd_cloexec(file, 10).unwrap();
    // SAFETY: dup2 may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::dup2(file.as_raw_fd(), number) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// Bytes that show when one of them is lost or out of order.
fn bytes(count: usize) -> Vec<u8> {
    (0..count.div_ceil(8)).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

#[test]
fn commands_wait_for_the_gate_and_arrive_unchanged() {
    for start in [Client::with_pipes, Client::with_sockets] {
        let (mut client, gated) = start(ANSWER);
        client.commands.write_all(b"first\0").unwrap();
        let most = Duration::from_millis(300);
        assert!(client.silence(most) >= most, "a command arrived before the gate was open");
        gated.arm();
        client.commands.write_all(b"second\0").unwrap();
        let mut answer = [0; 13];
        client.answers.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"first\0second\0");

        // The end of the commands is the browser's end, as without navtrace.
        client.commands.write_all(b"last\0").unwrap();
        drop(client.commands);
        let mut rest = Vec::new();
        client.answers.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"last\0");
        gated.assert_ends();
    }
}

#[test]
fn commands_wait_for_a_slow_browser_without_loss() {
    const COUNT: usize = 16 * 1024 * 1024;
    for start in [Client::with_pipes, Client::with_sockets] {
        let (client, mut gated) = start(&format!("read go; echo alive >&2; read go; {ANSWER}"));
        gated.arm();
        let (sent, count) = mpsc::channel();
        let sender = std::thread::spawn(move || {
            let mut commands = client.commands;
            for chunk in bytes(COUNT).chunks(4096) {
                commands.write_all(chunk).unwrap();
                let _ = sent.send(chunk.len());
            }
        });
        let mut taken = 0;
        while let Ok(length) = count.recv_timeout(Duration::from_secs(1)) {
            taken += length;
            assert!(taken < 1024 * 1024, "the relay takes more than it can hold");
        }
        let ticks = gated.relay_ticks();
        std::thread::sleep(Duration::from_millis(300));
        assert!(gated.relay_ticks() - ticks <= 2, "the relay does not rest");
        drop(count);
        gated.go_on();
        assert_eq!(gated.error_line(), "alive\n");

        gated.go_on();
        let mut answers = client.answers;
        let mut received = vec![0; 1024 * 1024];
        answers.read_exact(&mut received).unwrap();
        // A client that reads slowly makes the browser slow, and so the relay.
        std::thread::sleep(Duration::from_millis(100));
        answers.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == bytes(COUNT), "{} bytes arrived, or others than were sent", received.len());
        gated.assert_ends();
    }
}

#[test]
fn the_browsers_end_reaches_a_client_in_the_middle_of_a_command() {
    for start in [Client::with_pipes, Client::with_sockets] {
        for armed in [true, false] {
            let (mut client, mut gated) = start("read go");
            if armed {
                gated.arm();
            }
            let sender = std::thread::spawn(move || client.commands.write_all(&bytes(4 * 1024 * 1024)));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!sender.is_finished());
            let end = Instant::now();
            gated.go_on();
            assert_eq!(client.answers.read(&mut [0]).unwrap(), 0);
            let error = sender.join().unwrap().unwrap_err();
            assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
            // Of itself, and long before the gate would let go, with patience for a slow machine.
            assert!(end.elapsed() < Duration::from_secs(10), "{:?}", end.elapsed());
            gated.assert_ends();
        }
    }
}

#[test]
fn neither_file_is_kept_open_for_a_browser_that_closes_it() {
    let (mut client, mut gated) = Client::with_sockets("exec 4>&-; read go; exec 3<&-; read go");
    assert_eq!(client.answers.read(&mut [0]).unwrap(), 0);
    gated.arm();
    gated.go_on();
    assert_eq!(client.commands.read(&mut [0]).unwrap(), 0);
    gated.go_on();
    gated.assert_ends();
}

#[test]
fn a_gate_that_is_never_opened_lets_commands_go_with_a_warning() {
    let environment = Environment::new();
    let (browser_commands, mut commands) = std::io::pipe().unwrap();
    let mut command = launch(&environment, "cat <&3", &[PIPE, &["--no-sandbox"]].concat());
    give(&mut command, 3, browser_commands.into());
    give(&mut command, 4, File::open("/dev/null").unwrap().into());
    commands.write_all(b"command").unwrap();
    drop(commands);
    let start = Instant::now();
    let output = command.output().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(stdout(&output), "command");
    assert!(stderr(&output).starts_with("navtrace: the browser was not armed within 300ms"), "{}", stderr(&output));
}

#[test]
fn a_client_that_gives_no_files_is_left_to_the_browser() {
    let given = "for fd in 3 4; do if true <&$fd; then echo $fd; fi; done 2>/dev/null";
    for number in [None, Some(3), Some(4)] {
        let environment = Environment::new();
        let mut command = launch(&environment, given, PIPE);
        // SAFETY: fcntl may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // What the tests themselves were started with is not given on.
                for fd in [3, 4] {
                    libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
                }
                Ok(())
            });
        }
        if let Some(number) = number {
            give(&mut command, number, File::open("/dev/null").unwrap().into());
        }
        let output = command.output().unwrap();
        assert_eq!(stdout(&output).trim_end(), number.map(|number| number.to_string()).unwrap_or_default());
    }
}
