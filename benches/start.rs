//! What a start costs: the browser under the gate against the browser alone, and the host.
//!
//! `cargo bench --bench start`. The two kinds of browser start take turns, so that a machine that slows down slows both down.
//! Ends with 1 when a median is over its limit.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

const MOST_GATE_SECONDS: f64 = 0.25;
const MOST_FIRST_FRAME_SECONDS: f64 = 0.02;
const MOST_PRIVATE_MIB: f64 = 12.0;

const NAVTRACE: &str = env!("CARGO_BIN_EXE_navtrace");
const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";
const HELLO: &str = include_str!("../tests/fixtures/messages/hello.json");

/// What k6 1.8.1 starts its browser with, and `--no-sandbox` for root.
const CHROMIUM_ARGUMENTS: [&str; 31] = [
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-features=ImprovedCookieControls,LazyFrameLoading,GlobalMediaControls,DestroyProfileOnBrowserClose,MediaRouter,AcceptCHFrame",
    "--disable-hang-monitor",
    "--disable-ipc-flooding-protection",
    "--disable-popup-blocking",
    "--disable-prompt-on-repost",
    "--disable-renderer-backgrounding",
    "--enable-automation",
    "--enable-features=NetworkService,NetworkServiceInProcess",
    "--force-color-profile=srgb",
    "--headless",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-sandbox",
    "--no-service-autorun",
    "--no-startup-window",
    "--password-store=basic",
    "--remote-debugging-port=0",
    "--use-mock-keychain",
    "--window-size=800,600",
];

/// Ends its process when it goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds from the start of a browser to the line that its client waits for.
fn browser_start(program: &str, first: &[&str]) -> f64 {
    let profile = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(first)
        .args(CHROMIUM_ARGUMENTS)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let browser = Running(child);
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let listening = lines.any(|line| line.starts_with("DevTools listening on "));
    let seconds = start.elapsed().as_secs_f64();
    assert!(listening, "{program} did not listen");
    drop(browser);
    // Renderers and the relay are on their way out; the next start must not pay for that.
    std::thread::sleep(Duration::from_millis(700));
    seconds
}

/// Seconds from the start of a host to its first frame, and its private memory in MiB then.
fn host_start() -> (f64, f64) {
    let start = Instant::now();
    let mut child = Command::new(NAVTRACE).arg(ORIGIN).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

fn main() -> ExitCode {
    let browser = std::env::var("NAVTRACE_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    browser_start(&browser, &[]);
    browser_start(NAVTRACE, &["launch"]);
    let (mut plain, mut gated) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(browser_start(&browser, &[]));
        gated.push(browser_start(NAVTRACE, &["launch"]));
    }
    let (plain, gated) = (median(plain), median(gated));
    let (frames, memory): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(|_| host_start()).unzip();
    let (first_frame, private) = (median(frames), median(memory));

    let longer = gated - plain;
    println!("medians of {ROUNDS}:");
    println!(
        "browser start     {plain:.3} s alone, {gated:.3} s under the gate: {longer:+.3} s (at most {MOST_GATE_SECONDS} s)"
    );
    println!("host first frame  {:.1} ms (at most {} ms)", first_frame * 1e3, MOST_FIRST_FRAME_SECONDS * 1e3);
    println!("host memory       {private:.1} MiB private (at most {MOST_PRIVATE_MIB} MiB)");
    let within = longer <= MOST_GATE_SECONDS && first_frame <= MOST_FIRST_FRAME_SECONDS && private <= MOST_PRIVATE_MIB;
    ExitCode::from(u8::from(!within))
}
