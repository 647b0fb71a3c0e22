//! `navtrace check`: passes or fails on the spans of a run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};
use crate::base::stdio::say;
use crate::check;
use crate::check::condition::Condition;
use crate::check::report::Report;
use crate::cli::setting_flags::SettingFlags;
use crate::cli::{json, print, view};
use crate::settings::Config;
use crate::view::sources::Sources;

/// Pass or fail on conditions on the spans of a run
///
/// Reads what `navtrace view` reads, and folders with such files, as one run. Exits with 0 if all conditions hold, and with 99, as k6's thresholds
/// do, if one does not. A condition on durations fails if no span matches.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  navtrace check -c 'errors == 0'                                      the newest file\n  \
                        navtrace check run/ -c 'p95(http.server duration where service=shop) < 300ms' --report junit.xml\n  \
                        navtrace check traces.jsonl -c @conditions.txt\n\ndocs/check.md describes conditions."
)]
pub(super) struct Args {
    /// Trace files, folders with such files, or - for standard input (default: the newest file in the state directory)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// A condition, or @FILE with one per line; may be given several times
    #[arg(short, long = "condition", value_name = "CONDITION", required = true, value_parser = conditions)]
    conditions: Vec<Conditions>,

    /// Print a report as JSON instead of the text
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    reports: Reports,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// The conditions of one option.
#[derive(Debug, Clone)]
pub(super) struct Conditions(Vec<Condition>);

/// Where to write reports.
#[derive(Debug, clap::Args)]
pub(super) struct Reports {
    /// Write a report: as JSON to a FILE that ends in .json, or in the format of JUnit, which CI systems read, to one that ends in .xml; may be given several times
    #[arg(long = "report", value_name = "FILE", value_parser = report_file)]
    reports: Vec<ReportFile>,
}

#[derive(Debug, Clone)]
struct ReportFile {
    path: PathBuf,
    format: ReportFormat,
}

#[derive(Debug, Clone, Copy)]
enum ReportFormat {
    Json,
    Junit,
}

/// Largest file with conditions, in bytes.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn check(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let files = if args.files.is_empty() { vec![view::latest()?] } else { args.files.clone() };
    args.reports.check_targets(&files)?;
    let (report, sources) = checked(config, &all(&args.conditions), &files)?;
    args.reports.refuse_replacing(&sources.paths())?;
    let text = if args.json { json(&report) } else { report.lines().join("\n") + "\n" };
    let written = print(&text).and(args.reports.write(&report));
    verdict(exit_code(&report, &sources), written).map(Into::into)
}

/// Returns the exit code. A failed verdict matters more than what can't be written, which is only said.
pub(super) fn verdict(code: ExitCode, written: Result<(), Failure>) -> Result<ExitCode, Failure> {
    if code == ExitCode::ConditionFailed {
        written.err().iter().for_each(|failure| say(&failure.to_string()));
        return Ok(code);
    }
    written.map(|()| code)
}

fn exit_code(report: &Report, sources: &Sources) -> ExitCode {
    match report.passed {
        false => ExitCode::ConditionFailed,
        // What could not be read might have failed.
        true if sources.has_gaps() => ExitCode::Failure,
        true => ExitCode::Success,
    }
}

/// Checks conditions, and says what can't be read.
fn checked(config: &Config, conditions: &[Condition], files: &[PathBuf]) -> Result<(Report, Sources), Failure> {
    let (report, sources) = check::check(conditions, files, config.link.as_ref())?;
    for sentence in sources.sentences() {
        say(&sentence);
    }
    Ok((report, sources))
}

/// Checks the conditions of `navtrace run`, and returns the exit code that they give it.
pub(super) fn after_run(
    config: &Config,
    conditions: &[Condition],
    reports: &Reports,
    traces: Option<PathBuf>,
) -> Result<ExitCode, Failure> {
    let (report, code) = match traces {
        Some(file) => {
            let (report, sources) = checked(config, conditions, &[file])?;
            let code = exit_code(&report, &sources);
            (report, code)
        }
        // Without a span every condition fails.
        None => (check::check_nothing(conditions), ExitCode::ConditionFailed),
    };
    for line in report.lines() {
        say(&line);
    }
    verdict(code, reports.write(&report))
}

impl Reports {
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.reports.iter().map(|report| &*report.path)
    }

    /// Refuses reports that would replace trace files.
    fn refuse_replacing<'a>(&self, traces: &(impl Iterator<Item = &'a Path> + Clone)) -> Result<(), Failure> {
        self.paths().try_for_each(|path| refuse_replacing(path, traces.clone()))
    }

    /// Refuses reports that can't be written, or would replace the traces or each other, before there is anything to report.
    pub(super) fn check_targets(&self, traces: &[PathBuf]) -> Result<(), Failure> {
        for (index, path) in self.paths().enumerate() {
            check_target(path)?;
            if self.paths().take(index).any(|other| files::is_same(path, other)) {
                let message = format!("{} can't be two reports", path.display());
                return Err(Failure::new(ExitCode::Usage, message).hint("name another file"));
            }
        }
        self.refuse_replacing(&traces.iter().map(PathBuf::as_path))
    }

    /// Writes the reports. One that can't be written does not stop the others.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        let written = self.reports.iter().map(|ReportFile { path, format }| {
            let failure = || not_written(ExitCode::Failure, path);
            let text = match format {
                ReportFormat::Json => json(report),
                ReportFormat::Junit => report.junit().map_err(|error| failure().because(error))?,
            };
            files::write_named(path, Readers::Everybody, |file| file.write_all(text.as_bytes()))
                .map_err(|error| failure().because(error))
        });
        written.collect::<Vec<_>>().into_iter().collect()
    }
}

fn not_written(exit: ExitCode, path: &Path) -> Failure {
    Failure::new(exit, format!("{} can't be written", path.display()))
}

/// Takes the format of a report from the end of its name.
fn report_file(path: &str) -> Result<ReportFile, String> {
    let extension = Path::new(path).extension().map(OsStr::to_ascii_lowercase);
    let format = match extension.as_deref().and_then(OsStr::to_str) {
        Some("json") => ReportFormat::Json,
        Some("xml") => ReportFormat::Junit,
        _ => return Err("the name must end in .json, or in .xml for JUnit".to_owned()),
    };
    Ok(ReportFile { path: path.into(), format })
}

/// Refuses a file that can't be written because of its place.
fn check_target(path: &Path) -> Result<(), Failure> {
    let cause = match () {
        () if path.is_dir() => "it is a folder",
        () if !files::folder_of(path).is_dir() => "its folder does not exist",
        () => return Ok(()),
    };
    Err(not_written(ExitCode::Usage, path).because(cause))
}

/// Refuses to write a file over the traces.
pub(super) fn refuse_replacing<'a>(path: &Path, mut traces: impl Iterator<Item = &'a Path>) -> Result<(), Failure> {
    if traces.any(|traces| files::is_same(path, traces)) {
        let message = format!("{} has the traces, which would be lost", path.display());
        return Err(Failure::new(ExitCode::Usage, message).hint("name another file"));
    }
    Ok(())
}

/// Returns the conditions of all options.
pub(super) fn all(given: &[Conditions]) -> Vec<Condition> {
    given.iter().flat_map(|Conditions(conditions)| conditions.clone()).collect()
}

/// Parses a condition, or those in a file: one per line, without empty lines and those that begin with `#`.
pub(super) fn conditions(text: &str) -> Result<Conditions, String> {
    let Some(path) = text.strip_prefix('@') else { return Ok(Conditions(vec![text.parse()?])) };
    if path.is_empty() {
        return Err("the name of the file is missing after @".to_owned());
    }
    let bytes = files::read(Path::new(path), MAX_FILE).map_err(|error| format!("{path} can't be read: {error}"))?;
    let lines = String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
    let mut conditions = Vec::new();
    // Some editors begin a file with a byte order mark.
    for (number, line) in
        lines.trim_start_matches('\u{feff}').lines().enumerate().map(|(index, line)| (index + 1, line.trim()))
    {
        if !line.is_empty() && !line.starts_with('#') {
            conditions.push(line.parse().map_err(|error| format!("line {number} of {path}: {error}"))?);
        }
    }
    if conditions.is_empty() {
        return Err(format!("{path} has no conditions"));
    }
    Ok(Conditions(conditions))
}
