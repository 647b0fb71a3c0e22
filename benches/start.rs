//! Measures what a start costs: the browser under the gate against the browser alone, and the host.
//!
//! `cargo bench --bench start`. The two kinds of browser start alternate, so that a machine that slows down slows both. Exits with 1 when a
//! median is over its limit.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/navtrace.rs"]
mod navtrace;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use navtrace::{Environment, is_in_use};

const ROUNDS: usize = 20;

const MOST_GATE_SECONDS: f64 = 0.25;
const MOST_FIRST_FRAME_SECONDS: f64 = 0.02;
const MOST_PRIVATE_MIB: f64 = 12.0;

const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";
const HELLO: &str = include_str!("../tests/fixtures/messages/hello.json");

/// Arguments that k6 1.8.1 gives its browser, and `--no-sandbox` for root.
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

/// Kills its process when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A private environment in which spans are exported by default, as they are for users.
fn navtrace_command(environment: &Environment, args: &[&str]) -> Command {
    let mut command = environment.navtrace(args);
    command.env_remove("OTEL_TRACES_EXPORTER");
    command
}

/// Starts a browser and returns the seconds until the line that its client waits for.
fn browser_start(environment: &Environment, mut command: Command) -> f64 {
    let profile = environment.home().join("profile");
    command.args(CHROMIUM_ARGUMENTS).arg(format!("--user-data-dir={}", profile.display()));
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let browser = Running(child);
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let listening = lines.any(|line| line.starts_with("DevTools listening on "));
    let seconds = start.elapsed().as_secs_f64();
    assert!(listening, "{command:?} did not listen");
    drop(browser);
    // Renderers and the relay take a moment to end. The next start must not pay for that.
    while is_in_use(&profile) || !environment.processes().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_dir_all(&profile).unwrap();
    seconds
}

/// Starts a host and returns the seconds until its first frame, and its private memory in MiB then.
fn host_start(environment: &Environment) -> (f64, f64) {
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

fn main() -> ExitCode {
    let environment = Environment::new();
    let chromium = std::env::var("NAVTRACE_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    let alone = || {
        let mut command = Command::new(&chromium);
        command.env("HOME", environment.home()).env("TMPDIR", environment.temporary());
        browser_start(&environment, command)
    };
    let under_gate = || {
        let mut command = navtrace_command(&environment, &["launch"]);
        command.env("NAVTRACE_BROWSER", &chromium);
        browser_start(&environment, command)
    };
    // The first starts read everything from the disk, so they do not count.
    alone();
    under_gate();
    let (mut plain, mut gated) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(alone());
        gated.push(under_gate());
    }
    let (plain, gated) = (median(plain), median(gated));
    let (frames, memory): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(|_| host_start(&environment)).unzip();
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
