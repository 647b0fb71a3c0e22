//! A collector, and an environment in which hosts and commands export to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::fs::FlockOperation;

use crate::collector::{Collector, read_line, spans};
use crate::host::TestHost;
use crate::navtrace::Environment;
use crate::reports::Reports;
use crate::tree::{Session, assert_tree, ids};

/// The argument by which Chromium starts the host.
pub(crate) const ORIGIN: &str = "chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/";

/// Longer than anything takes here. A test that waits longer fails.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct ExportTest {
    pub(crate) environment: Environment,
    pub(crate) collector: Collector,
    variables: Vec<(String, String)>,
}

impl ExportTest {
    /// Starts with a collector that accepts everything.
    pub(crate) fn new() -> Self {
        Self::with(Collector::start())
    }

    pub(crate) fn with(collector: Collector) -> Self {
        let variables = Environment::exporting(&collector.endpoint());
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { environment: Environment::new(), collector, variables }
    }

    /// Adds an environment variable for everything that is started later.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.environment.navtrace(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a host whose parent, its browser, is the test itself.
    pub(crate) fn host(&self) -> TestHost {
        TestHost::start(self.command(&[ORIGIN]), &self.host_file(), None)
    }

    /// Starts a host below a process that stands in for the browser and can be killed.
    pub(crate) fn host_with_browser(&self) -> TestHost {
        self.host_below_browser(&self.command(&[ORIGIN]))
    }

    /// Starts such a host, and receives its reports.
    pub(crate) fn host_with_reports(&self, reports: &Reports) -> TestHost {
        let mut command = self.command(&[ORIGIN]);
        reports.attach(&mut command);
        self.host_below_browser(&command)
    }

    /// Starts the host that `host` describes below a process that stands in for the browser. Its umask is 0.
    pub(crate) fn host_below_browser(&self, host: &Command) -> TestHost {
        let file = self.host_file();
        let pid_file = file.with_extension("pid");
        // A shell gives its background processes no standard input unless it is told to.
        let script = r#"umask 0; exec 3<&0; "$@" <&3 3<&- & echo $! >"$PID"; exec sleep 1000"#;
        let mut browser = Command::new("sh");
        // NAVTRACE_BINARY names another binary to test, such as the released one.
        let program = std::env::var_os("NAVTRACE_BINARY").unwrap_or_else(|| host.get_program().to_owned());
        browser.args(["-c", script, "sh"]).arg(program).args(host.get_args());
        for (name, value) in host.get_envs() {
            match value {
                Some(value) => browser.env(name, value),
                None => browser.env_remove(name),
            };
        }
        browser.env("PID", &pid_file);
        TestHost::start(browser, &file, Some(&pid_file))
    }

    /// Returns a new path, without an extension, for the files of a host.
    fn host_file(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        self.environment.home().join(format!("host-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Runs `navtrace flush` and returns its exit code and standard error.
    pub(crate) fn flush(&self) -> (i32, String) {
        exit_and_stderr(&self.command(&["flush"]).output().unwrap())
    }

    /// Returns the URL that spans are sent to.
    pub(crate) fn target(&self) -> String {
        format!("{}/v1/traces", self.collector.endpoint())
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.environment.home().join(".local/state/navtrace")
    }

    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        entries(&self.state_dir().join("sessions"))
    }

    /// Returns the files in the spool, one for each batch.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        entries(&self.state_dir().join("spool"))
    }

    /// Returns the ids of the spans in the spool.
    pub(crate) fn spooled_ids(&self) -> Vec<String> {
        let batches = self.spooled().into_iter().map(|path| fs::read_to_string(path).unwrap());
        batches.flat_map(|text| ids(&spans(&read_line(&text)))).collect()
    }

    /// Waits until the collector has accepted `count` spans, and returns all that it accepted.
    pub(crate) fn wait_for_spans(&self, count: usize) -> Vec<Span> {
        self.collector.wait_for(TIMEOUT, |spans| spans.len() >= count)
    }

    /// Waits until `count` requests have arrived, accepted or not.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        wait_until(&format!("{count} requests arrive"), || self.collector.arrived().len() >= count);
    }

    /// Asserts that the collector has exactly the session's root and these spans, each once, as one tree.
    pub(crate) fn assert_tree(&self, session: &Session, expected: &[String]) {
        assert_tree(&self.collector.spans(), session, expected);
    }
}

/// Returns the exit code and standard error of a command that wrote nothing to standard output.
pub(crate) fn exit_and_stderr(output: &Output) -> (i32, String) {
    assert_eq!(output.stdout, b"");
    (output.status.code().unwrap(), crate::navtrace::stderr(output))
}

/// Returns the sorted paths in a directory, none if it does not exist.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns the paths of all files below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<String> {
    let names = entries(dir)
        .into_iter()
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] });
    names.collect()
}

/// Waits until `holds` returns true. `what` describes it in the failure.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns whether a process has a file locked.
pub(crate) fn is_locked(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error, rustix::io::Errno::WOULDBLOCK, "{}", path.display());
            true
        }
    }
}
