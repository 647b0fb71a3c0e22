//! `navtrace view`: shows the traces of a file.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files::{self, Readers};
use crate::base::stdio::say;
use crate::base::text::{counted, shell_word};
use crate::cli::setting_flags::SettingFlags;
use crate::cli::{check, json, print};
use crate::collect::store;
use crate::settings::Config;
use crate::view::page::{self, Page};
use crate::view::parsed::Detail;
use crate::view::run;
use crate::view::serve;
use crate::view::terminal::{self, Terminal};
use crate::view::trace_files::{LoadedTraces, MAX_TRACE_SPANS, TraceFiles, TraceSelection};
use crate::view::tree::Clocks;

/// Show traces: a waterfall in the terminal, or a page
///
/// Reads trace files of `navtrace run` and `navtrace collect`, files from the OpenTelemetry Collector's file exporter (OTLP JSON lines), and JSON
/// from Jaeger, Tempo and Zipkin. Several files, and the files in a folder, are shown as one run: totals, failures, slow requests and endpoints,
/// tests and machines.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option")]
#[command(
    override_usage = "navtrace view [OPTIONS] [FILE]... [TRACE_ID]",
    after_help = "Examples:\n  navtrace view                          the newest file\n  navtrace view traces.jsonl 4bf92f35    \
                        one trace, by the start of its id\n  navtrace view --open                   the newest file, in the browser\n  \
                        navtrace view artifacts/ --json        a run of several machines, for other programs"
)]
pub(super) struct Args {
    /// Trace files, folders with such files, or - for standard input (default: the newest file in the state directory). The last one may be the id of the trace to show, or the start of it
    #[arg(value_name = "FILE")]
    files: Vec<OsString>,

    /// Show all traces together, as is done for several files and folders
    #[arg(long)]
    run: bool,

    /// Print all traces together as JSON
    #[arg(long, conflicts_with_all = ["html", "open"])]
    json: bool,

    /// Write a self-contained page instead of showing a waterfall
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Serve the page on loopback and open it in the browser, until Ctrl-C
    #[arg(long)]
    open: bool,

    /// Show spans of services whose clock is off as if it were right
    #[arg(long)]
    correct_clocks: bool,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// How many traces the terminal lists; the page has more.
const MAX_LISTED: usize = 40;

/// The width if neither the terminal nor COLUMNS gives one.
const DEFAULT_WIDTH: usize = 100;

const MAX_WIDTH: usize = 1000;

/// The shortest start of a trace id that is accepted.
const MIN_ID_DIGITS: usize = 4;

pub(super) fn view(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let (paths, trace) = files_and_trace(args)?;
    if trace.is_some() && (args.run || args.json) {
        let option = if args.json { "--json" } else { "--run" };
        return Err(Failure::new(
            ExitCode::Usage,
            format!("{option} shows all traces together: leave out the trace id"),
        ));
    }
    if let Some(html) = &args.html {
        check_html_path(html, &paths)?;
    }
    let is_run = args.run || args.json || paths.len() > 1 || paths.iter().any(|path| path.is_dir());
    let files = if is_run && trace.is_none() { TraceFiles::open_run(&paths) } else { TraceFiles::open(&paths) }?;
    if let Some(html) = &args.html {
        check::refuse_replacing(html, files.sources.paths())?;
    }
    for reason in &files.sources.unreadable {
        say(&reason.to_string());
    }
    match &files.run {
        _ if args.html.is_some() || args.open => show_page(config, args, &files, trace)?,
        Some(run) if args.json => {
            warn(&files.sources.warnings);
            print(&json(run))?;
        }
        Some(run) => {
            warn(&files.sources.warnings);
            print(&run::text::describe(run, detect_terminal()))?;
            hint(&paths, "a trace", true);
        }
        None => show_in_terminal(config, args, &paths, &files, trace)?,
    }
    Ok(if files.sources.is_incomplete { ExitCode::Failure } else { ExitCode::Success }.into())
}

fn show_page(config: &Config, args: &Args, files: &TraceFiles, trace: Option<String>) -> Result<(), Failure> {
    let selection = trace.map_or(TraceSelection::All { max_spans: page::MAX_SPANS }, TraceSelection::Id);
    let loaded = files.load(&selection, Detail::Full, Clocks::Both, config.link.as_ref())?;
    warn_of_loaded(&loaded);
    let page = Page::new(&loaded, files.run.as_ref(), args.correct_clocks);
    if let Some(path) = &args.html {
        let path_shown = path.display();
        files::write_named(path, Readers::User, |file| page::write(file, &page)).map_err(|error| {
            let failure = Failure::new(ExitCode::Failure, format_args!("{path_shown} can't be written"));
            failure.because(error).hint("name another file with --html")
        })?;
        say(&format!("the page: {path_shown}"));
    }
    if args.open {
        serve::serve(page::render(&page))
            .map_err(|error| Failure::new(ExitCode::Failure, "the page can't be served").because(error))?;
    }
    Ok(())
}

fn show_in_terminal(
    config: &Config,
    args: &Args,
    paths: &[PathBuf],
    files: &TraceFiles,
    trace: Option<String>,
) -> Result<(), Failure> {
    let has_several = files.traces.len() > 1;
    let with_list = trace.is_none() && has_several;
    let first = || files.traces.first().map(|trace| trace.id.clone()).unwrap_or_default();
    let selection = TraceSelection::Id(trace.unwrap_or_else(first));
    let clocks = if args.correct_clocks { Clocks::Corrected } else { Clocks::AsGiven };
    let loaded = files.load(&selection, Detail::Outline, clocks, config.link.as_ref())?;
    warn_of_loaded(&loaded);
    for note in loaded.traces.iter().flat_map(|trace| terminal::notes(trace, clocks)) {
        say(&note);
    }
    let terminal = detect_terminal();
    let mut text = String::new();
    if with_list {
        let listed = files.traces.len().min(MAX_LISTED);
        text += &terminal::list(&files.traces[..listed], terminal);
        let further = files.traces.len() - listed + files.further_traces;
        if further > 0 {
            let _ = writeln!(text, "and {further} more");
        }
        text.push('\n');
    }
    for trace in &loaded.traces {
        text += &terminal::waterfall(trace, terminal);
    }
    print(&text)?;
    hint(paths, "another trace", has_several);
    Ok(())
}

/// Says in a terminal how to see more.
fn hint(paths: &[PathBuf], trace: &str, has_several: bool) {
    // Standard input and pipes can't be read again.
    let can_be_read = paths.iter().all(|path| path != Path::new("-") && (path.is_file() || path.is_dir()));
    if io::stdout().is_terminal() && can_be_read {
        let files = paths.iter().map(|path| shell_word(path)).collect::<Vec<_>>().join(" ");
        let other = if has_several { format!("{trace}: navtrace view {files} TRACE_ID; ") } else { String::new() };
        say(&format!("{other}in the browser: navtrace view {files} --open"));
    }
}

/// Refuses to write the page to standard output or over the traces.
fn check_html_path(html: &Path, traces: &[PathBuf]) -> Result<(), Failure> {
    if html == Path::new("-") {
        let failure = Failure::new(ExitCode::Usage, "the page can't be written to standard output");
        return Err(failure.hint("name a file with --html"));
    }
    check::refuse_replacing(html, traces.iter().map(PathBuf::as_path))
}

/// Returns the files and the trace id that the arguments mean. A trace id alone belongs to the newest file.
fn files_and_trace(args: &Args) -> Result<(Vec<PathBuf>, Option<String>), Failure> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut paths: Vec<PathBuf> = args.files.iter().map(PathBuf::from).collect();
    let is_missing = |path: &&PathBuf| path.as_path() != Path::new("-") && path.symlink_metadata().is_err();
    let missing = paths.last().filter(is_missing).and_then(|path| path.to_str());
    // Behind a file, what can't be one is meant to be an id.
    let is_meant =
        |text: &&str| if paths.len() > 1 { !text.contains(['.', '/']) } else { text.len() == 32 && is_hex(text) };
    let trace = missing.filter(is_meant).map(ToOwned::to_owned);
    if let Some(id) = &trace {
        if !(MIN_ID_DIGITS..=32).contains(&id.len()) || !is_hex(id) {
            let expected = format!("expected 32 hexadecimal digits, or at least the first {MIN_ID_DIGITS} of them");
            return Err(Failure::new(ExitCode::Usage, format_args!("{id} is not a trace id")).because(expected));
        }
        paths.pop();
    }
    if paths.is_empty() {
        paths.push(latest()?);
    }
    Ok((paths, trace))
}

/// Returns the newest trace file in the state directory, and says which one it is.
pub(super) fn latest() -> Result<PathBuf, Failure> {
    let latest = store::latest().map_err(|error| {
        Failure::new(ExitCode::Failure, "the trace files of earlier runs can't be read")
            .because(error)
            .hint("name a file")
    })?;
    let latest = latest.ok_or_else(|| {
        let failure = Failure::new(ExitCode::Failure, "there is no trace file of an earlier run");
        failure.hint("start a run with navtrace run, or name a file")
    })?;
    // A later run may have written its file elsewhere, or none.
    say(&format!("the newest trace file is {}", latest.display()));
    Ok(latest)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        say(warning);
    }
}

fn warn_of_loaded(loaded: &LoadedTraces) {
    warn(&loaded.warnings);
    let spans = counted(loaded.left_out_spans, "span");
    if loaded.left_out_traces > 0 {
        let traces = counted(loaded.left_out_traces, "trace");
        say(&format!("{spans} of {traces} left out: name a trace to see all of it"));
    } else if loaded.left_out_spans > 0 {
        say(&format!("{spans} left out: only the first {MAX_TRACE_SPANS} of a trace are shown"));
    }
}

fn detect_terminal() -> Terminal {
    let actual = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let columns = || std::env::var("COLUMNS").ok()?.trim().parse::<usize>().ok();
    let width = actual.filter(|width| *width > 0).or_else(columns).unwrap_or(DEFAULT_WIDTH);
    // POSIX: the first of these variables that is set and not empty decides.
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let unicode = locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    Terminal { width: width.min(MAX_WIDTH), unicode }
}
