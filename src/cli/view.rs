//! `navtrace view`: shows the traces of a file.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode as ProcessExitCode;

use crate::base::failure::{ExitCode, Failure};
use crate::base::files;
use crate::base::stdio::say;
use crate::base::text::{counted, shell_word};
use crate::cli::print;
use crate::cli::setting_flags::SettingFlags;
use crate::collect::store;
use crate::settings::Config;
use crate::view::page::{self, Page};
use crate::view::read::{Choice, Loaded, MOST_SPANS, TraceFile};
use crate::view::serve;
use crate::view::terminal::{self, Paper};

/// Show traces: a waterfall in the terminal, or a page
///
/// Reads what `navtrace run` and `navtrace collect` write, what the OpenTelemetry Collector's file exporter writes (OTLP JSON lines), and JSON that
/// was exported from Jaeger.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  navtrace view                          the latest run\n  navtrace view traces.jsonl 4bf92f35    \
                        one trace, by the begin of its id\n  navtrace view --open                   the latest run, in the browser"
)]
pub(super) struct Args {
    /// The trace file, or - for standard input (default: that of the latest run)
    #[arg(value_name = "FILE")]
    file: Option<OsString>,

    /// The trace to show: its id, or how that begins
    #[arg(value_name = "TRACE_ID")]
    trace: Option<String>,

    /// Write a page that needs nothing else, instead of a waterfall
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Serve the page on loopback and open it in the browser, until Ctrl-C
    #[arg(long)]
    open: bool,

    #[command(flatten)]
    pub(super) flags: SettingFlags,
}

/// Largest number of traces in a list. The page has more.
const MAX_LISTED: usize = 40;

/// Width of the output when the terminal's width is unknown.
const DEFAULT_WIDTH: usize = 100;

/// Largest width that COLUMNS can ask for.
const MAX_WIDTH: usize = 1000;

/// Smallest number of digits that name a trace.
const MIN_DIGITS: usize = 4;

pub(super) fn view(config: &Config, args: &Args) -> Result<ProcessExitCode, Failure> {
    let (path, trace) = file_and_trace(args)?;
    if let Some(to) = &args.html {
        check_page(to, &path)?;
    }
    let failed = |error| Failure::new(ExitCode::Failure, error);
    let file = TraceFile::open(&path).map_err(failed)?;
    let link = config.link.as_ref();
    if args.html.is_some() || args.open {
        let choice = trace.map_or(Choice::All { most_spans: page::MOST_SPANS }, Choice::One);
        let loaded = file.load(&choice, link).map_err(failed)?;
        warn(&loaded);
        let name = Path::new(file.name()).file_name().unwrap_or_default().to_string_lossy();
        let html = page::render(&Page::of(&name, &loaded));
        if let Some(to) = &args.html {
            files::write_if_changed(to, html.as_bytes()).map_err(|error| {
                Failure::new(ExitCode::Failure, format!("{} can't be written", to.display()))
                    .because(error)
                    .hint("name another file with --html")
            })?;
            say(&format!("the page: {}", to.display()));
        }
        if args.open {
            serve::serve(html)
                .map_err(|error| Failure::new(ExitCode::Failure, "the page can't be served").because(error))?;
        }
        return Ok(ExitCode::Success.into());
    }

    let is_chosen = trace.is_some();
    let first = || file.entries.first().map(|entry| entry.id.clone()).unwrap_or_default();
    let choice = Choice::One(trace.unwrap_or_else(first));
    let loaded = file.outline(&choice, link).map_err(failed)?;
    warn(&loaded);
    let paper = paper();
    let mut text = String::new();
    if !is_chosen && file.entries.len() > 1 {
        text.push_str(&terminal::list(&file.entries[..file.entries.len().min(MAX_LISTED)], paper));
        let further = file.entries.len().saturating_sub(MAX_LISTED) + file.further_traces;
        if further > 0 {
            let _ = writeln!(text, "and {further} more");
        }
        text.push('\n');
    }
    for trace in &loaded.traces {
        text.push_str(&terminal::waterfall(trace, paper));
    }
    print(&text)?;
    if io::stdout().is_terminal() && file.stays() {
        say(&hint(&path, file.entries.len() > 1));
    }
    Ok(ExitCode::Success.into())
}

/// Refuses a page on standard output, and a page that would replace the traces.
fn check_page(to: &Path, traces: &Path) -> Result<(), Failure> {
    if to == Path::new("-") {
        return Err(Failure::new(ExitCode::Usage, "the page can't go to standard output: name a file with --html"));
    }
    let is_same = to.canonicalize().is_ok_and(|to| traces.canonicalize().is_ok_and(|traces| to == traces));
    if is_same {
        return Err(Failure::new(
            ExitCode::Usage,
            format!("{} has the traces, and the page would replace them: name another file with --html", to.display()),
        ));
    }
    Ok(())
}

/// Returns the trace file and the trace's id. An id alone means the latest run.
fn file_and_trace(args: &Args) -> Result<(PathBuf, Option<String>), Failure> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_id = |text: &str| text.len() == 32 && is_hex(text);
    let named = args.file.as_ref().map(PathBuf::from);
    let (file, trace) = match (named, &args.trace) {
        (Some(file), None) if file.to_str().is_some_and(is_id) && !file.exists() => {
            (None, file.to_str().map(ToOwned::to_owned))
        }
        (file, trace) => (file, trace.clone()),
    };
    let can_be_id = |id: &str| (MIN_DIGITS..=32).contains(&id.len()) && is_hex(id);
    if let Some(id) = trace.as_ref().filter(|id| !can_be_id(id)) {
        return Err(Failure::new(
            ExitCode::Usage,
            format!("{id} is no trace id: expected 32 hexadecimal digits, or the first {MIN_DIGITS} and more of them"),
        ));
    }
    let none = || {
        let message = "there is no trace file of an earlier run: run something by navtrace run, or name a file";
        Failure::new(ExitCode::Failure, message)
    };
    let file = file.or_else(store::latest).ok_or_else(none)?;
    Ok((file, trace))
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        say(warning);
    }
    let spans = counted(loaded.left_out_spans, "span");
    if loaded.left_out_traces > 0 {
        let traces = counted(loaded.left_out_traces, "trace");
        say(&format!("{spans} of {traces} left out: name a trace to see all of it"));
    } else if loaded.left_out_spans > 0 {
        say(&format!("{spans} left out: of a trace, the first {MOST_SPANS} in the file are shown"));
    }
}

fn hint(path: &Path, has_more: bool) -> String {
    let file = shell_word(path);
    let other = if has_more { format!("another trace: navtrace view {file} TRACE_ID; ") } else { String::new() };
    format!("{other}in the browser: navtrace view {file} --open")
}

/// Finds out the terminal's width, and whether it shows Unicode.
fn paper() -> Paper {
    let of_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let named = || std::env::var("COLUMNS").ok()?.trim().parse::<usize>().ok();
    let width = of_terminal.filter(|width| *width > 0).or_else(named).unwrap_or(DEFAULT_WIDTH);
    // The order of precedence in POSIX.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let unicode = locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    Paper { width: width.min(MAX_WIDTH), unicode }
}
