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
use crate::cli::print;
use crate::cli::setting_flags::SettingFlags;
use crate::collect::store;
use crate::settings::Config;
use crate::view::page::{self, Page};
use crate::view::parsed::Detail;
use crate::view::serve;
use crate::view::terminal::{self, Terminal};
use crate::view::trace_file::{LoadedTraces, MAX_TRACE_SPANS, TraceFile, TraceSelection};
use crate::view::tree::Clocks;

/// Show traces: a waterfall in the terminal, or a page
///
/// Reads trace files of `navtrace run` and `navtrace collect`, files from the OpenTelemetry Collector's file exporter (OTLP JSON lines), and JSON
/// from Jaeger, Tempo and Zipkin.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  navtrace view                          the latest run\n  navtrace view traces.jsonl 4bf92f35    \
                        one trace, by the start of its id\n  navtrace view --open                   the latest run, in the browser"
)]
pub(super) struct Args {
    /// The trace file, or - for standard input (default: that of the latest run)
    #[arg(value_name = "FILE")]
    file: Option<OsString>,

    /// The trace to show: its id, or the start of it
    #[arg(value_name = "TRACE_ID")]
    trace: Option<String>,

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
    let (path, trace) = file_and_trace(args)?;
    if let Some(html) = &args.html {
        check_html_path(html, &path)?;
    }
    let file = TraceFile::open(&path)?;
    if args.html.is_some() || args.open {
        show_page(config, args, &file, trace)?;
    } else {
        show_in_terminal(config, args, &path, &file, trace)?;
    }
    Ok(ExitCode::Success.into())
}

fn show_page(config: &Config, args: &Args, file: &TraceFile, trace: Option<String>) -> Result<(), Failure> {
    let selection = trace.map_or(TraceSelection::All { max_spans: page::MAX_SPANS }, TraceSelection::Id);
    let loaded = file.load(&selection, Detail::Full, Clocks::Both, config.link.as_ref())?;
    warn(&loaded);
    let page = Page::new(&loaded, args.correct_clocks);
    if let Some(path) = &args.html {
        let path_shown = path.display();
        files::write_with(path, Readers::User, |file| page::write(file, &page)).map_err(|error| {
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
    path: &Path,
    file: &TraceFile,
    trace: Option<String>,
) -> Result<(), Failure> {
    let has_several = file.traces.len() > 1;
    let with_list = trace.is_none() && has_several;
    let first = || file.traces.first().map(|trace| trace.id.clone()).unwrap_or_default();
    let selection = TraceSelection::Id(trace.unwrap_or_else(first));
    let clocks = if args.correct_clocks { Clocks::Corrected } else { Clocks::AsGiven };
    let loaded = file.load(&selection, Detail::Outline, clocks, config.link.as_ref())?;
    warn(&loaded);
    for note in loaded.traces.iter().flat_map(|trace| terminal::notes(trace, clocks)) {
        say(&note);
    }
    let terminal = detect_terminal();
    let mut text = String::new();
    if with_list {
        let listed = file.traces.len().min(MAX_LISTED);
        text += &terminal::list(&file.traces[..listed], terminal);
        let further = file.traces.len() - listed + file.further_traces;
        if further > 0 {
            let _ = writeln!(text, "and {further} more");
        }
        text.push('\n');
    }
    for trace in &loaded.traces {
        text += &terminal::waterfall(trace, terminal);
    }
    print(&text)?;
    // Standard input and pipes can't be read again.
    if io::stdout().is_terminal() && path != Path::new("-") && path.is_file() {
        let file = shell_word(path);
        let other = if has_several { format!("another trace: navtrace view {file} TRACE_ID; ") } else { String::new() };
        say(&format!("{other}in the browser: navtrace view {file} --open"));
    }
    Ok(())
}

/// Refuses to write the page to standard output or over the traces.
fn check_html_path(html: &Path, traces: &Path) -> Result<(), Failure> {
    if html == Path::new("-") {
        let failure = Failure::new(ExitCode::Usage, "the page can't be written to standard output");
        return Err(failure.hint("name a file with --html"));
    }
    if html.canonicalize().is_ok_and(|html| traces.canonicalize().is_ok_and(|traces| html == traces)) {
        let message = format!("{} is the trace file, and the page would replace it", html.display());
        return Err(Failure::new(ExitCode::Usage, message).hint("name another file with --html"));
    }
    Ok(())
}

/// Returns the trace file and the trace id that the arguments mean. A trace id alone belongs to the latest run.
fn file_and_trace(args: &Args) -> Result<(PathBuf, Option<String>), Failure> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut file = args.file.as_ref().map(PathBuf::from);
    let mut trace = args.trace.clone();
    if trace.is_none() {
        let id = file.as_ref().filter(|file| !file.exists()).and_then(|file| file.to_str());
        if let Some(id) = id.filter(|id| id.len() == 32 && is_hex(id)) {
            trace = Some(id.to_owned());
            file = None;
        }
    }
    if let Some(id) = trace.as_ref().filter(|id| !(MIN_ID_DIGITS..=32).contains(&id.len()) || !is_hex(id)) {
        let expected = format!("expected 32 hexadecimal digits, or at least the first {MIN_ID_DIGITS} of them");
        return Err(Failure::new(ExitCode::Usage, format_args!("{id} is not a trace id")).because(expected));
    }
    let file = match file {
        Some(file) => file,
        None => latest()?,
    };
    Ok((file, trace))
}

/// Returns the trace file of the latest run.
fn latest() -> Result<PathBuf, Failure> {
    let latest = store::latest().map_err(|error| {
        Failure::new(ExitCode::Failure, "the trace files of earlier runs can't be read")
            .because(error)
            .hint("name a file")
    })?;
    latest.ok_or_else(|| {
        let failure = Failure::new(ExitCode::Failure, "there is no trace file of an earlier run");
        failure.hint("start a run with navtrace run, or name a file")
    })
}

fn warn(loaded: &LoadedTraces) {
    for warning in &loaded.warnings {
        say(warning);
    }
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
