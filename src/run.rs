//! Runs a command whose browsers are traced: supervises it, receives reports and spans meanwhile, and says what was traced.

mod browser_paths;
pub(crate) mod browser_variables;
pub(crate) mod collector;
pub(crate) mod ending;
mod fixed_browsers;
mod k6;
mod k6_spans;
mod other_hosts;
mod playwright_registry;
mod progress;
mod receiver;
pub mod reports;
mod state;
mod summary;
mod supervise;
pub(crate) mod test_runner;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::directories::StateDirectory;
use crate::base::environment::RUN_SOCKET;
use crate::base::failure::{ExitCode, Failure};
use crate::base::signals::Signals;
use crate::base::stdio::say;
use crate::base::temporary::{self, TemporaryDirectory};
use crate::base::threads;
use crate::context::policy::Policy;
use crate::export::flush;
use crate::export::options::ExportOptions;
use crate::launch::find::{FoundBrowser, playwright};
use crate::launch::names;
use crate::run::collector::{CollectorReport, RunningCollector};
use crate::run::ending::Unfinished;
use crate::run::fixed_browsers::FixedBrowsers;
use crate::run::progress::Progress;
use crate::run::receiver::ReportReceiver;
use crate::run::test_runner::attempts::{TestAttempts, TraceLinks};
use crate::run::test_runner::export::TestExporter;
use crate::view::link::LinkTemplate;

/// Longest wait for the reports of hosts that outlive the command.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// Default of the silence after which no more spans of services are expected.
const SERVICES_WAIT: Duration = Duration::from_millis(500);

/// How long to wait for spans at the end of a run, how to link traces, and what browsers must know.
#[derive(Debug)]
pub(crate) struct RunOptions<'a> {
    /// How long no span must arrive before the run stops waiting. By default that depends on who has sent spans.
    pub(crate) wait: Option<Duration>,
    /// Template for the links to traces.
    pub(crate) link: Option<&'a LinkTemplate>,
    /// Names of the variables that browsers must have even if their client hides the environment.
    pub(crate) variables: Vec<&'static str>,
    /// Values of such variables for browsers alone, where the command has none.
    pub(crate) defaults: Vec<(&'static str, OsString)>,
    /// The browser that is started.
    pub(crate) browser: &'a FoundBrowser,
    /// How the contexts of tests are issued.
    pub(crate) policy: Policy,
    /// Where the spans of tests are sent.
    pub(crate) export: ExportOptions,
    /// Whether the spans of k6 can be put into the traces of browsers.
    pub(crate) joins_k6: bool,
    /// The sampler of browsers, if k6 must have another one.
    pub(crate) browser_sampler: Option<&'a OsStr>,
    /// Whether headers go to every host, so that the user is told to which others they went.
    pub(crate) is_unlimited: bool,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// The status of the command.
    pub(crate) code: u8,
    /// The trace file, if a collector was there and spans arrived.
    pub(crate) traces: Option<PathBuf>,
}

/// A run that is ready to start its command. From here on no signal ends this process, so it always cleans up.
#[derive(Debug)]
pub(crate) struct Run {
    signals: Signals,
    receiver: ReportReceiver,
    browser: PathBuf,
    /// Directory of the receiver's socket and of the links to this program.
    dir: TemporaryDirectory,
    /// Removes what killed processes have left behind.
    sweep: Option<JoinHandle<()>>,
}

impl Run {
    /// Catches signals, listens for reports, and links this program under the names by which it acts as the browser.
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let signals = supervise::catch_signals()?;
        let dir = TemporaryDirectory::create(names::RUN_DIRECTORY).map_err(set_up)?;
        let receiver = ReportReceiver::listen(dir.path(), say).map_err(set_up)?;
        let browser = browser_paths::create(dir.path()).map_err(set_up)?;
        let sweep = threads::start("sweep", temporary::sweep).ok();
        Ok(Self { signals, receiver, browser, dir, sweep })
    }

    /// Returns the path of the socket by which hosts know this run.
    pub(crate) fn socket(&self) -> &Path {
        self.receiver.path()
    }

    /// Runs `command` to its end, says what was traced, and returns the command's own status and the trace file.
    pub(crate) fn execute(
        self,
        mut command: Command,
        collector: Option<RunningCollector>,
        options: &RunOptions<'_>,
    ) -> Result<FinishedRun, Failure> {
        let Self { signals, receiver, browser, dir, sweep } = self;
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        command.env(RUN_SOCKET, receiver.path()).envs(browser_paths::variables(dir.path(), &browser, &variable));
        let registry = playwright_registry::create(dir.path(), &command, &variable, options.browser.is_chosen);
        command.envs(registry.map_err(set_up)?.map(|registry| (playwright::BROWSERS_PATH, registry)));
        let links = TraceLinks {
            template: options.link.cloned(),
            page: collector.as_ref().and_then(RunningCollector::page_address),
        };
        let exporter = TestExporter::new(options.export.clone());
        receiver.trace_tests(TestAttempts::new(options.policy.clone(), links), exporter);
        if options.joins_k6 {
            let receiving = k6::receive_spans(&receiver, &mut command, options);
            receiving.unwrap_or_else(|failure| say(&format!("k6's own spans stay apart: {failure}")));
        }
        let reporter_hint = test_runner::reporter::add(dir.path(), &mut command);
        let prepared = reporter_hint.and_then(|hint| {
            browser_variables::store(dir.path(), &command, &options.variables, &options.defaults).map(|()| hint)
        });
        let fixed_browsers = FixedBrowsers::watch(&options.browser.path);
        let started =
            prepared.map_err(set_up).and_then(|hint| supervise::start(&mut command).map(|child| (child, hint)));
        let (command, reporter_hint) = match started {
            Ok(started) => started,
            Err(failure) => {
                if let Some(collector) = collector {
                    collector.discard();
                }
                return Err(failure);
            }
        };
        if let Some(collector) = &collector {
            collector.begin();
        }
        let progress = Progress::start(receiver.shared());
        let (status, signals) = supervise::wait(command, signals)?;
        drop(progress);
        let code = supervise::exit_code(status);
        let unfinished = Unfinished {
            collector: collector.as_ref().map(RunningCollector::handle),
            dir: Some(dir.path().to_owned()),
        };
        let (reports, receiving) = (receiver.shared(), unfinished.collector.clone());
        ending::cut_short(signals, unfinished, code, move || {
            say("no longer waiting for spans; another signal ends navtrace at once");
            reports.stop_waiting();
            if let Some(collector) = receiving {
                collector.stop_waiting();
            }
        });
        let state = receiver.finish(LAST_REPORTS);
        let collected = collector.map(|collector| {
            send_left_spans(&options.export);
            // If every collected span is a browser's, no service is sending.
            let of_navtrace = state.exported_spans().map(|spans| spans + state.test_spans.exported);
            let has_all_spans = of_navtrace == Some(collector.spans());
            let wait = if has_all_spans { Duration::ZERO } else { SERVICES_WAIT };
            // A wait that the user chose is the whole wait.
            collector.finish(options.wait.unwrap_or(wait), options.wait.is_none(), options.link)
        });
        let others = options.is_unlimited.then(|| other_hosts::sentence(&state.sessions)).flatten();
        let fixed = fixed_browsers.iter().flat_map(FixedBrowsers::sentences);
        let hint = reporter_hint.filter(|_| state.tests.is_empty());
        let summary = summary::summary(&state, collected.as_ref(), options.link);
        for line in summary.into_iter().chain(others).chain(fixed).chain(hint) {
            say(&line);
        }
        let _ = sweep.map(JoinHandle::join);
        let traces = collected.as_ref().and_then(CollectorReport::trace_file).map(Path::to_owned);
        Ok(FinishedRun { code, traces })
    }
}

/// Sends the spans of browsers that were killed together with their hosts. After the run nobody else would.
fn send_left_spans(export: &ExportOptions) {
    let (Ok(state), Some(endpoint)) = (StateDirectory::of_user(), &export.endpoint) else { return };
    if let Err(error) = flush::flush(&state, &export.batch, endpoint) {
        tracing::warn!("spans of browsers that were killed can't be sent: {error}");
    }
}

fn set_up(error: io::Error) -> Failure {
    Failure::new(ExitCode::Failure, "the run can't be set up")
        .because(error)
        .hint("set TMPDIR to a folder that you may write to")
}
