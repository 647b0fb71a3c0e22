//! Tests the gate for clients that use `--remote-debugging-pipe`.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::gated::GatedBrowser;
use crate::launch::launch;
use crate::navtrace::{Environment, stderr, stdout};

const PIPE: &[&str] = &["--remote-debugging-pipe"];

/// A script that answers each command with the command itself.
const ANSWER: &str = "exec cat <&3 >&4";

/// The client's ends of the two files that the browser gets.
struct Client {
    commands: File,
    answers: File,
}

impl Client {
    /// Starts a browser with two pipes, as Playwright does in most languages.
    fn with_pipes(script: &str) -> (Self, GatedBrowser) {
        let (browser_commands, commands) = std::io::pipe().unwrap();
        let (answers, browser_answers) = std::io::pipe().unwrap();
        Self::start(script, (commands.into(), browser_commands.into()), (answers.into(), browser_answers.into()))
    }

    /// Starts a browser with two socket pairs, as node does.
    fn with_sockets(script: &str) -> (Self, GatedBrowser) {
        let pair = || UnixStream::pair().map(|(client, browser)| (client.into(), browser.into())).unwrap();
        Self::start(script, pair(), pair())
    }

    fn start(script: &str, commands: (OwnedFd, OwnedFd), answers: (OwnedFd, OwnedFd)) -> (Self, GatedBrowser) {
        let gated = GatedBrowser::start(script, PIPE, |command| {
            give(command, 3, commands.1);
            give(command, 4, answers.1);
        });
        (Self { commands: commands.0.into(), answers: answers.0.into() }, gated)
    }

    /// Returns the time until an answer comes, at most `at_most`.
    fn silence(&self, at_most: Duration) -> Duration {
        let start = Instant::now();
        let mut fds = [rustix::event::PollFd::new(&self.answers, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&at_most.try_into().unwrap())).unwrap();
        start.elapsed()
    }
}

/// Passes a file to the command as descriptor `number`.
fn give(command: &mut Command, number: i32, file: OwnedFd) {
    // So that it does not have a number that is passed.
    let file = rustix::io::fcntl_dupfd_cloexec(file, 10).unwrap();
    // SAFETY: dup2 is async-signal-safe, so it may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::dup2(file.as_raw_fd(), number) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// Returns bytes without a repetition, so that a comparison shows any that are lost or out of order.
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
        gated.open_gate();
        client.commands.write_all(b"second\0").unwrap();
        let mut answer = [0; 13];
        client.answers.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"first\0second\0");

        // The browser ends when its commands end, as without navtrace.
        client.commands.write_all(b"last\0").unwrap();
        drop(client.commands);
        let mut rest = Vec::new();
        client.answers.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"last\0");
        gated.assert_ends();
    }
}

#[test]
fn commands_wait_for_a_slow_browser_and_none_is_lost() {
    const COUNT: usize = 16 * 1024 * 1024;
    for start in [Client::with_pipes, Client::with_sockets] {
        let (client, mut gated) = start(&format!("read go; echo alive >&2; read go; {ANSWER}"));
        gated.open_gate();
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
        gated.continue_script();
        assert_eq!(gated.read_stderr_line(), "alive\n");

        gated.continue_script();
        let mut answers = client.answers;
        let mut received = vec![0; 1024 * 1024];
        answers.read_exact(&mut received).unwrap();
        // A client that reads slowly slows the browser and so the relay.
        std::thread::sleep(Duration::from_millis(100));
        answers.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == bytes(COUNT), "{} bytes arrived, or others than were sent", received.len());
        gated.assert_ends();
    }
}

#[test]
fn the_end_of_the_browser_interrupts_a_command() {
    for start in [Client::with_pipes, Client::with_sockets] {
        for armed in [true, false] {
            let (mut client, mut gated) = start("read go");
            if armed {
                gated.open_gate();
            }
            let sender = std::thread::spawn(move || client.commands.write_all(&bytes(4 * 1024 * 1024)));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!sender.is_finished());
            let end = Instant::now();
            gated.continue_script();
            assert_eq!(client.answers.read(&mut [0]).unwrap(), 0);
            let error = sender.join().unwrap().unwrap_err();
            assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
            // The gate would open only after a minute.
            assert!(end.elapsed() < Duration::from_secs(10), "{:?}", end.elapsed());
            gated.assert_ends();
        }
    }
}

#[test]
fn pipes_that_the_browser_closes_are_closed() {
    let (mut client, mut gated) = Client::with_sockets("exec 4>&-; read go; exec 3<&-; read go");
    assert_eq!(client.answers.read(&mut [0]).unwrap(), 0);
    gated.open_gate();
    gated.continue_script();
    assert_eq!(client.commands.read(&mut [0]).unwrap(), 0);
    gated.continue_script();
    gated.assert_ends();
}

#[test]
fn commands_pass_with_a_warning_after_the_timeout() {
    let environment = Environment::new();
    let (browser_commands, mut commands) = std::io::pipe().unwrap();
    let mut command = launch(&environment, "cat <&3", &[PIPE, &["--no-sandbox"]].concat());
    give(&mut command, 3, browser_commands.into());
    give(&mut command, 4, File::open("/dev/null").unwrap().into());
    commands.write_all(b"command").unwrap();
    drop(commands);
    let start = Instant::now();
    let output = command.env("NAVTRACE_ARM_TIMEOUT", "300ms").output().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(stdout(&output), "command");
    assert!(stderr(&output).starts_with("navtrace: the browser was not armed within 300ms"), "{}", stderr(&output));
}

#[test]
fn missing_pipes_are_left_to_the_browser() {
    let given = "for fd in 3 4; do if true <&$fd; then echo $fd; fi; done 2>/dev/null";
    for number in [None, Some(3), Some(4)] {
        let environment = Environment::new();
        let mut command = launch(&environment, given, PIPE);
        // SAFETY: fcntl is async-signal-safe, so it may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // Descriptors of the test process itself are not passed on.
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
