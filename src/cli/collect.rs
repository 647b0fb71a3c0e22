//! `navtrace collect`: receives OTLP into a trace file until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode as ProcessExitCode;
use std::time::Duration;

use crate::base::failure::{ExitCode, Failure};
use crate::base::signals;
use crate::base::stdio::say;
use crate::cli::setting_flags::SettingFlags;
use crate::run::collector::{self, CollectorOptions};
use crate::run::ending;
use crate::settings::export::ENDPOINT;
use crate::settings::{self, Config};

/// Receive spans over OTLP and keep them in a file
///
/// Takes OTLP over HTTP (protobuf and JSON) and gRPC, with or without gzip, until Ctrl-C, and writes OTLP JSON lines, the format of the OpenTelemetry Collector's file
/// exporter, which `navtrace view` shows. Metrics and logs are accepted and dropped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// Where to receive spans, and where to keep them.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The file for the spans, in OTLP JSON lines; an existing file is overwritten (default: one in the state directory, where the latest 20 stay)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The address to receive spans at (default: 127.0.0.1:4318 and, for services that send over gRPC, 4317; any port if 4318 is taken)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// How long no span must arrive after the ending signal.
const QUIET: Duration = Duration::from_millis(100);

impl Options {
    pub(super) fn to_collector(&self) -> CollectorOptions {
        CollectorOptions { output: self.output.clone(), listen: self.listen }
    }

    /// Returns the file for the spans, if one is named.
    pub(super) fn output(&self) -> &[PathBuf] {
        self.output.as_slice()
    }

    /// Refuses an output that can't be read again, such as a pipe.
    pub(super) fn check_readable(&self) -> Result<(), Failure> {
        match self.output.as_deref().filter(|path| path.exists() && !path.is_file()) {
            Some(path) => {
                let message = format!("the conditions can't be checked: {} is not a plain file", path.display());
                Err(Failure::new(ExitCode::Usage, message).hint("name another file with --output"))
            }
            None => Ok(()),
        }
    }

    /// Returns the name of an option that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        self.output.as_ref().map(|_| "--output").or_else(|| self.listen.map(|_| "--listen"))
    }
}

/// Parses the duration in an option.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    settings::value::duration(text, Duration::from_secs(600))
}

/// Receives spans until a signal ends it.
pub(super) fn collect(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let mut signals = signals::catch(&signals::ENDING)?;
    let collector = collector::start(&args.options.to_collector())?;
    collector.begin();
    say(&format!(
        "spans are collected at {} ({ENDPOINT} of services) into {}; Ctrl-C ends it",
        collector.addresses(),
        collector.path().display()
    ));
    signals.forever().next();
    ending::end_at_next(signals, collector.unfinished());
    let collected = collector.finish(QUIET, false, config.link.as_ref());
    if collected.contents.spans == 0 {
        say("no span arrived");
    }
    for line in collected.lines() {
        say(&line);
    }
    Ok(if collected.lost > 0 { ExitCode::Failure } else { ExitCode::Success }.into())
}
