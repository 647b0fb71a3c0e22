//! A run as text, as wide as the terminal. Pure.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use unicode_width::UnicodeWidthStr;

use crate::base::text::{clean, counted};
use crate::view::run::durations::DurationStatistics;
use crate::view::run::operation::{Operation, OperationKind};
use crate::view::run::{RunSummary, Totals};
use crate::view::terminal::{BOLD, DIM, DURATION_WIDTH, ERROR, Terminal, duration, fit, styled};

/// How many rows a table has.
const MAX_ROWS: usize = 20;

/// How many rows the tables of failures and of slow requests have.
const MAX_EXAMPLES: usize = 10;

/// The least width of a table's last column.
const MIN_NAME_WIDTH: usize = 16;

/// Width of the column with a count.
const COUNT_WIDTH: usize = 8;

/// Describes a run.
pub(crate) fn describe(run: &RunSummary, terminal: Terminal) -> String {
    let shown = Shown { terminal };
    let mut text = heading(run, &shown);
    shown.failures(run, &mut text);
    shown.slowest(run, &mut text);
    let rows = run.operations.iter().map(|row| (row.errors, &row.durations, operation(&row.operation)));
    shown.table("endpoints", "errors", rows, &mut text);
    if run.left_out_spans > 0 {
        let _ = writeln!(text, "{} of further endpoints", counted(run.left_out_spans, "span"));
    }
    let rows = run.tests.iter().map(|row| (row.failed, &row.durations, clean(&row.name)));
    shown.table("tests", "failed", rows, &mut text);
    if run.left_out_tests > 0 {
        let _ = writeln!(text, "{} of further names", counted(run.left_out_tests, "test"));
    }
    let rows = run.machines.iter().map(|row| {
        let failed = if row.failed_tests > 0 { format!(", {} failed", row.failed_tests) } else { String::new() };
        let tests = format!("{}, {}{failed}", clean(&row.name), counted(row.tests, "test"));
        (row.failed_requests, &row.requests, tests)
    });
    shown.table("machines, by requests", "failed", rows, &mut text);
    text
}

fn heading(run: &RunSummary, shown: &Shown) -> String {
    let Totals {
        files,
        start_ms,
        duration_ms,
        traces,
        failed_traces,
        spans,
        errors,
        requests,
        failed_requests,
        cached_requests,
        services,
    } = &run.totals;
    let ids = run.runs.iter().map(|id| clean(id)).collect::<Vec<_>>().join(", ");
    let noun = if run.runs.len() > 1 { "runs" } else { "run" };
    let mut text = styled(BOLD, format!("{noun} {ids}").trim_end());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since 1970")]
    if let Some(start) = UNIX_EPOCH.checked_add(Duration::from_millis(*start_ms as u64)) {
        let _ = write!(text, "  {}", humantime::format_rfc3339_millis(start));
    }
    let _ = writeln!(text, "  {}  {}", shown.duration(*duration_ms), counted(*files, "file"));
    let failed = |count: usize| if count > 0 { styled(ERROR, format!(" ({count} failed)")) } else { String::new() };
    let errors = if *errors > 0 { styled(ERROR, format!(" ({})", counted(*errors, "error"))) } else { String::new() };
    let cached = if *cached_requests > 0 { format!("  {cached_requests} from cache") } else { String::new() };
    let _ = writeln!(
        text,
        "{}{}  {}{errors}  {}{}{cached}",
        counted(*traces, "trace"),
        failed(*failed_traces),
        counted(*spans, "span"),
        counted(*requests, "request"),
        failed(*failed_requests),
    );
    if run.further_trace_spans > 0 {
        let spans = counted(run.further_trace_spans, "span");
        let _ = writeln!(text, "{spans} of further traces, which are not counted here, nor are their tests");
    }
    let services = fit(&clean(&services.join(", ")), shown.terminal.width, shown.terminal.glyphs());
    let _ = writeln!(text, "{}", styled(DIM, services));
    text
}

struct Shown {
    terminal: Terminal,
}

impl Shown {
    fn failures(&self, run: &RunSummary, text: &mut String) {
        if run.failures.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{}", styled(BOLD, "failures, each with a trace"));
        for group in run.failures.iter().take(MAX_EXAMPLES) {
            let reason = if group.reason.is_empty() { "failed".to_owned() } else { clean(&group.reason) };
            let what = format!("{reason}  {}", operation(&group.operation));
            let before = format!("{:>COUNT_WIDTH$}  {}  ", group.count, clean(&group.trace_id));
            let _ = writeln!(text, "{before}{}", styled(ERROR, self.rest(&what, before.width())));
        }
        further(run.failures.len(), MAX_EXAMPLES, text);
    }

    fn slowest(&self, run: &RunSummary, text: &mut String) {
        if run.slowest.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{}", styled(BOLD, "slowest requests, with their traces"));
        for slow in run.slowest.iter().take(MAX_EXAMPLES) {
            let on = if slow.machine.is_empty() { String::new() } else { format!("  {}", clean(&slow.machine)) };
            let what = format!("{}{on}", operation(&slow.operation));
            let took = self.duration(slow.duration_ms);
            let before = format!("{took:>DURATION_WIDTH$}  {}  ", clean(&slow.trace_id));
            let what = self.rest(&what, before.width());
            let what = if slow.error { styled(ERROR, what) } else { what };
            let _ = writeln!(text, "{before}{what}");
        }
    }

    /// Writes a table of groups: their counts, failures, durations and names.
    fn table<'a>(
        &self,
        title: &str,
        failures: &str,
        rows: impl ExactSizeIterator<Item = (usize, &'a DurationStatistics, String)>,
        text: &mut String,
    ) {
        if rows.len() == 0 {
            return;
        }
        let all = rows.len();
        let times = ["p50", "p95", "p99", "max"].map(|name| format!("  {name:>DURATION_WIDTH$}")).concat();
        let head = format!("{:>COUNT_WIDTH$}{failures:>COUNT_WIDTH$}{times}", "count");
        let _ = writeln!(text, "\n{}\n{}", styled(BOLD, title), styled(DIM, head));
        for (failed, durations, name) in rows.take(MAX_ROWS) {
            let DurationStatistics { count, p50_ms, p95_ms, p99_ms, max_ms } = *durations;
            let times = [p50_ms, p95_ms, p99_ms, max_ms].map(|ms| format!("  {:>DURATION_WIDTH$}", self.duration(ms)));
            let (count, times) = (format!("{count:>COUNT_WIDTH$}"), times.concat());
            let failures = format!("{failed:>COUNT_WIDTH$}");
            let width = count.width() + failures.width() + times.width() + 2;
            let failures = if failed > 0 { styled(ERROR, failures) } else { failures };
            let _ = writeln!(text, "{count}{failures}{times}  {}", self.rest(&name, width));
        }
        further(all, MAX_ROWS, text);
    }

    fn duration(&self, ms: f64) -> String {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a whole number")]
        duration((ms * 1e3).round() as u64, self.terminal.glyphs())
    }

    /// Cuts the last column to the terminal's width.
    fn rest(&self, text: &str, before: usize) -> String {
        fit(text, self.terminal.width.saturating_sub(before).max(MIN_NAME_WIDTH), self.terminal.glyphs())
    }
}

fn operation(operation: &Operation) -> String {
    let Operation { kind, service, name } = operation;
    let kind = match kind {
        OperationKind::Page => "page ",
        OperationKind::Client => "call ",
        _ => "",
    };
    format!("{}  {kind}{}", clean(service), clean(name))
}

fn further(all: usize, listed: usize, text: &mut String) {
    if all > listed {
        let _ = writeln!(text, "and {} more", all - listed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_that_are_not_counted_are_mentioned() {
        let run = RunSummary { further_trace_spans: 12, ..RunSummary::default() };
        let text = describe(&run, Terminal { width: 80, unicode: true });
        let line = "12 spans of further traces, which are not counted here, nor are their tests";
        assert!(text.lines().any(|shown| shown == line), "{text}");
    }
}
