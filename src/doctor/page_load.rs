//! Checks a page load: opens a page on loopback through the launcher, in Incognito as test clients do, and looks for its headers.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::temporary::TemporaryDirectory;
use crate::base::threads;
use crate::context::mode::{Mode, ModeSetting, WantedMode};
use crate::doctor::{DoctorOptions, Finding};
use crate::launch::gate::DOCTOR_HINT;
use crate::launch::{find, start};
use crate::run::reports::ReportReceiver;

/// The subjects of the findings.
pub(super) const SUBJECTS: [&str; 4] = ["browser start", "Incognito", "mode", "page load"];

/// The relevant arguments with which a client such as k6 starts the browser.
const CHROMIUM_ARGUMENTS: [&str; 9] = [
    "--headless",
    "--incognito",
    "--remote-debugging-port=0",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--mute-audio",
];

/// The reason for lightweight mode although the launcher asks for detailed mode.
const NO_GRANT: &str = "this browser does not let the extension change single requests (a newer Chromium may)";

/// Time for the browser's start, without the time for the extension.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for loading a page on loopback.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of page loads in static mode, and the pause between two. Its rules are in force some 0.2 s after the browser answers, which is before
/// a client such as k6 opens its first page.
const STATIC_LOADS: u32 = 10;
const LOAD_PAUSE: Duration = Duration::from_millis(200);

/// Time for the host's reports after the browser's start.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for removing the files of the browser and its relay.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(3);

/// A browser that is killed when this value is dropped.
struct TestBrowser(Child);

impl Drop for TestBrowser {
    fn drop(&mut self) {
        // The child is not yet reaped, so its id is still its own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the checks that need a running browser, with the browser at this path.
pub(super) fn check(options: &DoctorOptions, browser: &Path) -> Result<Vec<Finding>, Failure> {
    let set_up = |error: io::Error| {
        Failure::new(ExitCode::Failure, "the check of a page load can't be set up")
            .because(error)
            .hint("set TMPDIR to a folder that you may write to")
    };
    let dir = TemporaryDirectory::create("doctor").map_err(set_up)?;
    let receiver = ReportReceiver::listen(dir.path(), |_| ()).map_err(set_up)?;
    let server = TcpListener::bind("127.0.0.1:0").map_err(set_up)?;
    let page = format!("http://{}/", server.local_addr().map_err(set_up)?);

    let mut child = Command::new(start::this_binary()?)
        .arg("launch")
        .args(CHROMIUM_ARGUMENTS)
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .env(find::SETTING, browser)
        .env(environment::RUN_SOCKET, receiver.path())
        // A browser that is killed leaves files there, which are removed with the directory.
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(set_up)?;
    let stderr = child.stderr.take();
    let browser = TestBrowser(child);

    let endpoint = devtools_endpoint(stderr, START_TIMEOUT + options.arm_timeout);
    let loads = if options.mode == ModeSetting::Static { STATIC_LOADS } else { 1 };
    let header = endpoint.as_ref().ok().map(|endpoint| load(endpoint, &page, server, loads));
    let off_the_record =
        receiver.wait_for(REPORT_TIMEOUT, |state| state.sessions.first().map(|session| session.off_the_record));
    let mode = receiver.wait_for(REPORT_TIMEOUT, |state| state.sessions.first()?.mode);
    let problem = receiver.wait_for(Duration::ZERO, |state| state.problems.keys().next().cloned());
    drop(browser);
    // The relay goes on for a moment and has files there too, so a single attempt to remove the directory might fail.
    dir.remove(REMOVAL_TIMEOUT);

    let start = match (endpoint, problem) {
        (Ok(_), None) if mode == Some(Mode::Static) => Ok("nothing is held back: static mode".to_owned()),
        (Ok(_), None) => Ok("armed before the client may connect".to_owned()),
        (_, Some(problem)) => Err(without_hint(&problem)),
        (Err(error), None) => Err(error),
    };
    let off_the_record = match off_the_record {
        Some(true) => Ok("the extension is allowed in Incognito".to_owned()),
        Some(false) => Err("the extension is not allowed in Incognito: check chrome://policy for a policy that forbids it".to_owned()),
        None => Err("unknown, because the extension did not connect to its host: check chrome://policy for a policy that forbids extensions".to_owned()),
    };
    let page_load = match header {
        Some(Ok(Some(traceparent))) => Ok(format!("the server received traceparent: {traceparent}")),
        Some(Ok(None)) => {
            Err("the server received a request without traceparent: fix the problems above first".to_owned())
        }
        Some(Err(error)) => {
            Err(format!("the page was not loaded: {error}; is {page} reachable from the browser, without a proxy?"))
        }
        None => Err("not tried, because the browser did not start".to_owned()),
    };
    let results = [start, off_the_record, describe_mode(mode, options.mode), page_load];
    Ok(SUBJECTS.into_iter().zip(results).map(|(subject, result)| Finding::of(subject, result)).collect())
}

fn describe_mode(mode: Option<Mode>, wanted: ModeSetting) -> Result<String, String> {
    let Some(mode) = mode else { return Err("unknown, because the extension was not armed".to_owned()) };
    match (mode, wanted.of_worker()) {
        (Mode::Static, _) => Ok("static, as NAVTRACE_MODE says: the session's span id on every request".to_owned()),
        (Mode::Detailed, _) => Ok("detailed: a span id for every request".to_owned()),
        (Mode::Lightweight, WantedMode::Lightweight) => {
            Ok("lightweight, as NAVTRACE_MODE says: a span id for every navigation".to_owned())
        }
        (Mode::Lightweight, WantedMode::Auto) => Ok(format!("lightweight, a span id for every navigation: {NO_GRANT}")),
        (Mode::Lightweight, WantedMode::Detailed) => {
            Err(format!("lightweight, although NAVTRACE_MODE=detailed: {NO_GRANT}"))
        }
    }
}

/// Replaces the hint of the relay's warning, which refers to doctor.
fn without_hint(problem: &str) -> String {
    match problem.strip_suffix(DOCTOR_HINT) {
        Some(warning) => {
            format!(
                "{warning}: raise NAVTRACE_ARM_TIMEOUT if the machine is slow, else see chrome://policy for what keeps extensions away"
            )
        }
        None => problem.to_owned(),
    }
}

/// Reads the browser's standard error up to the line that clients wait for, and returns the address in it.
fn devtools_endpoint(stderr: Option<impl Read + Send + 'static>, timeout: Duration) -> Result<String, String> {
    let Some(stderr) = stderr else {
        return Err("the browser has no standard error".to_owned());
    };
    let (sender, receiver) = mpsc::channel();
    threads::start("browser", move || {
        // Reads to the end, because the browser would block at a full pipe.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    })
    .map_err(|failure| failure.to_string())?;
    let deadline = Instant::now() + timeout;
    let mut last = "it printed nothing".to_owned();
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match line.strip_prefix("DevTools listening on ws://") {
                Some(address) => return Ok(address.split('/').next().unwrap_or_default().to_owned()),
                None => last = line,
            },
            Err(RecvTimeoutError::Timeout) => return Err(format!("the browser did not start within {timeout:?}")),
            Err(RecvTimeoutError::Disconnected) => return Err(format!("the browser ended at once: {last}")),
        }
    }
}

/// Opens the page up to `loads` times, and returns the first `traceparent` of a request for it.
fn load(endpoint: &str, page: &str, server: TcpListener, loads: u32) -> Result<Option<String>, String> {
    let (sender, receiver) = mpsc::channel();
    threads::start("server", move || {
        // Each connection has a thread, because one that the browser opens in advance may stay silent.
        for stream in server.incoming().flatten() {
            let sender = sender.clone();
            let _ = threads::start("page", move || answer(stream).map(|traceparent| sender.send(traceparent)));
        }
    })
    .map_err(|failure| failure.to_string())?;
    for load in 1..=loads {
        open_page(endpoint, page).map_err(|error| error.to_string())?;
        let missing = |_| format!("no request came within {PAGE_TIMEOUT:?}");
        let traceparent = receiver.recv_timeout(PAGE_TIMEOUT).map_err(missing)?;
        if traceparent.is_some() {
            return Ok(traceparent);
        }
        if load < loads {
            std::thread::sleep(LOAD_PAUSE);
        }
    }
    Ok(None)
}

/// Answers one request with an empty page and returns its `traceparent`.
fn answer(mut stream: TcpStream) -> io::Result<Option<String>> {
    stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
    let mut traceparent = None;
    let mut lines = BufReader::new(&stream).lines();
    lines.next().ok_or(ErrorKind::UnexpectedEof)??;
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("traceparent") => {
                traceparent = Some(value.trim().to_owned());
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(traceparent)
}

/// Asks the `DevTools` HTTP endpoint for a new tab.
fn open_page(endpoint: &str, page: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
    write!(stream, "PUT /json/new?{page} HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n")?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    if status.contains(" 200 ") {
        Ok(())
    } else {
        Err(io::Error::other(format!("the browser answered {}", status.trim())))
    }
}
