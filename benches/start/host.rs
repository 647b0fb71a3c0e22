//! Measures the native messaging host.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Instant;

use crate::browser::{Running, navtrace_command};
use crate::navtrace::Environment;

const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";
const HELLO: &str = include_str!("../../tests/fixtures/messages/hello.json");

/// Starts a host and returns the seconds until its first frame, and its private memory in MiB then.
pub(crate) fn start(environment: &Environment) -> (f64, f64) {
    let mut command = navtrace_command(environment, &[ORIGIN]);
    let start = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let hello = HELLO.trim_end().as_bytes();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&u32::try_from(hello.len()).unwrap().to_ne_bytes()).unwrap();
    stdin.write_all(hello).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let host = Running(child);
    let mut length = [0; 4];
    stdout.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_ne_bytes(length) as usize];
    stdout.read_exact(&mut frame).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    (seconds, private_mib(host.0.id()))
}

fn private_mib(id: u32) -> f64 {
    let maps = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
    let lines = maps.lines().filter(|line| line.starts_with("Private_"));
    lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()).sum::<f64>() / 1024.0
}
