//! Receives reports over the run's socket, and tells test runners and hosts what they ask for.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::base::clock::unix_nanos_now;
use crate::base::{lock, threads};
use crate::run::k6_spans::{K6Effects, K6Spans};
use crate::run::reports::{self, Report, ReportSender};
use crate::run::state::RunState;
use crate::run::test_runner::attempts::{Effects, TestAttempts};
use crate::run::test_runner::export::TestExporter;
use crate::run::test_runner::messages::Notice;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The longest report, in bytes.
const MAX_REPORT: u64 = 1 << 20;

/// The state of a run, shared between threads.
#[derive(Debug, Default)]
pub(crate) struct SharedState {
    state: Mutex<RunState>,
    changed: Condvar,
    tests: Mutex<Tests>,
}

/// The tests of a run, and the connections of those who report them or ask for them.
#[derive(Debug, Default)]
struct Tests {
    live: Option<(TestAttempts, TestExporter)>,
    /// The iterations of k6, if it sends its spans here.
    k6: Option<(K6Spans, TestExporter)>,
    /// The open connections that can be written to.
    connections: BTreeMap<usize, Arc<UnixStream>>,
}

impl Tests {
    /// Applies a report in this thread, so that each connection gets what it asks for in order.
    fn update(&mut self, effects: impl FnOnce(&mut TestAttempts) -> Effects) {
        let Some((attempts, exporter)) = &mut self.live else { return };
        let Effects { notices, spans } = effects(attempts);
        exporter.send(&spans);
        self.tell(notices);
    }

    /// Applies what is heard of iterations, as [`Self::update`] does.
    fn update_k6(&mut self, effects: impl FnOnce(&mut K6Spans) -> K6Effects) {
        let Some((k6_spans, exporter)) = &mut self.k6 else { return };
        let K6Effects { notices, request } = effects(k6_spans);
        exporter.send_request(request);
        self.tell(notices);
    }

    fn tell(&mut self, notices: Vec<(usize, Notice)>) {
        for (connection, notice) in notices {
            let Some(mut stream) = self.connections.get(&connection).map(Arc::as_ref) else { continue };
            let written = serde_json::to_string(&notice).map(|line| stream.write_all(format!("{line}\n").as_bytes()));
            if !matches!(written, Ok(Ok(()))) {
                // Part of a line may be written. Its own reports still count.
                let _ = stream.shutdown(Shutdown::Write);
                self.connections.remove(&connection);
            }
        }
    }
}

impl SharedState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, RunState> {
        lock(&self.state)
    }

    /// Takes spans that k6 has exported.
    pub(super) fn receive_k6_spans(&self, request: ExportTraceServiceRequest) {
        lock(&self.tests).update_k6(|k6_spans| k6_spans.receive(request));
    }

    /// Ends the wait for the reports of hosts.
    pub(super) fn stop_waiting(&self) {
        self.lock().is_cut_short = true;
        self.changed.notify_all();
    }

    fn connected(&self, connection: usize, stream: &Arc<UnixStream>) {
        self.lock().connected(connection);
        // What it does not read in time is for a process that is stuck.
        let _ = stream.set_write_timeout(Some(reports::WRITE_TIMEOUT));
        lock(&self.tests).connections.insert(connection, Arc::clone(stream));
    }

    fn disconnected(&self, connection: usize) {
        let mut tests = lock(&self.tests);
        tests.connections.remove(&connection);
        tests.update(|attempts| attempts.disconnected(connection, unix_nanos_now()));
        drop(tests);
        self.lock().disconnected(connection, Instant::now());
        self.changed.notify_all();
    }

    /// Applies a report, and returns a problem that was not reported before.
    fn apply(&self, connection: usize, report: Report) -> Option<String> {
        match &report {
            Report::IterationTrace(trace) => lock(&self.tests).update_k6(|k6_spans| k6_spans.found(connection, trace)),
            report => lock(&self.tests).update(|attempts| attempts.apply(connection, report)),
        }
        let problem = self.lock().apply(connection, report, Instant::now());
        self.changed.notify_all();
        problem
    }
}

/// Receives reports, each connection in a thread of its own.
#[derive(Debug)]
pub struct ReportReceiver {
    path: PathBuf,
    shared: Arc<SharedState>,
}

impl ReportReceiver {
    /// Listens in `dir`, a private directory, and passes each new problem to `on_problem`.
    ///
    /// # Errors
    ///
    /// Fails when the socket can't be created.
    pub fn listen(dir: &Path, on_problem: fn(&str)) -> io::Result<Self> {
        let path = dir.join("run");
        let listener = UnixListener::bind(&path)?;
        let shared = Arc::new(SharedState::default());
        let shared_with_readers = Arc::clone(&shared);
        threads::start("reports", move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else {
                    // Most likely out of file descriptors, which hosts free as they end.
                    std::thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                let stream = Arc::new(stream);
                shared_with_readers.connected(connection, &stream);
                let start_reader = || {
                    let (stream, shared) = (Arc::clone(&stream), Arc::clone(&shared_with_readers));
                    threads::start("report", move || read(connection, &stream, &shared, on_problem))
                };
                // Where no thread can be started now, one can be once others have ended.
                while start_reader().is_err() {
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        })
        .map_err(io::Error::other)?;
        Ok(Self { path, shared })
    }

    /// Path of the socket, the value of `NAVTRACE_RUN`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes spans of the tests that are reported from now on.
    pub(super) fn trace_tests(&self, attempts: TestAttempts, exporter: TestExporter) {
        lock(&self.shared.tests).live = Some((attempts, exporter));
    }

    /// Puts the spans of k6 that are received from now on into the traces of browsers.
    pub(super) fn trace_k6(&self, k6_spans: K6Spans, exporter: TestExporter) {
        lock(&self.shared.tests).k6 = Some((k6_spans, exporter));
    }

    /// Returns the state for another thread.
    pub(crate) fn shared(&self) -> Arc<SharedState> {
        Arc::clone(&self.shared)
    }

    /// Waits until `ready` returns something; `None` after `timeout`.
    pub fn wait_for<T>(&self, timeout: Duration, mut ready: impl FnMut(&RunState) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells hosts that the command has ended, and with it every k6, waits up to `timeout` until all connections have ended or a signal ends the
    /// wait, and returns what was reported.
    #[must_use]
    pub fn finish(self, timeout: Duration) -> RunState {
        lock(&self.shared.tests).update_k6(K6Spans::end);
        if let Ok(stream) = reports::connect(&self.path) {
            ReportSender::to(Some(stream)).send(&Report::End);
        }
        self.wait_for(timeout, |state| (state.is_complete() || state.is_cut_short).then_some(()));
        let (live, k6) = {
            let mut tests = lock(&self.shared.tests);
            // Nothing more is heard of tests, so hosts wait for nothing.
            for stream in tests.connections.values() {
                let _ = stream.shutdown(Shutdown::Write);
            }
            (tests.live.take(), tests.k6.take())
        };
        let mut state = std::mem::take(&mut *self.shared.lock());
        if let Some((mut attempts, mut exporter)) = live {
            exporter.send(&attempts.interrupt(unix_nanos_now()));
            state.tests = attempts.ended;
            state.test_spans = exporter.finish();
        }
        if let Some((k6_spans, exporter)) = k6 {
            state.k6_spans = k6_spans;
            state.test_spans.add(exporter.finish());
        }
        state
    }
}

fn read(connection: usize, stream: &UnixStream, shared: &SharedState, on_problem: fn(&str)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(length) = (&mut reader).take(MAX_REPORT).read_until(b'\n', &mut line) {
        if length == 0 || line.last() != Some(&b'\n') {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(report) => {
                if let Some(problem) = shared.apply(connection, report) {
                    on_problem(&problem);
                }
            }
            Err(error) => tracing::debug!("a report can't be read: {error}: {}", String::from_utf8_lossy(&line)),
        }
        line.clear();
    }
    shared.disconnected(connection);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::policy::Policy;
    use crate::export::options::ExportOptions;
    use crate::run::test_runner::attempts::TraceLinks;

    fn receiver(dir: &Path) -> ReportReceiver {
        let receiver = ReportReceiver::listen(dir, |_| ()).unwrap();
        let attempts = TestAttempts::new(Policy::default(), TraceLinks::default());
        receiver.trace_tests(attempts, TestExporter::new(ExportOptions::default()));
        receiver
    }

    fn send(mut stream: &UnixStream, report: &str) {
        stream.write_all(format!("{report}\n").as_bytes()).unwrap();
    }

    /// Waits until all that was sent before is applied.
    fn wait_until_applied(receiver: &ReportReceiver, stream: &UnixStream) {
        send(stream, r#"{"report":"problem","message":"last"}"#);
        receiver.wait_for(Duration::from_secs(30), |state| (!state.problems.is_empty()).then_some(())).unwrap();
    }

    const BEGAN: &str = r#"{"report":"test-began","attempt":1,"pid":7,"name":"buys"}"#;

    #[test]
    fn a_host_that_does_not_read_learns_that_it_is_told_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = receiver(dir.path());
        let host = reports::connect(receiver.path()).unwrap();
        send(&host, r#"{"report":"follow-worker","worker":0,"ancestors":[7]}"#);
        let mut notices = BufReader::new(&host);
        notices.read_line(&mut String::new()).unwrap();
        let runner = UnixStream::connect(receiver.path()).unwrap();
        send(&runner, BEGAN);
        for step in 0..1900 {
            send(&runner, &format!(r#"{{"report":"step-began","attempt":1,"step":{step},"title":"x"}}"#));
        }
        wait_until_applied(&receiver, &runner);
        host.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut text = Vec::new();
        notices.read_to_end(&mut text).unwrap();
        // Its own reports still count.
        send(&host, r#"{"report":"problem","message":"of the host"}"#);
        let has_it = |state: &RunState| state.problems.contains_key("of the host").then_some(());
        assert!(receiver.wait_for(Duration::from_secs(30), has_it).is_some());
    }

    #[test]
    fn hosts_are_released_before_the_wait_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = receiver(dir.path());
        receiver.trace_k6(K6Spans::default(), TestExporter::new(ExportOptions::default()));
        let host = UnixStream::connect(receiver.path()).unwrap();
        send(
            &host,
            r#"{"report":"iteration-trace","k6SpanId":"2414c1bd20a31a81","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","root":"00f067aa0ba902b7","flags":"01","tracestate":"","since":1}"#,
        );
        wait_until_applied(&receiver, &host);
        // It ends only once it is told, so that without that the wait would be a long one.
        let host = std::thread::spawn(move || {
            let mut notice = String::new();
            BufReader::new(&host).read_line(&mut notice).unwrap();
            send(&host, r#"{"report":"problem","message":"told"}"#);
            notice
        });
        let state = receiver.finish(Duration::from_secs(60));
        assert!(state.problems.contains_key("told"), "{:?}", state.problems);
        let notice = host.join().unwrap();
        assert!(notice.contains(r#""root":"00f067aa0ba902b7","attributes":{}"#), "{notice}");
    }

    #[test]
    fn tests_that_still_run_at_the_end_are_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let receiver = receiver(dir.path());
        let runner = UnixStream::connect(receiver.path()).unwrap();
        send(&runner, BEGAN);
        wait_until_applied(&receiver, &runner);
        let state = receiver.finish(Duration::ZERO);
        let lines = crate::run::test_runner::summary::lines(&state.tests, None);
        assert!(lines.len() == 1 && lines[0].contains("  buys  failed"), "{lines:?}");
    }
}
