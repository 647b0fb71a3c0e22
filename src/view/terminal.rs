//! A trace as text: a waterfall that fits the terminal. Pure; colours are escape sequences that the writer takes out where they don't belong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::view::index::Entry;
use crate::view::trace::{Span, Trace};

/// What services are told apart by.
const COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::BrightCyan];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Below this width there are no bars, and below that no services.
const WIDTH_FOR_BARS: usize = 60;
const WIDTH_FOR_SERVICES: usize = 50;

/// Where the column of durations ends.
const DURATION_WIDTH: usize = 9;

/// How wide a service's name is shown at most.
const MOST_SERVICE: usize = 16;

/// How many services are named in the first line.
const MOST_NAMED: usize = 8;

/// How deep the tree is drawn at most: what is deeper stands below the rest.
const MOST_DEPTH: usize = 24;

/// What the tree leaves for a label, however deep that stands.
const LEAST_LABEL: usize = 14;

/// Columns of the tree for each level.
const LEVEL: usize = 3;

/// Below this there is no room for a name in a list.
const LEAST_NAME: usize = 12;

/// How a waterfall is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paper {
    /// Columns.
    pub(crate) width: usize,
    /// Whether more than ASCII can be shown.
    pub(crate) unicode: bool,
}

struct Glyphs {
    branch: &'static str,
    last: &'static str,
    pipe: &'static str,
    bar: char,
    error: &'static str,
    cut: char,
    micro: &'static str,
}

const UNICODE: Glyphs =
    Glyphs { branch: "├─ ", last: "└─ ", pipe: "│  ", bar: '█', error: "✗", cut: '…', micro: "µs" };
const ASCII: Glyphs = Glyphs { branch: "|- ", last: "`- ", pipe: "|  ", bar: '#', error: "!", cut: '~', micro: "us" };

impl Paper {
    fn glyphs(self) -> &'static Glyphs {
        if self.unicode { &UNICODE } else { &ASCII }
    }
}

/// Draws a trace.
pub(crate) fn waterfall(trace: &Trace, paper: Paper) -> String {
    let colours = colours(trace);
    let glyphs = paper.glyphs();
    let services = colours.keys().map(|name| clean(name).width()).max().unwrap_or(0).min(MOST_SERVICE);
    let service_width = if paper.width >= WIDTH_FOR_SERVICES { services + 2 } else { 0 };
    let bar_width = if paper.width >= WIDTH_FOR_BARS { (paper.width - service_width) * 3 / 10 } else { 0 };
    let bar_column = if bar_width > 0 { bar_width + 2 } else { 0 };
    let label_width = paper.width.saturating_sub(service_width + bar_column + DURATION_WIDTH).max(12);

    let depth = (label_width.saturating_sub(LEAST_LABEL) / LEVEL).min(MOST_DEPTH);

    let mut text = head(trace, glyphs);
    for (span, tree) in trace.spans.iter().zip(trees(&trace.spans, depth, glyphs)) {
        let style = if span.error {
            ERROR
        } else if span.cached {
            DIM
        } else if span.critical {
            BOLD
        } else {
            Style::new()
        };
        let room = label_width.saturating_sub(tree.width() + 1);
        // That a span failed is seen, however long its label is.
        let label = clean(&span.label);
        let notes = fit(&notes(span, glyphs), room.saturating_sub(label.width()).max(room / 2), glyphs);
        let label = fit(&label, room - notes.width(), glyphs) + &notes;
        let padding = " ".repeat(label_width.saturating_sub(tree.width() + label.width()));
        let _ = write!(text, "{DIM}{tree}{DIM:#}{style}{label}{style:#}{padding}");
        let colour = colours.get(span.service.as_str()).copied().unwrap_or_default();
        if service_width > 0 {
            let name = fit(&clean(&span.service), service_width - 2, glyphs);
            let _ = write!(text, "{colour}{name}{colour:#}{}", " ".repeat(service_width - name.width()));
        }
        if bar_width > 0 {
            let (before, bar) = bar(span, trace.duration_us, bar_width);
            let bar_style = if span.error { ERROR } else { colour };
            let bars = glyphs.bar.to_string().repeat(bar);
            let _ = write!(
                text,
                "{}{bar_style}{bars}{bar_style:#}{}",
                " ".repeat(before),
                " ".repeat(bar_width + 2 - before - bar)
            );
        }
        let _ = writeln!(text, "{:>DURATION_WIDTH$}", duration(span.duration_us, glyphs));
    }
    text
}

/// Lists traces, a line each.
pub(crate) fn list(entries: &[Entry], paper: Paper) -> String {
    let glyphs = paper.glyphs();
    let mut text = String::new();
    for entry in entries {
        let took = duration(entry.time.1.saturating_sub(entry.time.0) / 1000, glyphs);
        let noun = if entry.spans == 1 { "span " } else { "spans" };
        let facts = format!("  {took:>DURATION_WIDTH$}  {:>5} {noun}", entry.spans);
        let errors = errors(entry.errors);
        let _ = write!(text, "{BOLD}{}{BOLD:#}{facts}{ERROR}{errors}{ERROR:#}", clean(&entry.id));
        // The id is what is asked for next, so it is never cut, and the rest gets what is left.
        let left = paper.width.saturating_sub(entry.id.len() + facts.width() + errors.width());
        if left >= LEAST_NAME {
            let root = entry.root.as_deref().map_or_else(|| "no root".to_owned(), clean);
            let services = entry.services.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ");
            let root = fit(&format!("  {root}"), left, glyphs);
            let services = fit(&format!("  {services}"), left - root.width(), glyphs);
            let _ = write!(text, "{root}{DIM}{services}{DIM:#}");
        }
        text.push('\n');
    }
    text
}

/// How many errors there are, after what stands before it; nothing where there are none.
fn errors(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "  1 error".to_owned(),
        count => format!("  {count} errors"),
    }
}

fn head(trace: &Trace, glyphs: &Glyphs) -> String {
    let failed = trace.spans.iter().filter(|span| span.error).count();
    let mut text = format!("{BOLD}trace {}{BOLD:#}", clean(&trace.id));
    let started = UNIX_EPOCH.checked_add(Duration::from_nanos(trace.start));
    if let Some(started) = started {
        let _ = write!(text, "  {}", humantime::format_rfc3339_millis(started));
    }
    let noun = if trace.spans.len() == 1 { "span" } else { "spans" };
    let _ = write!(text, "  {}  {} {noun}", duration(trace.duration_us, glyphs), trace.spans.len());
    let services = trace.spans.iter().map(|span| span.service.as_str()).collect::<BTreeSet<_>>();
    let further = services.len().saturating_sub(MOST_NAMED);
    let named = services.into_iter().take(MOST_NAMED).map(|name| fit(&clean(name), MOST_SERVICE, glyphs));
    let named = named.collect::<Vec<_>>().join(", ");
    let _ = write!(text, "{ERROR}{}{ERROR:#}  {DIM}{named}", errors(failed));
    if further > 0 {
        let _ = write!(text, " and {further} more");
    }
    let _ = writeln!(text, "{DIM:#}");
    if let Some(link) = &trace.link {
        let _ = writeln!(text, "{}", clean(link));
    }
    text
}

/// What is to be said of a span beside its label.
fn notes(span: &Span, glyphs: &Glyphs) -> String {
    let mut notes = String::new();
    if span.error {
        let code = span.attributes.iter().find(|(key, _)| key == "http.response.status_code" || key == "error.type");
        let code = code.map_or_else(|| clean(&span.message), |(_, value)| clean(&value.to_string().replace('"', "")));
        let _ = write!(notes, " {} {code}", glyphs.error);
    }
    if span.cached {
        notes.push_str(" (cache)");
    }
    if span.orphan {
        notes.push_str(" (parent missing)");
    }
    notes
}

/// The lines that lead to each span, so many levels deep.
fn trees(spans: &[Span], most: usize, glyphs: &Glyphs) -> Vec<String> {
    // From the end: a span is the last child if none of its depth comes before one of a lesser depth.
    let mut more = [false; MOST_DEPTH + 2];
    let mut trees = vec![String::new(); spans.len()];
    for (place, span) in spans.iter().enumerate().rev() {
        let depth = span.depth.min(most);
        let mut tree = String::new();
        for goes_on in more.iter().take(depth).skip(1) {
            tree.push_str(if *goes_on { glyphs.pipe } else { "   " });
        }
        if depth > 0 {
            tree.push_str(if more[depth] { glyphs.branch } else { glyphs.last });
        }
        more[depth] = true;
        more[depth + 1..].fill(false);
        trees[place] = tree;
    }
    trees
}

/// Where a span's bar begins, and how long it is, in columns.
fn bar(span: &Span, total_us: u64, width: usize) -> (usize, usize) {
    let total = total_us.max(1);
    let column =
        |us: u64| usize::try_from(u128::from(us.min(total)) * width as u128 / u128::from(total)).unwrap_or(width);
    let begin = column(span.start_us).min(width - 1);
    let end = column(span.start_us.saturating_add(span.duration_us)).clamp(begin + 1, width);
    (begin, end - begin)
}

fn colours(trace: &Trace) -> BTreeMap<&str, Style> {
    let mut colours = BTreeMap::new();
    for span in &trace.spans {
        let next = COLOURS[colours.len() % COLOURS.len()];
        colours.entry(span.service.as_str()).or_insert_with(|| next.on_default());
    }
    colours
}

/// Writes a duration of microseconds.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn duration(us: u64, glyphs: &Glyphs) -> String {
    match us {
        0..1000 => format!("{us} {}", glyphs.micro),
        1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Shows what would steer a terminal or reorder its text as escapes.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if steers { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// Cuts text to a width.
fn fit(text: &str, width: usize, glyphs: &Glyphs) -> String {
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
