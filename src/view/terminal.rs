//! Traces as text: a list, and a waterfall as wide as the terminal. Pure. Colours are escape sequences, which the writer removes if stdout
//! does not show them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};
use std::time::{Duration, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::base::text::{clean, counted};
use crate::export::otlp::own;
use crate::view::trace::{ShownSpan, Trace};
use crate::view::trace_index::TraceSummary;
use crate::view::tree::Clocks;

/// The colours of services, in the order of their first spans.
const COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::BrightCyan];

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Narrower terminals show no bars.
const MIN_WIDTH_FOR_BARS: usize = 60;

/// Narrower terminals show no services.
const MIN_WIDTH_FOR_SERVICES: usize = 50;

/// Space after a column.
const GAP: usize = 2;

pub(super) const DURATION_WIDTH: usize = 9;

/// Longer service names are cut.
const MAX_SERVICE_WIDTH: usize = 16;

/// How many services the heading of a waterfall names.
const MAX_LISTED_SERVICES: usize = 8;

/// Deeper spans are drawn at this depth.
const MAX_DEPTH: usize = 24;

/// The columns that the tree leaves for a label, where the terminal is wide enough.
const MIN_LABEL_WIDTH: usize = 14;

/// Columns of the tree for each level.
const LEVEL_WIDTH: usize = 3;

/// The least width of tree and label together.
const MIN_TREE_WIDTH: usize = 12;

/// With less space, a list leaves out root spans and services.
const MIN_NAME_WIDTH: usize = 12;

/// The width and character set of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// The number of columns.
    pub(crate) width: usize,
    /// Whether it shows more than ASCII.
    pub(crate) unicode: bool,
}

pub(super) struct Glyphs {
    branch: &'static str,
    last: &'static str,
    pipe: &'static str,
    bar: &'static str,
    error: &'static str,
    pub(super) cut: char,
    micro: &'static str,
}

const UNICODE: Glyphs =
    Glyphs { branch: "├─ ", last: "└─ ", pipe: "│  ", bar: "█", error: "✗", cut: '…', micro: "µs" };
const ASCII: Glyphs = Glyphs { branch: "|- ", last: "`- ", pipe: "|  ", bar: "#", error: "!", cut: '~', micro: "us" };

/// What spans without a failure may have ended with: their attributes and the words for them.
const ENDINGS: [(&str, &str); 3] =
    [(own::BLOCKED, "blocked"), (own::CANCELLED, "cancelled"), (own::UNFINISHED, "unfinished")];

impl Terminal {
    pub(super) fn glyphs(self) -> &'static Glyphs {
        if self.unicode { &UNICODE } else { &ASCII }
    }
}

/// The widths of a waterfall's columns with their gaps; 0 for a column that is not shown.
struct Columns {
    tree: usize,
    service: usize,
    bar: usize,
}

impl Columns {
    fn new(width: usize, longest_service: usize) -> Self {
        let service = if width >= MIN_WIDTH_FOR_SERVICES { longest_service.min(MAX_SERVICE_WIDTH) + GAP } else { 0 };
        let bar = if width >= MIN_WIDTH_FOR_BARS { (width - service) * 3 / 10 + GAP } else { 0 };
        let tree = width.saturating_sub(service + bar + DURATION_WIDTH).max(MIN_TREE_WIDTH);
        Self { tree, service, bar }
    }
}

/// Returns sentences about times that can't be right, and clocks that are off.
pub(crate) fn notes(trace: &Trace, clocks: Clocks) -> Vec<String> {
    let faults = trace.spans.iter().filter(|span| span.place.fault.is_some()).count();
    let faults = match faults {
        0 => None,
        1 => Some("1 span has times that can't be right, and is drawn at its parent".to_owned()),
        _ => Some(format!("{faults} spans have times that can't be right, and are drawn at their parents")),
    };
    let what = match clocks {
        Clocks::Corrected => "its spans are shown as if it were right",
        _ => "--correct-clocks shows its spans as if it were right",
    };
    let clocks = trace.clocks.iter().map(|clock| format!("{}: {what}", clean(clock)));
    faults.into_iter().chain(clocks).collect()
}

/// Draws a trace as a waterfall.
pub(crate) fn waterfall(trace: &Trace, terminal: Terminal) -> String {
    let glyphs = terminal.glyphs();
    let colours = colours(trace);
    let longest_service = colours.keys().map(|name| clean(name).width()).max().unwrap_or(0);
    let columns = Columns::new(terminal.width, longest_service);
    let max_depth = (columns.tree.saturating_sub(MIN_LABEL_WIDTH) / LEVEL_WIDTH).min(MAX_DEPTH);

    let mut text = heading(trace, glyphs);
    for (span, tree) in trace.spans.iter().zip(trees(&trace.spans, max_depth, glyphs)) {
        let label = label(span, columns.tree.saturating_sub(tree.width() + 1), glyphs);
        let padding = columns.tree.saturating_sub(tree.width() + label.width());
        let _ = write!(text, "{}{}{:padding$}", styled(DIM, tree), styled(label_style(span), label), "");
        let colour = colours.get(span.service.as_str()).copied().unwrap_or_default();
        if columns.service > 0 {
            let name = fit(&clean(&span.service), columns.service - GAP, glyphs);
            let padding = columns.service - name.width();
            let _ = write!(text, "{}{:padding$}", styled(colour, name), "");
        }
        if columns.bar > 0 {
            let (before, length) = bar(span, trace.duration_us, columns.bar - GAP);
            let bar = styled(if span.error { ERROR } else { colour }, glyphs.bar.repeat(length));
            let after = columns.bar - before - length;
            let _ = write!(text, "{:before$}{bar}{:after$}", "", "");
        }
        let _ = writeln!(text, "{:>DURATION_WIDTH$}", duration(span.place.duration_us, glyphs));
    }
    text
}

/// Lists traces, one per line.
pub(crate) fn list(traces: &[TraceSummary], terminal: Terminal) -> String {
    let glyphs = terminal.glyphs();
    let mut text = String::new();
    for trace in traces {
        let took = duration(trace.end.saturating_sub(trace.start) / 1000, glyphs);
        let noun = if trace.spans == 1 { "span" } else { "spans" };
        let facts = format!("  {took:>DURATION_WIDTH$}  {:>5} {noun:<5}", trace.spans);
        let errors = errors(trace.errors);
        let _ = write!(text, "{}{facts}{}", styled(BOLD, clean(&trace.id)), styled(ERROR, &errors));
        // The id is never cut: the user needs it for the next command.
        let left = terminal.width.saturating_sub(trace.id.len() + facts.width() + errors.width());
        if left >= MIN_NAME_WIDTH {
            let root = trace.root.as_deref().map_or_else(|| "no root".to_owned(), clean);
            let services = trace.services.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ");
            let root = fit(&format!("  {root}"), left, glyphs);
            let services = fit(&format!("  {services}"), left - root.width(), glyphs);
            let _ = write!(text, "{root}{}", styled(DIM, services));
        }
        text.push('\n');
    }
    text
}

fn heading(trace: &Trace, glyphs: &Glyphs) -> String {
    let mut text = styled(BOLD, format!("trace {}", clean(&trace.id)));
    if let Some(start) = UNIX_EPOCH.checked_add(Duration::from_nanos(trace.start)) {
        let _ = write!(text, "  {}", humantime::format_rfc3339_millis(start));
    }
    let failed = trace.spans.iter().filter(|span| span.error).count();
    let spans = counted(trace.spans.len(), "span");
    let _ = write!(text, "  {}  {spans}{}", duration(trace.duration_us, glyphs), styled(ERROR, errors(failed)));
    let services = trace.spans.iter().map(|span| span.service.as_str()).collect::<BTreeSet<_>>();
    let further = services.len().saturating_sub(MAX_LISTED_SERVICES);
    let listed = services.into_iter().take(MAX_LISTED_SERVICES);
    let listed = listed.map(|name| fit(&clean(name), MAX_SERVICE_WIDTH, glyphs)).collect::<Vec<_>>().join(", ");
    let more = if further > 0 { format!(" and {further} more") } else { String::new() };
    let _ = writeln!(text, "  {}", styled(DIM, listed + &more));
    if let Some(link) = &trace.link {
        let _ = writeln!(text, "{}", clean(link));
    }
    text
}

pub(super) fn errors(count: usize) -> String {
    if count == 0 { String::new() } else { format!("  {}", counted(count, "error")) }
}

pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

fn label_style(span: &ShownSpan) -> Style {
    if span.error {
        ERROR
    } else if span.cached {
        DIM
    } else if span.place.critical {
        BOLD
    } else {
        Style::new()
    }
}

/// Returns a span's label and remarks, cut to a width. Remarks get half of it if need be, so that a long label never hides an error.
fn label(span: &ShownSpan, width: usize, glyphs: &Glyphs) -> String {
    let label = clean(&span.label);
    let remarks = fit(&remarks(span, glyphs), width.saturating_sub(label.width()).max(width / 2), glyphs);
    fit(&label, width - remarks.width(), glyphs) + &remarks
}

fn remarks(span: &ShownSpan, glyphs: &Glyphs) -> String {
    let mut remarks = String::new();
    if span.error {
        let code = span.attributes.iter().find(|(key, _)| key == "http.response.status_code" || key == "error.type");
        let code = code.map_or_else(|| clean(&span.message), |(_, value)| clean(&value.to_string().replace('"', "")));
        let _ = write!(remarks, " {} {code}", glyphs.error);
    }
    if span.cached {
        remarks.push_str(" (cache)");
    }
    for (attribute, remark) in ENDINGS {
        if span.attributes.iter().any(|(key, value)| key == attribute && *value == true) {
            let _ = write!(remarks, " ({remark})");
        }
    }
    for remark in [span.place.fault.as_deref(), span.remark].into_iter().flatten() {
        let _ = write!(remarks, " ({remark})");
    }
    remarks
}

/// Returns the lines of the tree to the left of each span.
fn trees(spans: &[ShownSpan], max_depth: usize, glyphs: &Glyphs) -> Vec<String> {
    // Goes backwards, and remembers at which depths a sibling follows.
    let mut sibling_follows = [false; MAX_DEPTH + 2];
    let mut trees = vec![String::new(); spans.len()];
    for (tree, span) in trees.iter_mut().zip(spans).rev() {
        let depth = span.depth.min(max_depth);
        for follows in sibling_follows.iter().take(depth).skip(1) {
            tree.push_str(if *follows { glyphs.pipe } else { "   " });
        }
        if depth > 0 {
            tree.push_str(if sibling_follows[depth] { glyphs.branch } else { glyphs.last });
        }
        sibling_follows[depth] = true;
        sibling_follows[depth + 1..].fill(false);
    }
    trees
}

/// Returns the column where a span's bar starts, and its length in columns.
fn bar(span: &ShownSpan, total_us: u64, width: usize) -> (usize, usize) {
    let total = total_us.max(1);
    let column =
        |us: u64| usize::try_from(u128::from(us.min(total)) * width as u128 / u128::from(total)).unwrap_or(width);
    let start = column(span.place.start_us).min(width - 1);
    let end = column(span.place.start_us.saturating_add(span.place.duration_us)).clamp(start + 1, width);
    (start, end - start)
}

fn colours(trace: &Trace) -> BTreeMap<&str, Style> {
    let mut colours = BTreeMap::new();
    for span in &trace.spans {
        let next = COLOURS[colours.len() % COLOURS.len()];
        colours.entry(span.service.as_str()).or_insert_with(|| next.on_default());
    }
    colours
}

#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn duration(us: u64, glyphs: &Glyphs) -> String {
    match us {
        0..1000 => format!("{us} {}", glyphs.micro),
        1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Cuts text to a number of columns.
pub(super) fn fit(text: &str, width: usize, glyphs: &Glyphs) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut left = width.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        fitted.push(c);
    }
    if width > 0 {
        fitted.push(glyphs.cut);
    }
    fitted
}

#[cfg(test)]
mod tests;
