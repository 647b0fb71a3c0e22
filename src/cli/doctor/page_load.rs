//! Loads a page on loopback through the launcher, in an off-the-record window as test clients do, and looks at what a server received.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::base::environment;
use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::cli::doctor::Finding;
use crate::context::mode::{Mode, WantedMode};
use crate::launch::gate::DOCTOR_HINT;
use crate::launch::start;
use crate::run::reports::Receiver;
use crate::settings::{self, Config};

/// The links that are checked here.
pub(super) const LINKS: [&str; 4] = ["browser start", "off the record", "mode", "page load"];

/// What a client such as k6 starts the browser with, as far as it matters here.
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

/// Why there is no detailed mode although the launcher asks for it.
const NO_GRANT: &str = "this browser does not let the extension change single requests (a newer Chromium may)";

/// How long a browser may take to start, the wait for the extension apart.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a page on loopback may take to load.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what the host learnt may take to arrive once the browser has been let go.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long removing what the browser and its relay leave is tried.
const REMOVAL: Duration = Duration::from_secs(3);

/// The browser, ended with this value.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        // It is our own child and not yet reaped, so the id is still its own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks the links that only a running browser can show.
pub(super) fn check(config: &Config) -> Result<Vec<(&'static str, Finding)>, Failure> {
    let set_up = |error: io::Error| {
        Failure::new(ExitCode::Failure, format!("the check of a page load can't be set up: {error}"))
    };
    let dir = files::temporary_directory("navtrace-doctor-").map_err(set_up)?;
    let receiver = Receiver::listen(dir.path(), |_| ()).map_err(set_up)?;
    let server = TcpListener::bind("127.0.0.1:0").map_err(set_up)?;
    let page = format!("http://{}/", server.local_addr().map_err(set_up)?);

    let mut child = Command::new(start::this_binary()?)
        .arg("launch")
        .args(CHROMIUM_ARGUMENTS)
        .envs(config.environment())
        .env(environment::RUN_SOCKET, receiver.path())
        // Nobody wants to see this page among their traces.
        .env(settings::export::EXPORTER, "none")
        // A browser that is killed leaves files of its own there; they go with the directory.
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(set_up)?;
    let stderr = child.stderr.take();
    let browser = Browser(child);

    let endpoint = devtools_endpoint(stderr, START_TIMEOUT + config.arm_timeout);
    let header = endpoint.as_ref().ok().map(|endpoint| load(endpoint, &page, server));
    let off_the_record =
        receiver.wait_for(REPORT_TIMEOUT, |state| state.sessions.first().map(|session| session.off_the_record));
    let mode = receiver.wait_for(REPORT_TIMEOUT, |state| state.sessions.first()?.mode);
    let problem = receiver.wait_for(Duration::ZERO, |state| state.problems.keys().next().cloned());
    drop(browser);
    // The relay has its own files there and goes on for a moment; a directory that is merely dropped would be tried once.
    files::remove_directory(&dir.keep(), REMOVAL);

    let start = match (endpoint, problem) {
        (Ok(_), None) => Ok("armed before the client may connect".to_owned()),
        (_, Some(problem)) => Err(without_hint(&problem)),
        (Err(error), None) => Err(error),
    };
    let off_the_record = match off_the_record {
        Some(true) => Ok("the extension may act in off-the-record contexts".to_owned()),
        Some(false) => Err("the extension may not act in off-the-record contexts: is a policy in the way (chrome://policy)?".to_owned()),
        None => Err("unknown, because the extension did not say hello to its host: are extensions kept away by a policy (chrome://policy)?".to_owned()),
    };
    let page_load = match header {
        Some(Ok(Some(traceparent))) => Ok(format!("the server received traceparent: {traceparent}")),
        Some(Ok(None)) => {
            Err("the server received a request without traceparent: mend what stands above first".to_owned())
        }
        Some(Err(error)) => {
            Err(format!("the page was not loaded: {error}; is {page} reachable from the browser, without a proxy?"))
        }
        None => Err("not tried, because the browser did not start".to_owned()),
    };
    Ok(LINKS.into_iter().zip([start, off_the_record, mode_finding(mode, config.mode), page_load]).collect())
}

fn mode_finding(mode: Option<Mode>, wanted: WantedMode) -> Finding {
    match (mode, wanted) {
        (Some(Mode::Detailed), _) => Ok("detailed: a span id for every request".to_owned()),
        (Some(Mode::Lightweight), WantedMode::Lightweight) => {
            Ok("lightweight, as NAVTRACE_MODE says: a span id for every navigation".to_owned())
        }
        (Some(Mode::Lightweight), WantedMode::Auto) => {
            Ok(format!("lightweight, a span id for every navigation: {NO_GRANT}"))
        }
        (Some(Mode::Lightweight), WantedMode::Detailed) => {
            Err(format!("lightweight, although NAVTRACE_MODE=detailed: {NO_GRANT}"))
        }
        (None, _) => Err("unknown, because the extension was not armed".to_owned()),
    }
}

/// A warning of the gate names doctor as the way out, which is this.
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

/// Reads the browser's standard error up to the line that clients wait for, and gives the address in it.
fn devtools_endpoint(stderr: Option<impl Read + Send + 'static>, timeout: Duration) -> Result<String, String> {
    let Some(stderr) = stderr else {
        return Err("the browser has no standard error".to_owned());
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Read to the end: a browser that nobody reads from would stop at a full pipe.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + timeout;
    let mut last = "it said nothing".to_owned();
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

/// Opens the page and gives the `traceparent` that came with the request for it.
fn load(endpoint: &str, page: &str, server: TcpListener) -> Result<Option<String>, String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // One thread for each: a connection that the browser opens in advance may stay silent.
        for stream in server.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || answer(stream).map(|traceparent| sender.send(traceparent)));
        }
    });
    open_page(endpoint, page).map_err(|error| error.to_string())?;
    receiver.recv_timeout(PAGE_TIMEOUT).map_err(|_| format!("no request came within {PAGE_TIMEOUT:?}"))
}

/// Answers one request with an empty page and gives its `traceparent`.
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
