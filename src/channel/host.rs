//! The native messaging host: serves the extension until Chromium closes the channel, and reports to the launcher and to `navtrace run`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::failure::{ExitCode, Failure};
use crate::base::lock;
use crate::base::process::Process;
use crate::base::stdio::{self, say};
use crate::base::threads;
use crate::channel::conversation::{self, Conversation, HostEvent};
use crate::channel::frame::FrameError;
use crate::channel::message::setting::SettingValue;
use crate::channel::message::to_extension::ToExtension;
use crate::channel::test_worker::TestWorker;
use crate::context::mode::{Mode, ModeSetting, WantedMode};
use crate::context::policy::{Existing, Policy};
use crate::export::ExporterState;
use crate::export::options::{Endpoint, ExportOptions};
use crate::export::queue::{ExportedSession, Listener, Queue};
use crate::launch::devtools::{self, Connection, SpareContexts};
use crate::launch::extension::ORIGIN;
use crate::launch::gate::{self, SessionFile, Stage};
use crate::launch::latch::Latch;
use crate::launch::worker_order;
use crate::observe::counts::SessionCounts;
use crate::observe::session::IterationTrace;
use crate::run::reports::{Report, ReportSender};

const NOT_GRANTED: &str = "NAVTRACE_MODE=detailed, but this browser does not let the extension change single requests: start it through \
                           `navtrace run` or `navtrace launch`, or name another Chromium with NAVTRACE_BROWSER; going on in lightweight mode";

const NOT_STATIC: &str = "NAVTRACE_MODE=static, but that is for browsers that `navtrace run` or `navtrace launch` start; going on in lightweight mode";

const CANNOT_KEEP: &str = "NAVTRACE_EXISTING=keep has no effect in lightweight mode on the headers that navtrace sets: those of pages are \
                           overridden; use detailed mode";

const NOT_OFF_THE_RECORD: &str = "navtrace is not allowed in Incognito, so pages there carry no trace context: allow it in its \
                                  Details on chrome://extensions";

/// Time between the end of the channel, which may be within a frame, and the end of a browser that is killed.
const DEATH_DELAY: Duration = Duration::from_millis(500);

/// The settings that the host uses.
#[derive(Debug)]
pub(crate) struct HostOptions {
    pub(crate) policy: Policy,
    pub(crate) mode: ModeSetting,
    /// Whether pages measure navigation timing and web vitals, if spans are exported at all.
    pub(crate) web_vitals: bool,
    /// Whether k6 has started the browser and sends its own spans to `navtrace run`.
    pub(crate) k6_spans: bool,
    /// Template for links to traces.
    pub(crate) link: Option<String>,
    pub(crate) export: ExportOptions,
    /// Longest time that a latched profile holds its client back.
    pub(crate) arm_timeout: Duration,
}

/// The settings in config.toml, as the extension's options page reads and changes them.
pub(crate) trait SettingsStore {
    /// Reads the settings anew, and returns them as [`ToExtension::Settings`].
    fn read(&self) -> Result<ToExtension, Failure>;
    /// Writes all values, or none if one of them is invalid. `None` removes a key.
    fn write(&self, values: &BTreeMap<String, Option<SettingValue>>) -> Result<(), Failure>;
}

/// Refuses every caller but navtrace's own extension.
pub(crate) fn check_origin(origin: Option<&OsStr>) -> Result<(), Failure> {
    match origin {
        Some(origin) if origin == ORIGIN => Ok(()),
        Some(origin) => {
            let message = format!("{} is not navtrace's extension", origin.display());
            Err(Failure::new(ExitCode::Usage, message).because(format!("this host serves {ORIGIN} only")))
        }
        None => Err(Failure::new(ExitCode::Usage, "the host is started by Chromium with the extension's origin")
            .hint(format!("to try it by hand: navtrace host {ORIGIN}"))),
    }
}

/// Serves the extension on standard input and output until Chromium closes the channel. Returns the exit code.
pub(crate) fn serve(options: &HostOptions, settings: &impl SettingsStore) -> Result<ExitCode, Failure> {
    let frames = keep_stdout_private().map_err(|error| {
        Failure::new(ExitCode::Failure, "the channel to the extension can't be set up").because(error)
    })?;
    // Clients kill the browser's process group; the host must survive that to send its last spans. A group's leader can't leave.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!("the host stays in its process session: {error}");
    }
    let browser = Process::parent();
    gate::report(Stage::HostStarted);
    let latch = Latch::of_browser(options.arm_timeout);
    let session_file = SessionFile::take();

    let run = ReportSender::connect();
    let listener = QueueListener { frames: Arc::clone(&frames), run: run.clone() };
    let queue = Queue::start(&options.export, Arc::new(listener)).inspect_err(|failure| {
        run.problem(&failure.to_string());
    })?;
    let test_worker = TestWorker::follow(&frames, &run, options.k6_spans, queue.tests());
    let host = Host {
        options,
        settings,
        run: &run,
        session_file: &session_file,
        queue: &queue,
        frames: &frames,
        spare_contexts: Arc::default(),
        test_worker: &test_worker,
        latch: latch.as_ref(),
    };

    let endpoint = options.export.endpoint.as_ref().map(Endpoint::name);
    let conversation = Conversation::new(options.policy.clone(), options.mode.of_worker(), session_file.context())
        .with_web_vitals(options.web_vitals && endpoint.is_some())
        .with_k6_spans(options.k6_spans && endpoint.is_some())
        .with_export(options.link.clone(), endpoint);
    let served = conversation::serve(&mut io::stdin().lock(), &frames, conversation, |event| host.handle(event));
    run.send(&Report::ChannelEnded);
    // Another host may take the session over.
    drop(session_file);
    let served = served.or_else(|error| {
        let browser_died = matches!(error, FrameError::CutOff { .. }) && browser.wait_gone(DEATH_DELAY);
        if browser_died { Ok(()) } else { Err(error) }
    });
    if let Err(error) = &served {
        let failure = Failure::new(ExitCode::Failure, error).hint("the extension will connect again");
        run.problem(&failure.to_string());
        say(&failure.to_string());
    }
    // Readers of the browser's output must not wait while the host sends its last spans.
    stdio::silence_output();
    stdio::silence_errors();
    report_results(queue, &run);
    Ok(served.map_or(ExitCode::Failure, |()| ExitCode::Success))
}

/// Ends the queue, and reports the counts and the export of each session that this host had.
fn report_results(queue: Queue, run: &ReportSender) {
    let mut sessions = queue.end();
    let last = sessions.pop();
    for ExportedSession { context, observation_counts, export_counts } in sessions {
        let (trace_id, span_id) = (context.trace_id, context.span_id);
        run.send(&Report::Past { trace_id, span_id, counts: observation_counts, exported: export_counts });
    }
    let exported = last.map(|ExportedSession { observation_counts, export_counts, .. }| {
        // The previous session's counts may have been reported as this one's.
        run.send(&Report::Counts(observation_counts));
        export_counts
    });
    run.send(&Report::Exported(exported.unwrap_or_default()));
}

/// Sends a problem to `navtrace run`, or logs it when no run listens.
fn report_problem(run: &ReportSender, problem: &str) {
    if !run.problem(problem) {
        tracing::warn!("{problem}");
    }
}

/// Handles the events of a conversation.
struct Host<'a, S> {
    options: &'a HostOptions,
    settings: &'a S,
    run: &'a ReportSender,
    session_file: &'a SessionFile,
    queue: &'a Queue,
    frames: &'a Arc<Mutex<File>>,
    spare_contexts: Arc<Mutex<SpareContexts>>,
    test_worker: &'a TestWorker,
    latch: Option<&'a Latch>,
}

impl<S: SettingsStore> Host<'_, S> {
    /// Handles an event, and returns the answer to settings messages.
    fn handle(&self, event: HostEvent) -> Option<ToExtension> {
        match event {
            HostEvent::Session { session, parent, extension, off_the_record, browser } => {
                tracing::info!("session of trace {} with extension {extension}", session.trace_id);
                gate::report(Stage::SessionIssued);
                if let Err(error) = self.session_file.store(&session) {
                    tracing::debug!("a later host will not know the session: {error}");
                }
                self.run.send(&Report::Session {
                    trace_id: session.trace_id,
                    span_id: session.span_id,
                    sampled: session.flags.is_sampled(),
                    off_the_record,
                });
                self.queue.session(session, parent, browser);
                self.test_worker.session_issued();
                if !off_the_record {
                    report_problem(self.run, NOT_OFF_THE_RECORD);
                }
            }
            HostEvent::Armed(mode) => self.armed(mode),
            HostEvent::Observed(observed) => self.queue.observed(observed),
            HostEvent::Problem(problem) => report_problem(self.run, &problem),
            HostEvent::Rejected(reason) => tracing::warn!("a message from the extension was not understood: {reason}"),
            HostEvent::Overlap(opened) => self.keep_contexts(opened),
            HostEvent::SettingsRequested => return Some(answer("settings", self.settings.read())),
            HostEvent::Store(values) => {
                let stored = self.settings.write(&values).and_then(|()| self.settings.read());
                return Some(answer("store", stored));
            }
        }
        None
    }

    /// Sees to it that the browser goes on reporting the requests of all its contexts, and answers. Reading does not wait for the browser.
    fn keep_contexts(&self, opened: u32) {
        let (frames, spare) = (Arc::clone(self.frames), Arc::clone(&self.spare_contexts));
        let started = threads::start("contexts", move || {
            let mut windows = Vec::new();
            let closed = if devtools::has_clients() {
                let mut spare = lock(&spare);
                windows = spare.connection().and_then(Connection::windows).unwrap_or_default();
                // A first navigation may be about to begin.
                let answer = ToExtension::Overlap { opened, kept: false, closed: false, windows: windows.clone() };
                send(&frames, &answer);
                spare.open()
            } else {
                Ok(false)
            };
            if let Err(error) = &closed {
                tracing::debug!("the browser may lose track of its contexts: {error}");
            }
            let (kept, closed) = (closed.is_ok(), closed.unwrap_or(true));
            send(&frames, &ToExtension::Overlap { opened, kept, closed, windows });
        });
        if let Err(failure) = started {
            tracing::debug!("the browser may lose track of its contexts: {failure}");
            send(self.frames, &ToExtension::Overlap { opened, kept: false, closed: true, windows: Vec::new() });
        }
    }

    fn armed(&self, mode: Mode) {
        if worker_order::restart_early_worker() {
            return;
        }
        if let Some(latch) = self.latch {
            latch.release();
        }
        gate::report(Stage::Armed);
        match self.options.mode {
            ModeSetting::Worker(WantedMode::Detailed) if mode != Mode::Detailed => {
                report_problem(self.run, NOT_GRANTED);
            }
            ModeSetting::Worker(_) => {}
            ModeSetting::Static => report_problem(self.run, NOT_STATIC),
        }
        if self.options.policy.existing == Existing::Keep && mode != Mode::Detailed {
            report_problem(self.run, CANNOT_KEEP);
        }
        self.run.send(&Report::Armed { mode });
    }
}

/// Sends a message that the extension did not ask for, or whose answer took a while.
pub(super) fn send(frames: &Mutex<File>, message: &ToExtension) {
    if let Err(error) = conversation::send(frames, message) {
        tracing::debug!("the extension did not get {message:?}: {error}");
    }
}

/// Returns the answer to a message of type `about`.
fn answer(about: &str, settings: Result<ToExtension, Failure>) -> ToExtension {
    settings.unwrap_or_else(|failure| ToExtension::refusal(about, failure.to_string()))
}

/// Forwards the queue's progress to the extension and to `navtrace run`.
struct QueueListener {
    frames: Arc<Mutex<File>>,
    run: ReportSender,
}

impl Listener for QueueListener {
    fn batch_stored(&self, worker: &str, number: u64) {
        send(&self.frames, &ToExtension::Received { worker: worker.to_owned(), number });
    }

    fn counted(&self, counts: &SessionCounts) {
        self.run.send(&Report::Counts(counts.clone()));
    }

    fn exporter_changed(&self, state: &ExporterState) {
        send(&self.frames, &ToExtension::Exporter(state.clone()));
    }

    fn problem(&self, problem: &str) {
        report_problem(&self.run, problem);
    }

    fn iteration_found(&self, trace: &IterationTrace) {
        self.run.send(&Report::IterationTrace(trace.clone()));
    }
}

/// Reserves standard output for frames and redirects other output to standard error, so that a stray print breaks no frame.
fn keep_stdout_private() -> io::Result<Arc<Mutex<File>>> {
    let frames: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(Arc::new(Mutex::new(File::from(frames))))
}
