//! Two runs side by side: what differs by more than noise, as text and as JSON. Pure.

use std::cmp::Ordering;

use serde::Serialize;

use crate::base::text::{clean, counted, duration};
use crate::compare::profile::{Part, Profile, Subject};
use crate::compare::statistics::{Change, deviations};
use crate::view::run::durations::DurationStatistics;
use crate::view::run::operation::{Operation, OperationKind};

/// Smaller differences of durations are of no interest, however sure they are.
const MIN_RELATIVE: f64 = 0.05;

/// Comparisons of an operation: of two percentiles, and of the share of errors.
const COMPARISONS: usize = 3;

/// How many spans explain a difference.
const MAX_REASONS: usize = 4;

/// The least part of a difference that is an explanation.
const MIN_REASON: f64 = 0.1;

/// How many differences and names the text lists of each kind.
const MAX_LISTED: usize = 20;

/// Two runs. `navtrace compare --json` prints it: names of fields stay. docs/check.md describes them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    base: RunTotals,
    new: RunTotals,
    /// The differences with the most time in all calls of the new run first.
    pub(crate) slower: Vec<Difference>,
    faster: Vec<Difference>,
    more_errors: Vec<Difference>,
    fewer_errors: Vec<Difference>,
    only_in_base: Vec<Operation>,
    only_in_new: Vec<Operation>,
    /// The number of operations without a difference.
    unchanged: usize,
    /// The number of operations with too few spans to tell.
    too_few: usize,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunTotals {
    traces: usize,
    spans: usize,
    errors: usize,
}

/// An operation or a test that differs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    #[serde(flatten)]
    operation: Operation,
    base: Side,
    new: Side,
    /// Milliseconds. There is none where too few spans tell nothing.
    p50: Option<Change>,
    p95: Option<Change>,
    /// The share of errors.
    errors: Change,
    /// The least part by which a duration must differ.
    #[serde(skip)]
    least: f64,
    /// The spans whose own time explains the difference, the most important first.
    reasons: Vec<Reason>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    #[serde(flatten)]
    durations: DurationStatistics,
    errors: usize,
}

/// Spans of one operation, per call of the one that differs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reason {
    #[serde(flatten)]
    operation: Operation,
    /// The time in which no child of theirs was working, in milliseconds.
    base_self_ms: f64,
    new_self_ms: f64,
    base_calls: f64,
    new_calls: f64,
}

impl Comparison {
    /// Compares two runs. A difference of a duration that is to make `compare` fail counts even if it is small.
    pub(crate) fn new(base: &Profile, new: &Profile, fails_at: Option<f64>) -> Self {
        let mut comparison = Self {
            base: RunTotals::of(base),
            new: RunTotals::of(new),
            slower: Vec::new(),
            faster: Vec::new(),
            more_errors: Vec::new(),
            fewer_errors: Vec::new(),
            only_in_base: only_in(base, new),
            only_in_new: only_in(new, base),
            unchanged: 0,
            too_few: 0,
        };
        let both: Vec<(&Operation, &Subject, &Subject)> = base
            .subjects
            .iter()
            .filter_map(|(operation, subject)| Some((operation, subject, new.subjects.get(operation)?)))
            .collect();
        let z = deviations(COMPARISONS * both.len());
        let least = fails_at.map_or(MIN_RELATIVE, |part| part.min(MIN_RELATIVE));
        for (operation, base, new) in both {
            comparison.add(Difference::new(operation, base, new, z, least));
        }
        let by_time = |a: &Difference, b: &Difference| {
            b.weight().total_cmp(&a.weight()).then_with(|| a.operation.cmp(&b.operation))
        };
        comparison.slower.sort_by(by_time);
        comparison.faster.sort_by(by_time);
        let by_errors = |a: &Difference, b: &Difference| {
            let share = |difference: &Difference| difference.errors.difference().abs();
            share(b).total_cmp(&share(a)).then_with(|| a.operation.cmp(&b.operation))
        };
        comparison.more_errors.sort_by(by_errors);
        comparison.fewer_errors.sort_by(by_errors);
        comparison
    }

    fn add(&mut self, difference: Difference) {
        let duration = difference.direction();
        let errors = if difference.errors.is_sure() { difference.errors.difference() } else { 0.0 };
        if duration == Ordering::Equal && errors == 0.0 {
            match difference.p50 {
                Some(_) => self.unchanged += 1,
                None => self.too_few += 1,
            }
        }
        if errors != 0.0 {
            let list = if errors > 0.0 { &mut self.more_errors } else { &mut self.fewer_errors };
            list.push(difference.clone());
        }
        match duration {
            Ordering::Greater => self.slower.push(difference),
            Ordering::Less => self.faster.push(difference),
            Ordering::Equal => {}
        }
    }

    /// Returns the number of operations that are slower by at least this part, for sure.
    pub(crate) fn slower_by(&self, part: f64) -> usize {
        let is_slower = |difference: &&Difference| difference.differing().any(|(_, change)| change.relative() >= part);
        self.slower.iter().filter(is_slower).count()
    }

    /// Says why nothing could be found.
    pub(crate) fn empty_reason(&self) -> Option<&'static str> {
        let is_different = [&self.slower, &self.faster, &self.more_errors, &self.fewer_errors];
        match () {
            () if self.unchanged > 0 || is_different.iter().any(|list| !list.is_empty()) => None,
            () if self.too_few > 0 => Some("everything in both runs has too few spans to tell"),
            () => Some("the runs have nothing in common that could be compared"),
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let totals = |name: &str, run: &RunTotals| {
            let [traces, spans] = [counted(run.traces, "trace"), counted(run.spans, "span")];
            format!("{name}  {traces}  {spans}  {}", counted(run.errors, "error"))
        };
        let mut lines = vec![totals("base", &self.base), totals("new ", &self.new)];
        for (heading, differences) in [
            ("slower", &self.slower),
            ("faster", &self.faster),
            ("more errors", &self.more_errors),
            ("fewer errors", &self.fewer_errors),
        ] {
            let is_of_errors = heading.ends_with("errors");
            list(&mut lines, heading, differences, |difference| difference.lines(is_of_errors));
        }
        for (heading, operations) in [("only in base", &self.only_in_base), ("only in new", &self.only_in_new)] {
            list(&mut lines, heading, operations, |operation| vec![format!("  {}", name(operation))]);
        }
        lines.push(String::new());
        lines.push(format!("{} without a difference, {} with too few spans to tell", self.unchanged, self.too_few));
        lines.iter().map(|line| clean(line)).collect()
    }
}

/// Adds a heading and the lines of the first items, unless there are none.
fn list<T>(lines: &mut Vec<String>, heading: &str, items: &[T], of: impl Fn(&T) -> Vec<String>) {
    if items.is_empty() {
        return;
    }
    lines.extend([String::new(), heading.to_owned()]);
    lines.extend(items.iter().take(MAX_LISTED).flat_map(of));
    if items.len() > MAX_LISTED {
        lines.push(format!("  and {} more", items.len() - MAX_LISTED));
    }
}

impl RunTotals {
    fn of(profile: &Profile) -> Self {
        Self { traces: profile.traces, spans: profile.spans, errors: profile.errors }
    }
}

impl Difference {
    fn new(operation: &Operation, base: &Subject, new: &Subject, z: f64, least: f64) -> Self {
        let side = |subject: &Subject| Side { durations: subject.durations.statistics(), errors: subject.errors };
        let percentile = |percent| Change::of_percentile(&base.durations, &new.durations, percent, z);
        let share = |subject: &Subject| (subject.errors, subject.durations.count());
        let mut difference = Self {
            operation: operation.clone(),
            base: side(base),
            new: side(new),
            p50: percentile(50.0),
            p95: percentile(95.0),
            errors: Change::of_share(share(base), share(new), z),
            least,
            reasons: Vec::new(),
        };
        let direction = difference.direction();
        if direction != Ordering::Equal {
            difference.reasons = reasons(base, new, direction);
        }
        difference
    }

    /// Returns the percentiles that differ for sure and by enough.
    fn differing(&self) -> impl Iterator<Item = (&'static str, Change)> {
        let both = [("p50", self.p50), ("p95", self.p95)].into_iter();
        let (known, least) = (both.filter_map(|(name, change)| Some((name, change?))), self.least);
        known.filter(move |(_, change)| change.is_sure() && change.relative().abs() >= least)
    }

    /// Returns whether the operation is slower (greater) or faster. One slower percentile is enough, since the other one must not hide it.
    fn direction(&self) -> Ordering {
        self.differing().map(|(_, change)| change.direction()).max().unwrap_or(Ordering::Equal)
    }

    /// Returns how much time the difference makes in all calls of the new run.
    fn weight(&self) -> f64 {
        let direction = self.direction();
        let first = self.differing().find(|(_, change)| change.direction() == direction);
        first.map_or(0.0, |(_, change)| change.difference().abs() * self.new.durations.count as f64)
    }

    fn lines(&self, is_of_errors: bool) -> Vec<String> {
        let counts = format!("{} -> {}", self.base.durations.count, counted(self.new.durations.count, "span"));
        let mut lines = vec![format!("  {}  ({counts})", name(&self.operation))];
        if is_of_errors {
            let percent = |share: f64| format!("{:.1} %", share * 100.0);
            let [low, high] = self.errors.distances();
            let [base, new, low, high] = [self.errors.base, self.errors.new, low, high].map(percent);
            lines.push(format!("    errors {base} -> {new}, by {low} to {high}"));
            return lines;
        }
        lines.extend(self.differing().map(|(percentile, change)| {
            let [low, high] = change.distances();
            let [base, new, low, high] = [change.base, change.new, low, high].map(duration);
            // Nothing is so many percent of 0.
            let percent =
                if change.base > 0.0 { format!(" ({:+.0} %)", change.relative() * 100.0) } else { String::new() };
            format!("    {percentile} {base} -> {new}{percent}, by {low} to {high}")
        }));
        for reason in &self.reasons {
            let difference = reason.difference();
            let calls = if (reason.base_calls - reason.new_calls).abs() < 0.05 {
                format!("{:.1} calls", reason.new_calls)
            } else {
                format!("{:.1} -> {:.1} calls", reason.base_calls, reason.new_calls)
            };
            lines.push(format!(
                "      {}{} by {}: own time {} -> {}, {calls}",
                if difference < 0.0 { "-" } else { "+" },
                duration(difference.abs()),
                name(&reason.operation),
                duration(reason.base_self_ms),
                duration(reason.new_self_ms),
            ));
        }
        lines
    }
}

impl Reason {
    fn difference(&self) -> f64 {
        self.new_self_ms - self.base_self_ms
    }
}

/// Returns the operations below a subject that have changed in the same direction as it, per call.
fn reasons(base: &Subject, new: &Subject, direction: Ordering) -> Vec<Reason> {
    let per_call = |subject: &Subject, operation: &Operation| {
        let Part { self_nanos, calls } = subject.parts.get(operation).copied().unwrap_or_default();
        let count = subject.durations.count().max(1) as f64;
        (self_nanos as f64 / 1e6 / count, calls as f64 / count)
    };
    let operations = new.parts.keys().chain(base.parts.keys().filter(|operation| !new.parts.contains_key(operation)));
    let reason = |operation: &Operation| {
        let ((base_self_ms, base_calls), (new_self_ms, new_calls)) =
            (per_call(base, operation), per_call(new, operation));
        Reason { operation: operation.clone(), base_self_ms, new_self_ms, base_calls, new_calls }
    };
    let mut reasons: Vec<Reason> =
        operations.map(reason).filter(|reason| reason.difference().total_cmp(&0.0) == direction).collect();
    let whole: f64 = reasons.iter().map(Reason::difference).sum();
    reasons.retain(|reason| reason.difference() / whole >= MIN_REASON);
    reasons.sort_by(|a, b| {
        let larger = b.difference().abs().total_cmp(&a.difference().abs());
        larger.then_with(|| a.operation.cmp(&b.operation))
    });
    reasons.truncate(MAX_REASONS);
    reasons
}

fn only_in(one: &Profile, other: &Profile) -> Vec<Operation> {
    let mut only: Vec<Operation> =
        one.subjects.keys().filter(|operation| !other.subjects.contains_key(*operation)).cloned().collect();
    only.sort();
    only
}

fn name(Operation { kind, service, name }: &Operation) -> String {
    let kind = match kind {
        OperationKind::Test => "test",
        OperationKind::Internal => "internal",
        OperationKind::Page => "page",
        OperationKind::Request => "request",
        OperationKind::Server => "server",
        OperationKind::Client => "client",
        OperationKind::Consumer => "consumer",
        OperationKind::Producer => "producer",
    };
    let parts = [kind, service.as_str(), name.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}
