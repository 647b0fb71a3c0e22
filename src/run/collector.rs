//! The collector that `run` and `collect` start: it receives spans into a trace file and writes the page beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::base::text::{counted, shell_word};
use crate::collect::receiver::{self, Collector};
use crate::collect::store::{self, Contents, Store};
use crate::view::link::LinkTemplate;
use crate::view::page::{self, Page};
use crate::view::parsed::Detail;
use crate::view::trace_file::{TraceFile, TraceSelection};

/// How much longer than it should be silent a collector is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where spans are received and kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct CollectorOptions {
    /// The trace file; a new one in the state directory if none.
    pub(crate) output: Option<PathBuf>,
    /// The address to listen on; OTLP's on loopback, or any free port, if none.
    pub(crate) listen: Option<SocketAddr>,
}

/// A collector that writes to a file.
#[derive(Debug)]
pub(crate) struct Running {
    receiver: Collector,
    path: PathBuf,
    /// Whether the user named the file.
    is_named: bool,
}

/// What came of one.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What the file has.
    pub(crate) contents: Contents,
    path: PathBuf,
    page: Option<PathBuf>,
    /// Spans that could not be written.
    pub(crate) lost: usize,
}

/// Starts one.
pub(crate) fn start(options: &CollectorOptions) -> Result<Running, Failure> {
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
    pub(crate) fn receiver(&self) -> &Collector {
        &self.receiver
    }

    /// The trace file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the last spans, stops, and writes the page.
    pub(crate) fn finish(self, quiet: Duration, link: Option<&LinkTemplate>) -> Finished {
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
    pub(crate) fn lines(&self) -> Vec<String> {
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
    let selection = TraceSelection::All { max_spans: page::MAX_SPANS };
    let loaded = TraceFile::open(path).and_then(|file| file.load(&selection, Detail::Full, link));
    let page = page::render(&Page::new(&loaded.map_err(|error| error.to_string())?));
    let html = page_path(path);
    files::write_if_changed(&html, page.as_bytes()).map_err(|error| format!("{}: {error}", html.display()))?;
    Ok(html)
}
