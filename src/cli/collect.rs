//! `navtrace collect`: receives OTLP into a trace file until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::failure::{ExitCode, Failure};
use crate::base::stdio::say;
use crate::cli::settings::Flags;
use crate::run::collector::{self, CollectorOptions};
use crate::settings::export::ENDPOINT;
use crate::settings::{self, Config};

/// Receive spans over OTLP and keep them in a file
///
/// Takes OTLP over HTTP (protobuf and JSON, gzip) until Ctrl-C, and writes OTLP JSON lines, the format of the OpenTelemetry Collector's file
/// exporter, which `navtrace view` shows. Metrics and logs are taken and dropped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    pub(super) flags: Flags,
}

/// Where spans are received, and where they go.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The file for the spans, in OTLP JSON lines; what it had is lost (default: one in the state directory, where the latest 20 stay)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The address to receive spans at (default: 127.0.0.1:4318, or any port if that is taken)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// How long the last spans are waited for when a collector is stopped by hand.
const LAST_SPANS: Duration = Duration::from_millis(100);

impl Options {
    pub(super) fn to_collector(&self) -> CollectorOptions {
        CollectorOptions { output: self.output.clone(), listen: self.listen }
    }

    /// The option that was given, if any was.
    pub(super) fn given(&self) -> Option<&'static str> {
        self.output.as_ref().map(|_| "--output").or_else(|| self.listen.map(|_| "--listen"))
    }
}

/// Reads a duration of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    settings::value::duration(text, Duration::from_secs(600))
}

/// Receives spans until a signal says that it is enough.
pub(super) fn collect(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals =
        signals.map_err(|error| Failure::new(ExitCode::Failure, format!("signals can't be had: {error}")))?;
    let running = collector::start(&args.options.to_collector())?;
    let endpoint = running.receiver().endpoint();
    say(&format!(
        "spans are collected at {endpoint} ({ENDPOINT}={endpoint}) into {}; Ctrl-C ends it",
        running.path().display()
    ));
    signals.forever().next();
    let finished = running.finish(LAST_SPANS, config.link.as_ref());
    if finished.contents.spans == 0 {
        say("no span arrived");
    }
    for line in finished.lines() {
        say(&line);
    }
    Ok(if finished.lost > 0 { ExitCode::Failure } else { ExitCode::Success }.into())
}
