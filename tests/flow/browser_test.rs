//! Runs a test client (k6, or node with a script for Playwright or Puppeteer) against a site, with and without navtrace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::navtrace::{Environment, stderr};
use crate::support::collector::{Collector, spans_in};
use crate::support::site::{PageResults, Recorded, Site, TraceParent};

/// Limit of the wait for processes to exit.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// Limit of a client's run. It only keeps a client that hangs from holding up all other tests, and says what it wrote until then.
const RUN_LIMIT: Duration = Duration::from_secs(900);

/// What k6 logs when it has missed the event by which it learns of a page: in about one of a thousand browsers.
pub(crate) const MISSED_PAGE: &str = "creating new page in browser context: timed out after 30s";

/// Held by every test that drives a browser: for reading by those that may run beside others, for writing by those that may not.
static RUNNING: RwLock<()> = RwLock::new(());

/// A test that drives a browser, beside as many others as `--test-threads` allows, until this is dropped.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    RUNNING.read().unwrap_or_else(PoisonError::into_inner)
}

/// A test that drives a browser while no other does, until this is dropped: it asserts what happens within some milliseconds, needs pages that
/// Chromium prepares or keeps only while the machine is not busy, or fills the machine itself.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    RUNNING.write().unwrap_or_else(PoisonError::into_inner)
}

/// A site, and a private environment in which clients run against it.
pub(crate) struct BrowserTest {
    pub(crate) site: Site,
    pub(crate) environment: Environment,
}

/// The result of a client that ran to its end.
pub(crate) struct Run {
    /// Standard error of the client, and of navtrace if that ran it.
    pub(crate) log: String,
    /// Requests that the site received, in the order of arrival.
    pub(crate) requests: Vec<Recorded>,
}

impl BrowserTest {
    pub(crate) fn new() -> Self {
        Self { site: Site::start(), environment: Environment::new() }
    }

    /// Returns a test whose site is over HTTP/2. Its browsers need the argument [`site::ACCEPTING`](crate::support::site::ACCEPTING).
    pub(crate) fn over_http2() -> Self {
        Self { site: Site::over_http2(), environment: Environment::new() }
    }

    /// Adds the arguments for a script to a command that runs k6.
    pub(crate) fn script(&self, command: &mut Command, script: &str, variables: &[(&str, &str)]) {
        command.args(["run", "--quiet", "--no-usage-report", "-e"]).arg(format!("SITE={}", self.site.main()));
        command.arg("-e").arg(format!("OTHER={}", self.site.other()));
        for (name, value) in variables {
            command.args(["-e", &format!("{name}={value}")]);
        }
        command.arg(script_path(script)).stdin(Stdio::null());
    }

    /// Runs `k6 run` without navtrace.
    pub(crate) fn plain(&self, script: &str, variables: &[(&str, &str)]) -> Run {
        self.run(self.plain_command(script, variables))
    }

    /// Returns the command of [`BrowserTest::plain`].
    pub(crate) fn plain_command(&self, script: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = self.without_navtrace("k6");
        self.script(&mut command, script, variables);
        if is_root() {
            command.env("K6_BROWSER_ARGS", "no-sandbox");
        }
        command
    }

    /// Returns a command of another program in the same environment.
    pub(crate) fn without_navtrace(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, value) in self.environment.navtrace([""; 0]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs `navtrace run -- k6 run` in a mode.
    pub(crate) fn traced_in(&self, mode: &str, script: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = self.traced_command(script, variables);
        command.env("NAVTRACE_MODE", mode);
        self.run(command)
    }

    /// Returns the command for `navtrace run -- k6 run`.
    pub(crate) fn traced_command(&self, script: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = self.environment.navtrace(["run", "--", "k6"]);
        self.script(&mut command, script, variables);
        command
    }

    /// Returns the command of `navtrace run` for a program whose browser's spans are to be in [`BrowserTest::collected`].
    pub(crate) fn collecting(&self, program: &str) -> Command {
        let mut command = self.environment.navtrace(["run", "--listen", "127.0.0.1:0", "--output"]);
        command.arg(self.trace_file()).args(["--", program]).env_remove("OTEL_TRACES_EXPORTER");
        command
    }

    /// Returns the command of [`BrowserTest::collecting`] for a script of Playwright or Puppeteer.
    pub(crate) fn collecting_from(&self, script: &str) -> Command {
        let mut command = self.collecting("node");
        command.arg(script_path(script)).stdin(Stdio::null()).env("SITE", self.site.main());
        command
    }

    /// Returns the spans that were collected.
    pub(crate) fn collected(&self) -> Vec<Span> {
        spans_in(&fs::read_to_string(self.trace_file()).unwrap())
    }

    /// Returns the path of the file with the collected spans.
    pub(crate) fn trace_file(&self) -> PathBuf {
        self.environment.home().join("traces.jsonl")
    }

    /// Clears the record of the site and runs a client to its end.
    pub(crate) fn run(&self, mut command: Command) -> Run {
        let ((), output) = repeated(MISSED_PAGE, 1, |number| {
            if number > 0 {
                Collector::clear_all();
            }
            ((), self.output(&mut command))
        });
        self.finished(&output)
    }

    /// Clears the record of the site, and returns what a client has written by its end.
    pub(crate) fn output(&self, command: &mut Command) -> Output {
        self.site.clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let client = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (ended, is_ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if is_ended.recv_timeout(RUN_LIMIT) == Err(RecvTimeoutError::Timeout) {
                    self.kill_client();
                }
            });
            let output = client.wait_with_output().unwrap();
            drop(ended);
            output
        })
    }

    /// Kills whatever runs but navtrace, which then says what it knows.
    fn kill_client(&self) {
        for process in self.environment.processes() {
            let (id, name) = process.split_once(' ').unwrap();
            if name != "navtrace" {
                let _ = kill_process(Pid::from_raw(id.parse().unwrap()).unwrap(), Signal::KILL);
            }
        }
    }

    /// Stops a script that loads pages until then.
    pub(crate) fn stop(&self) {
        let address = self.site.main().strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /empty?kind=stop&run=stop&nav=stop HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream.read_exact(&mut [0]).expect("the site answers");
    }

    /// Returns the result of a client that has exited. Fails the test if the client failed or k6 logged an error.
    pub(crate) fn finished(&self, output: &Output) -> Run {
        let run = self.ended(output);
        assert_eq!(run.errors(), [""; 0], "errors were logged:\n{}", run.log);
        run
    }

    /// Returns the result of a client that has exited. Fails the test if the client failed.
    pub(crate) fn ended(&self, output: &Output) -> Run {
        let log = stderr(output);
        assert!(output.status.success(), "exit {}\n{log}", output.status);
        let mut requests = self.site.settled(Duration::from_millis(300), Duration::from_secs(5));
        requests.retain(|request| request.label() != "stop");
        Run { log, requests }
    }

    /// Waits until no process and no temporary file of a run is left.
    pub(crate) fn assert_nothing_left(&self) {
        let deadline = Instant::now() + EXIT_LIMIT;
        loop {
            let mut left = (self.environment.processes(), self.environment.left_behind());
            // Chromium leaves these if a client kills it, with and without navtrace.
            left.1.retain(|name| !name.trim_start_matches('.').starts_with("org.chromium.Chromium."));
            if left.0.is_empty() && left.1.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Run {
    /// Returns the errors that k6 logged.
    pub(crate) fn errors(&self) -> Vec<&str> {
        self.log.lines().filter(|line| is_error(line)).collect()
    }

    /// Returns the trace ids of all requests, each of which must carry exactly one valid header.
    pub(crate) fn trace_ids(&self) -> BTreeSet<String> {
        self.requests.iter().map(|request| traceparent(request).trace_id).collect()
    }

    /// Returns the trace ids in the summary of `navtrace run`.
    pub(crate) fn summary(&self) -> BTreeSet<String> {
        let lines = self.log.lines().filter_map(|line| line.strip_prefix("navtrace:   "));
        let words = lines.map(|line| line.split_whitespace().next().unwrap().to_owned());
        // The line of a session with several traces names none of them.
        words.filter(|word| word.len() == 32).collect()
    }

    /// Counts the requests by load and kind (see [`Recorded::label`]). Every request must name its load.
    pub(crate) fn counts(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            let load = request.run.as_deref().unwrap_or_else(|| panic!("{} names no run", request.path));
            *counts.entry((load, request.label())).or_default() += 1;
        }
        counts
    }

    /// Asserts that the coverage page was loaded once for each of these loads, without any failure.
    pub(crate) fn assert_whole(&self, loads: &[&str]) {
        let pages: Vec<PageResults> = logged(&self.log, "COVERAGE ");
        let failures: Vec<_> = pages.iter().flat_map(PageResults::failures).collect();
        assert_eq!(failures, [], "{}", self.log);
        let mut seen: Vec<_> = pages.iter().map(|page| page.run.as_str()).collect();
        seen.sort_unstable();
        assert_eq!(seen, loads, "{}", self.log);
    }

    /// Counts the CORS preflights.
    pub(crate) fn preflights(&self) -> usize {
        self.requests.iter().filter(|request| request.method == "OPTIONS").count()
    }
}

/// Returns the path of a script in `tests/flow/scripts`.
pub(crate) fn script_path(script: &str) -> String {
    format!("{}/tests/flow/scripts/{script}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of Chromium.
pub(crate) fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| file.is_file());
    found.expect("chromium is on PATH")
}

/// Returns the context of a request, which must carry exactly one valid header.
pub(crate) fn traceparent(request: &Recorded) -> TraceParent {
    let [header] = request.traceparent.as_slice() else {
        panic!("{} {} has {} headers", request.method, request.label(), request.traceparent.len());
    };
    TraceParent::parse(header).unwrap_or_else(|reason| panic!("{header}: {reason}"))
}

/// Returns the values that a script logged as JSON behind a mark.
pub(crate) fn logged<T: DeserializeOwned>(log: &str, mark: &str) -> Vec<T> {
    let text = log.lines().filter_map(|line| {
        // k6 logs the message as a quoted field among others.
        let message = match line.split_once(" msg=") {
            Some((_, rest)) => serde_json::Deserializer::from_str(rest).into_iter::<String>().next()?.ok()?,
            None => line.to_owned(),
        };
        message.strip_prefix(mark).map(ToOwned::to_owned)
    });
    text.map(|json| serde_json::from_str(&json).unwrap_or_else(|error| panic!("{mark}{json}: {error}"))).collect()
}

/// Asserts that every request has a span id of its own.
pub(crate) fn assert_own_spans(requests: &[Recorded]) {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in requests {
        let name = format!("{} {}", request.method, request.label());
        users.entry(traceparent(request).span_id).or_default().push(name);
    }
    let shared: Vec<_> = users.values().filter(|requests| requests.len() > 1).collect();
    assert!(shared.is_empty(), "{} requests have {} span ids; shared: {shared:?}", requests.len(), users.len());
}

/// Runs an attempt, which takes its number, and up to `more` further ones while the client has logged these words, by which it tells of a fault that
/// is not navtrace's.
pub(crate) fn repeated<T>(words: &str, more: usize, mut attempt: impl FnMut(usize) -> (T, Output)) -> (T, Output) {
    let mut last = attempt(0);
    for number in 1..=more {
        if !stderr(&last.1).contains(words) {
            break;
        }
        println!("the client runs again: {words}");
        last = attempt(number);
    }
    last
}

/// Tells whether a line is an error of k6. On a busy machine, with and without navtrace, k6 also logs that a browser "unexpectedly ended"
/// after k6 itself has ended it by a signal or by a cancelled context. That is no error.
fn is_error(line: &str) -> bool {
    let by_k6 = ["signal: killed", "signal: terminated", "context canceled"];
    let known = by_k6.iter().any(|how| line.contains(&format!("unexpectedly ended: {how}")));
    // It does not wait for all processes of such a browser before it removes the profile, which they still write to.
    let left = line.contains("cleaning up the user data directory") && line.contains("directory not empty");
    (line.contains("level=error") || line.contains("level=fatal")) && !known && !left
}

pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
