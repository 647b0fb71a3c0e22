//! `navtrace host`: the native messaging host, as Chromium starts it for the extension.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode as ProcessExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::{self, say};
use crate::channel::message::{ErrorCode, ToExtension};
use crate::channel::serve::{self, Event, Session};
use crate::context::mode::{Mode, WantedMode};
use crate::context::policy::Existing;
use crate::export::ExporterState;
use crate::export::exporter::Outcome;
use crate::export::recorder::{Audience, Recorder};
use crate::export::settings::Target;
use crate::launch::extension;
use crate::launch::gate::{self, Stage};
use crate::launch::latch::Latch;
use crate::observe::tally::Tally;
use crate::run::reports::{self, Report};
use crate::settings::Config;

/// What is said when detailed mode was asked for and is not to be had.
const NOT_GRANTED: &str = "NAVTRACE_MODE=detailed, but this browser does not let the extension change single requests: start it through \
                           `navtrace run` or `navtrace launch`, or name another Chromium with NAVTRACE_BROWSER; going on in lightweight mode";

/// What is said when contexts can't be kept.
const CAN_NOT_KEEP: &str = "NAVTRACE_EXISTING=keep, but in lightweight mode nobody can see what a page sets: its contexts are overridden; detailed \
                            mode keeps them";

/// Answer the extension (started by Chromium, not by hand)
///
/// Chromium starts the host with the extension's origin as its first argument and talks to it in length-prefixed JSON on standard input
/// and output (PROTOCOL.md). `navtrace chrome-extension://ID/` is the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The origin that asks, chrome-extension://ID/
    pub(super) origin: Option<OsString>,
}

/// Serves the extension until Chromium closes the channel.
pub(super) fn host(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    check_origin(args.origin.as_ref())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let frames = keep_stdout_private().map_err(|error| {
        Failure::new(ExitCode::Failure, format!("the channel to the extension can't be set up: {error}"))
    })?;
    // Clients kill the browser's process group; what is still to be sent then must survive. A group leader can't leave, and needs not.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!("the host stays in its session: {error}");
    }
    gate::report(Stage::HostStarted);
    let latch = Latch::of_browser(config.arm_timeout);

    let run = Run::connect();
    let audience = ToExtensionAndRun { frames: Arc::clone(&frames), run: run.clone() };
    let for_problems = run.clone();
    let recorder = Recorder::start(&config.export, audience, Box::new(move |problem| for_problems.tell(problem)));
    let link = config.link.as_ref().map(|link| link.as_str().to_owned());
    let endpoint = config.export.target.as_ref().map(Target::name);
    let session = Session::new(config.policy.clone(), config.mode, gate::remembered())
        .with_places(link, endpoint)
        .with_web_vitals(config.web_vitals && config.export.target.is_some());
    let served = serve::serve(&mut io::stdin().lock(), &frames, session, |event| {
        if let (Event::Armed(_), Some(latch)) = (&event, &latch) {
            latch.release();
        }
        observe(event, config, &run, &recorder)
    });
    let served = served.map_err(|error| {
        let failure = Failure::new(ExitCode::Failure, format!("{error}; the extension will connect again"));
        run.problem(&failure.to_string());
        failure
    });
    // Nobody who reads the browser's standard error to its end waits for what the host still has to do.
    if let Err(failure) = &served {
        say(&failure.to_string());
    }
    stdio::silence_output();
    stdio::silence_errors();
    let mut outcomes = recorder.end();
    let last = outcomes.pop();
    for Outcome { context, tally, exported } in outcomes {
        run.send(&Report::Past { trace_id: context.trace_id, span_id: context.span_id, tally, exported });
    }
    let last = last.map(|Outcome { tally, exported, .. }| {
        // The one before it may have been counted as its.
        run.send(&Report::Tally(tally));
        exported
    });
    run.send(&Report::Exported(last.unwrap_or_default()));
    Ok(served.map_or(ExitCode::Failure, |()| ExitCode::Success).into())
}

/// The connection to `navtrace run`, which several threads have.
#[derive(Clone)]
struct Run(Arc<Mutex<reports::Sender>>);

impl Run {
    fn connect() -> Self {
        Self(Arc::new(Mutex::new(reports::Sender::connect())))
    }

    fn send(&self, report: &Report) {
        self.lock().send(report);
    }

    fn problem(&self, problem: &str) -> bool {
        self.lock().problem(problem)
    }

    /// Tells of a problem: through `navtrace run` where one listens, else on standard error.
    fn tell(&self, problem: &str) {
        if !self.problem(problem) {
            tracing::warn!("{problem}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, reports::Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who learn what became of observations.
struct ToExtensionAndRun {
    frames: Arc<Mutex<File>>,
    run: Run,
}

impl Audience for ToExtensionAndRun {
    fn received(&mut self, worker: &str, number: u64) {
        let message = ToExtension::Received { worker: worker.to_owned(), number };
        if let Err(error) = serve::send(&self.frames, &message) {
            tracing::debug!("the extension was not told that a batch is safe: {error}");
        }
    }

    fn counted(&mut self, tally: &Tally) {
        self.run.send(&Report::Tally(tally.clone()));
    }

    fn exporter(&mut self, state: &ExporterState) {
        if let Err(error) = serve::send(&self.frames, &ToExtension::Exporter(state.clone())) {
            tracing::debug!("the extension was not told of the exporter: {error}");
        }
    }
}

fn check_origin(origin: Option<&OsString>) -> Result<(), Failure> {
    match origin {
        Some(origin) if origin == extension::ORIGIN => Ok(()),
        Some(origin) => Err(Failure::new(
            ExitCode::Usage,
            format!("{} is not navtrace's extension: this host serves {} only", origin.display(), extension::ORIGIN),
        )),
        None => Err(Failure::new(
            ExitCode::Usage,
            format!(
                "the host is started by Chromium with the extension's origin; to try it by hand: navtrace host {}",
                extension::ORIGIN
            ),
        )),
    }
}

fn observe(event: Event, config: &Config, run: &Run, recorder: &Recorder) -> Option<ToExtension> {
    match event {
        Event::Session { session, parent, extension, off_the_record, browser } => {
            tracing::info!("session of trace {} with extension {extension}", session.trace_id);
            gate::report(Stage::SessionIssued);
            if let Err(error) = gate::remember(&session) {
                tracing::debug!("a later host will not know the session: {error}");
            }
            run.send(&Report::Session {
                trace_id: session.trace_id,
                span_id: session.span_id,
                sampled: session.flags.is_sampled(),
                off_the_record,
            });
            recorder.session(session, parent, browser);
            if !off_the_record {
                let message = "the extension may not act in off-the-record contexts, so pages there go without trace context: allow it \
                               in incognito on chrome://extensions";
                run.tell(message);
            }
        }
        Event::Armed(mode) => {
            gate::report(Stage::Armed);
            if config.mode == WantedMode::Detailed && mode != Mode::Detailed {
                run.tell(NOT_GRANTED);
            }
            if config.policy.existing == Existing::Keep && mode != Mode::Detailed {
                run.tell(CAN_NOT_KEEP);
            }
            run.send(&Report::Armed { mode });
        }
        Event::Observed(observed) => recorder.observed(observed),
        Event::Problem(problem) => run.tell(&problem),
        Event::Rejected(reason) => tracing::warn!("a message from the extension was not understood: {reason}"),
        Event::SettingsAsked => return Some(answered(settings())),
        Event::Store(values) => return Some(answered(config.store(&values).and_then(|()| settings()))),
    }
    None
}

/// The settings that a host would have that is started now.
fn settings() -> Result<ToExtension, Failure> {
    let config = Config::load(&[])?;
    let settings = config.lasting()?;
    let exists = config.file.as_ref().is_some_and(|file| file.exists);
    Ok(ToExtension::Settings { file: config.file.map(|file| file.path.display().to_string()), exists, settings })
}

fn answered(answer: Result<ToExtension, Failure>) -> ToExtension {
    answer.unwrap_or_else(|failure| ToExtension::Error { code: ErrorCode::Refused, message: failure.to_string() })
}

/// Takes standard output away for frames alone and points the stream at standard error, so that no stray print breaks a frame.
fn keep_stdout_private() -> io::Result<Arc<Mutex<File>>> {
    let frames: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(Arc::new(Mutex::new(File::from(frames))))
}
