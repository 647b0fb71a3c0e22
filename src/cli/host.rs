//! `navtrace host`: the native messaging host, as Chromium starts it for the extension.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode as ProcessExitCode;

use crate::browser::extension;
use crate::browser::gate::{self, Link};
use crate::channel::message::{Mode, WantedMode};
use crate::channel::serve::{self, Event, Session};
use crate::config::Config;
use crate::failure::{ExitCode, Failure};
use crate::report::{self, Report};
use crate::stdio;

/// What is said when detailed mode was asked for and is not to be had.
const NOT_GRANTED: &str = "NAVTRACE_MODE=detailed, but this browser does not let the extension change single requests: start it through \
                           `navtrace run` or `navtrace launch`, or name another Chromium with NAVTRACE_BROWSER; going on in lightweight mode";

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
    let mut frames = keep_stdout_private().map_err(|error| {
        Failure::new(ExitCode::Failure, format!("the channel to the extension can't be set up: {error}"))
    })?;
    // Clients kill the browser's process group; what is still to be sent then must survive. A group leader can't leave, and needs not.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!("the host stays in its session: {error}");
    }
    gate::report(Link::HostStarted);

    let mut run = report::Sender::connect();
    let session = Session::new(config.sampler, config.mode, gate::remembered());
    let served = serve::serve(&mut io::stdin().lock(), &mut frames, session, |event| {
        observe(event, config.mode, &mut run);
    });
    served.map_err(|error| {
        let failure = Failure::new(ExitCode::Failure, format!("{error}; the extension will connect again"));
        run.problem(&failure.message);
        failure
    })?;
    // Nobody who reads the browser's standard error to its end waits for what the host still has to do.
    stdio::silence_output();
    stdio::silence_errors();
    Ok(ExitCode::Success.into())
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

fn observe(event: Event, wanted: WantedMode, run: &mut report::Sender) {
    match event {
        Event::Session { session, extension, off_the_record, browser: _ } => {
            tracing::info!("session of trace {} with extension {extension}", session.trace_id);
            gate::report(Link::SessionIssued);
            if let Err(error) = gate::remember(&session) {
                tracing::debug!("a later host will not know the session: {error}");
            }
            run.send(&Report::Session { trace_id: session.trace_id, off_the_record });
            if !off_the_record {
                let message = "the extension may not act in off-the-record contexts, so pages there go without trace context: allow it \
                               in incognito on chrome://extensions";
                tell(run, message);
            }
        }
        Event::Armed(mode) => {
            gate::report(Link::Armed);
            if wanted == WantedMode::Detailed && mode != Mode::Detailed {
                tell(run, NOT_GRANTED);
            }
            run.send(&Report::Armed { mode });
        }
        Event::Observed(_) => {}
        Event::Rejected(reason) => tracing::warn!("a message from the extension was not understood: {reason}"),
    }
}

fn tell(run: &mut report::Sender, problem: &str) {
    if !run.problem(problem) {
        tracing::warn!("{problem}");
    }
}

/// Takes standard output away for frames alone and points the stream at standard error, so that no stray print breaks a frame.
fn keep_stdout_private() -> io::Result<File> {
    let frames: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(frames))
}
