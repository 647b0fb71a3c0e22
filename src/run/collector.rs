//! The collector of `navtrace run` and `navtrace collect`: receives spans into a trace file and writes the page beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};
use crate::base::memory;
use crate::base::stdio::say;
use crate::base::text::{counted, shell_word};
use crate::collect::contents::Contents;
use crate::collect::expected::MissingSpans;
use crate::collect::receiver::requests::Unread;
use crate::collect::receiver::{self, Collected, Collector, CollectorHandle};
use crate::collect::store::{self, TraceFileWriter};
use crate::run::ending::Unfinished;
use crate::view::link::LinkTemplate;
use crate::view::page::{self, Page};
use crate::view::parsed::Detail;
use crate::view::trace_files::{TraceFiles, TraceSelection};
use crate::view::tree::Clocks;

/// Longest time that a collector may take to end, in addition to the silence that it waits for.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a collector receives spans and keeps them.
#[derive(Debug, Clone, Default)]
pub(crate) struct CollectorOptions {
    /// The trace file; by default a new one in the state directory.
    pub(crate) output: Option<PathBuf>,
    /// The address to listen on; by default OTLP's ports on loopback, or any free one.
    pub(crate) listen: Option<SocketAddr>,
}

/// A collector that receives spans.
#[derive(Debug)]
pub(crate) struct RunningCollector {
    receiver: Collector,
    path: PathBuf,
    is_named_by_user: bool,
}

/// The result of a collector.
#[derive(Debug)]
pub(crate) struct CollectorReport {
    /// Contents of the trace file.
    pub(crate) contents: Contents,
    path: PathBuf,
    page: Option<PathBuf>,
    /// Number of spans that could not be written and did not come again.
    pub(crate) lost: usize,
    unread: Unread,
    /// Whether the rest could not be written because a write did not end.
    is_stuck: bool,
    missing: MissingSpans,
}

/// Opens the trace file and the address. Spans are received, and what the file held is lost, from [`RunningCollector::begin`] on.
pub(crate) fn start(options: &CollectorOptions) -> Result<RunningCollector, Failure> {
    let fail = |message: &str, error| Failure::new(ExitCode::Failure, message).because(error);
    let path = match &options.output {
        Some(path) => path.clone(),
        None => store::new_path().map_err(|error| {
            fail("the state directory can't be used", error).hint("name a file for the spans with --output")
        })?,
    };
    let listeners = receiver::bind(options.listen).map_err(|error| match options.listen {
        Some(address) => {
            fail(&format!("spans can't be received at {address}"), error).hint("name another with --listen")
        }
        None => fail("spans can't be received on loopback", error),
    })?;
    let store = TraceFileWriter::open(&path).map_err(|error| {
        fail(&format!("{} can't be written", path.display()), error).hint("name another file with --output")
    })?;
    let path = store.path().to_owned();
    let receiver = Collector::start(listeners, store, say)?;
    Ok(RunningCollector { receiver, path, is_named_by_user: options.output.is_some() })
}

impl RunningCollector {
    /// Returns the address that `OTEL_EXPORTER_OTLP_ENDPOINT` takes.
    pub(crate) fn endpoint(&self) -> String {
        self.receiver.endpoints().next().unwrap_or_default()
    }

    /// Returns the addresses at which spans are received, in a sentence.
    pub(crate) fn addresses(&self) -> String {
        self.receiver.endpoints().collect::<Vec<_>>().join(" and ")
    }

    /// Empties the trace file and begins to receive.
    pub(crate) fn begin(&self) {
        if let Err(error) = self.receiver.begin() {
            say(&format!("{} can't be emptied: {error}; spans are added to it", self.path.display()));
        }
    }

    /// Ends without having begun. An existing file stays as it was.
    pub(super) fn discard(self) {
        self.receiver.handle().remove_new_file();
    }

    /// Returns a handle for another thread.
    pub(super) fn handle(&self) -> CollectorHandle {
        self.receiver.handle()
    }

    /// Returns what must be complete or removed when this process ends at once.
    pub(crate) fn unfinished(&self) -> Unfinished {
        Unfinished { collector: Some(self.handle()), dir: None }
    }

    /// Returns the path of the trace file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the address of the page that will be written at the end; `None` if there will be no page.
    pub(super) fn page_address(&self) -> Option<String> {
        Url::from_file_path(self.path.is_file().then(|| page_path(&self.path)).filter(|page| page::may_replace(page))?)
            .ok()
            .map(Into::into)
    }

    /// Returns the number of spans so far.
    pub(super) fn spans(&self) -> usize {
        self.receiver.spans()
    }

    /// Receives until no span has come for as long as `quiet`, stops, and writes the page. With `for_services` it also waits for spans that
    /// services are known to send.
    pub(crate) fn finish(self, quiet: Duration, for_services: bool, link: Option<&LinkTemplate>) -> CollectorReport {
        let collected = self.receiver.finish(quiet, quiet + END_TIMEOUT, for_services);
        if collected.contents.spans == 0 && !self.is_named_by_user {
            // `navtrace view` shows the latest file, which should not be an empty one. A file that can't be removed stays.
            let _ = std::fs::remove_file(&self.path);
        }
        // A pipe, for instance, can't be read again, and reading from a disk that is stuck may not end.
        let can_be_read = collected.contents.spans > 0 && !collected.is_stuck && self.path.is_file();
        let page = can_be_read.then(|| write_page(&self.path, link)).transpose().unwrap_or_else(|reason| {
            say(&format!(
                "the page can't be written: {reason}; navtrace view {} --html FILE writes one",
                self.path.display()
            ));
            None
        });
        let Collected { contents, lost, unread, is_stuck, missing } = collected;
        CollectorReport { contents, path: self.path, page, lost, unread, is_stuck, missing }
    }
}

impl CollectorReport {
    /// Returns the trace file, if it has spans and can be read.
    pub(crate) fn trace_file(&self) -> Option<&Path> {
        (self.contents.spans > 0 && !self.is_stuck).then_some(&*self.path)
    }

    /// Returns lines for the user: where the spans and the page are, and how to view them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let path = self.path.display();
        let mut lines = Vec::new();
        if self.is_stuck {
            lines.push(format!("the spans can't be written to {path} any more"));
        }
        if self.lost > 0 {
            lines
                .push(format!("{} could not be written to {path} and were not sent again", counted(self.lost, "span")));
        }
        lines.extend(unread(self.unread).map(|what| format!("{what} not in {path}")));
        if self.contents.spans == 0 {
            return lines;
        }
        lines.extend(missing_spans(&self.missing));
        let spans = counted(self.contents.spans, "span");
        lines.push(format!("{spans} in {path}; to see them: navtrace view {}", shell_word(&self.path)));
        if let Some(page) = &self.page {
            lines.push(format!("the page: {}", page.display()));
        }
        lines
    }
}

/// Says how much could not be read, up to the place where it is not.
fn unread(Unread { requests, spans }: Unread) -> Option<String> {
    let of_requests = format!("{} could not be read, and their spans are", counted(requests, "request"));
    let are = if spans == 1 { "is" } else { "are" };
    match (requests, spans) {
        (0, 0) => None,
        (0, _) => Some(format!("{} could not be read and {are}", counted(spans, "span"))),
        (_, 0) => Some(of_requests),
        (_, _) => Some(format!("{} and {of_requests}", counted(spans, "span"))),
    }
}

/// Says which spans of services did not come.
fn missing_spans(missing: &MissingSpans) -> Option<String> {
    let requests: Vec<String> =
        missing.iter().map(|(server, count)| format!("{} to {server}", counted(*count, "request"))).collect();
    let (last, others) = requests.split_last()?;
    let all = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
    Some(format!("no span of a service came for {all}, where earlier ones had some; --wait 30s waits longer"))
}

/// Returns the path of a trace file's page: beside the file, never the file itself.
fn page_path(path: &Path) -> PathBuf {
    let html = path.with_extension("html");
    if html == path { path.with_extension("html.html") } else { html }
}

/// Writes the page of a trace file, and returns the page's path.
fn write_page(path: &Path, link: Option<&LinkTemplate>) -> Result<PathBuf, String> {
    let selection = TraceSelection::All { max_spans: page::MAX_SPANS };
    // What receiving has used must not add to what the page needs, nor what listing the traces has.
    memory::return_free();
    let file = TraceFiles::open(&[path.to_owned()]);
    memory::return_free();
    let loaded = file.and_then(|file| file.load(&selection, Detail::Full, Clocks::Both, link));
    let loaded = loaded.map_err(|error| error.to_string())?;
    let html = page_path(path);
    if !page::may_replace(&html) {
        return Err(format!("{} is not a page of navtrace", html.display()));
    }
    files::write_with(&html, Readers::User, |file| page::write(file, &Page::new(&loaded, None, false)))
        .map_err(|error| format!("{}: {error}", html.display()))?;
    Ok(html)
}
