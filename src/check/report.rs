//! Outcomes as lines of text, as JSON, and as the XML that CI systems read. Pure.

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::base::text::{clean, counted, duration};
use crate::check::condition::{Measure, Per, Rule};
use crate::check::outcome::{Outcome, Status, WorstSpan};
use crate::view::link::{LinkTemplate, LinkedTrace};

/// What became of all conditions. `navtrace check --json` prints it: names of fields stay. docs/check.md describes them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether all conditions hold.
    pub(crate) passed: bool,
    traces: usize,
    spans: usize,
    conditions: Vec<ReportedCondition>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportedCondition {
    condition: String,
    /// `passed`, `failed`, or `no-span` if no span matched.
    status: &'static str,
    /// What was compared, in the unit.
    value: Option<f64>,
    unit: &'static str,
    /// The number of spans that matched.
    spans: usize,
    worst: Vec<ReportedSpan>,
    #[serde(skip)]
    actual: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportedSpan {
    trace_id: String,
    /// Empty if the trace has no such span.
    span_id: String,
    service: String,
    name: String,
    value: f64,
    link: Option<String>,
    #[serde(skip)]
    actual: String,
}

/// The unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds, which are reported in milliseconds.
    Time,
    Spans,
    Errors,
    MissingParents,
    Share,
}

impl Unit {
    fn of(rule: &Rule) -> Self {
        match rule {
            Rule::NoMissingParents(_) => Self::MissingParents,
            Rule::Measure { measure: Measure::Duration(_), .. } => Self::Time,
            Rule::Measure { measure: Measure::Count(_), .. } => Self::Spans,
            Rule::Measure { measure: Measure::Errors(_), .. } => Self::Errors,
            Rule::Measure { measure: Measure::ErrorRate, .. } => Self::Share,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Time => "ms",
            Self::Spans => "spans",
            Self::Errors => "errors",
            Self::MissingParents => "missing parents",
            Self::Share => "share",
        }
    }

    fn number(self, value: f64) -> f64 {
        if self == Self::Time { value / 1e6 } else { value }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Time => duration(value / 1e6),
            Self::Spans => counted(value as usize, "span"),
            Self::Errors => counted(value as usize, "error"),
            Self::MissingParents => counted(value as usize, "missing parent"),
            Self::Share => format!("{}% errors", rounded(value * 100.0)),
        }
    }
}

impl Report {
    pub(super) fn new(outcomes: &[Outcome], traces: usize, spans: usize, link: Option<&LinkTemplate>) -> Self {
        let passed = outcomes.iter().all(|outcome| outcome.status == Status::Passed);
        let conditions = outcomes.iter().map(|outcome| ReportedCondition::new(outcome, link)).collect();
        Self { passed, traces, spans, conditions }
    }

    /// Returns a line per condition, lines for its worst traces, and a line for all.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for condition in &self.conditions {
            let status = if condition.status == "passed" { "ok  " } else { "FAIL" };
            lines.push(clean(&format!("{status}  {}: {}", condition.condition, condition.actual)));
            lines.extend(condition.worst.iter().map(|span| clean(&format!("        {}", span.line()))));
        }
        let failed = self.conditions.iter().filter(|condition| condition.status != "passed").count();
        let conditions = counted(self.conditions.len(), "condition");
        let verdict = match failed {
            0 if self.conditions.len() == 1 => "the condition holds".to_owned(),
            0 => format!("all {conditions} hold"),
            _ => format!("{failed} of {conditions} failed"),
        };
        lines.push(format!("{verdict} ({} in {})", counted(self.spans, "span"), counted(self.traces, "trace")));
        lines
    }

    /// Returns the file that CI systems read: a test case per condition.
    pub(crate) fn junit(&self) -> Result<String, String> {
        let mut suite = TestSuite::new("navtrace check");
        for condition in &self.conditions {
            let mut status = TestCaseStatus::success();
            if condition.status != "passed" {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(condition.status).set_message(xml_text(&condition.actual));
                let worst: Vec<String> = condition.worst.iter().map(|span| xml_text(&span.line())).collect();
                if !worst.is_empty() {
                    status.set_description(worst.join("\n"));
                }
            }
            let mut case = TestCase::new(xml_text(&condition.condition), status);
            case.set_classname("navtrace.check").set_system_out(xml_text(&condition.actual));
            suite.add_test_case(case);
        }
        let mut report = JunitReport::new("navtrace");
        report.add_test_suite(suite);
        report.to_string().map_err(|error| error.to_string())
    }
}

impl ReportedCondition {
    fn new(outcome: &Outcome, link: Option<&LinkTemplate>) -> Self {
        let unit = Unit::of(&outcome.condition.rule);
        let spans = counted(outcome.spans, "span");
        let is_per_trace = match outcome.condition.rule {
            Rule::Measure { measure: Measure::Count(per) | Measure::Errors(per), .. } => per == Per::Trace,
            _ => false,
        };
        let place = if is_per_trace { " in a trace" } else { "" };
        let value = outcome.value.map(|value| unit.text(value) + place);
        let actual = match value {
            None => "no span matched".to_owned(),
            Some(value) if outcome.spans == 0 => format!("{value}, but no span matched"),
            Some(value) if unit == Unit::Spans => value,
            Some(value) => format!("{value} ({spans})"),
        };
        Self {
            condition: outcome.condition.text.clone(),
            status: match outcome.status {
                Status::Passed => "passed",
                Status::Failed => "failed",
                Status::NoSpan => "no-span",
            },
            value: outcome.value.map(|value| unit.number(value)),
            unit: unit.name(),
            spans: outcome.spans,
            worst: outcome.worst.iter().map(|worst_span| ReportedSpan::new(worst_span, unit, link)).collect(),
            actual,
        }
    }
}

impl ReportedSpan {
    fn new(worst_span: &WorstSpan, unit: Unit, link: Option<&LinkTemplate>) -> Self {
        let trace_id = worst_span.trace_id();
        let linked = LinkedTrace {
            trace_id: &trace_id,
            span_id: &worst_span.span_id,
            start: worst_span.start,
            end: worst_span.end.max(worst_span.start),
        };
        let unit = if unit == Unit::Share { Unit::Errors } else { unit };
        Self {
            link: link.map(|link| link.fill(&linked)),
            span_id: worst_span.span_id.clone(),
            service: worst_span.service.clone(),
            name: worst_span.label.clone(),
            value: unit.number(worst_span.value as f64),
            actual: unit.text(worst_span.value as f64),
            trace_id,
        }
    }

    fn line(&self) -> String {
        let parts = [&self.trace_id, &self.actual, &self.service, &self.name];
        let parts = parts.into_iter().chain(&self.link).filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join("  ")
    }
}

/// Escapes characters that would control a terminal, and replaces the others that XML can't have.
fn xml_text(text: &str) -> String {
    clean(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Formats a number with at most three digits after the point.
fn rounded(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
