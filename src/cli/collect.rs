//! `navtrace collect`: receives OTLP into a trace file until it is stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::settings::Flags;
use super::{counted, shell_word};
use crate::browser::private;
use crate::collect::receiver::{self, Collector};
use crate::collect::store::{self, Contents, Store};
use crate::config::export::ENDPOINT;
use crate::config::{self, Config};
use crate::failure::{ExitCode, Failure};
use crate::say::say;
use crate::view::link::LinkTemplate;
use crate::view::page::{self, Page};
use crate::view::read::{self, Choice};

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

/// How much longer than it should be silent a collector is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Options {
    /// The option that was given, if any was.
    pub(super) fn given(&self) -> Option<&'static str> {
        self.output.as_ref().map(|_| "--output").or_else(|| self.listen.map(|_| "--listen"))
    }
}

/// Reads a duration of the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    config::value::duration(text, Duration::from_secs(600))
}

/// A collector that writes to a file.
#[derive(Debug)]
pub(super) struct Running {
    receiver: Collector,
    path: PathBuf,
    /// Whether the user named the file.
    is_named: bool,
}

/// What came of one.
#[derive(Debug)]
pub(super) struct Finished {
    /// What the file has.
    pub(super) contents: Contents,
    path: PathBuf,
    page: Option<PathBuf>,
    lost: usize,
}

/// Starts one.
pub(super) fn start(options: &Options) -> Result<Running, Failure> {
    let fail = |message: String| Failure::new(ExitCode::Failure, message);
    let path = match &options.output {
        Some(path) => path.clone(),
        None => store::new_path().map_err(|error| {
            fail(format!("the state directory can't be used: {error}; name a file for the spans with --output"))
        })?,
    };
    let listener = receiver::bind(options.listen).map_err(|error| match options.listen {
        Some(address) => fail(format!("spans can't be received at {address}: {error}; name another with --listen")),
        None => fail(format!("spans can't be received on loopback: {error}")),
    })?;
    let store = Store::create(&path).map_err(|error| {
        fail(format!("{} can't be written: {error}; name another file with --output", path.display()))
    })?;
    let path = store.path().to_owned();
    let receiver = Collector::start(listener, store, say);
    let receiver = receiver.map_err(|error| fail(format!("spans can't be received: {error}")))?;
    Ok(Running { receiver, path, is_named: options.output.is_some() })
}

impl Running {
    /// The server.
    pub(super) fn receiver(&self) -> &Collector {
        &self.receiver
    }

    /// Takes the last spans, stops, and writes the page.
    pub(super) fn finish(self, quiet: Duration, link: Option<&LinkTemplate>) -> Finished {
        let collected = self.receiver.finish(quiet, quiet + PATIENCE);
        if collected.contents.spans == 0 && !self.is_named {
            // The latest file is the one that `navtrace view` shows. What can't be removed stays.
            let _ = std::fs::remove_file(&self.path);
        }
        // What is no file, a pipe for instance, can't be read again.
        let can_be_read = collected.contents.spans > 0 && self.path.is_file();
        let page = can_be_read.then(|| write_page(&self.path, link));
        let page = page.transpose().unwrap_or_else(|reason| {
            say(&format!(
                "the page can't be written: {reason}; navtrace view {} --html FILE writes one",
                self.path.display()
            ));
            None
        });
        Finished { contents: collected.contents, path: self.path, page, lost: collected.lost }
    }
}

impl Finished {
    /// What the user is told: where everything is, and how to see it.
    pub(super) fn lines(&self) -> Vec<String> {
        let path = self.path.display();
        let mut lines = Vec::new();
        if self.lost > 0 {
            lines.push(format!("{} could not be written to {path}", counted(self.lost, "span")));
        }
        if self.contents.spans == 0 {
            return lines;
        }
        let spans = counted(self.contents.spans, "span");
        lines.push(format!("{spans} in {path}; to see them: navtrace view {}", shell_word(&self.path)));
        if let Some(page) = &self.page {
            lines.push(format!("the page: {}", page.display()));
        }
        lines
    }
}

/// Where the page of a trace file stands: beside it, and never in its place.
fn page_path(path: &Path) -> PathBuf {
    let html = path.with_extension("html");
    if html == path { path.with_extension("html.html") } else { html }
}

/// Writes the page of a trace file, and tells where it is.
fn write_page(path: &Path, link: Option<&LinkTemplate>) -> Result<PathBuf, String> {
    let choice = Choice::All { most_spans: page::MOST_SPANS };
    let loaded = read::load(path, &choice, link).map_err(|error| error.to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let page = page::render(&Page::of(&name, &loaded));
    let html = page_path(path);
    private::write_if_changed(&html, page.as_bytes()).map_err(|error| format!("{}: {error}", html.display()))?;
    Ok(html)
}

/// Receives spans until a signal says that it is enough.
pub(super) fn collect(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals =
        signals.map_err(|error| Failure::new(ExitCode::Failure, format!("signals can't be had: {error}")))?;
    let running = start(&args.options)?;
    let endpoint = running.receiver().endpoint();
    say(&format!(
        "spans are collected at {endpoint} ({ENDPOINT}={endpoint}) into {}; Ctrl-C ends it",
        running.path.display()
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
