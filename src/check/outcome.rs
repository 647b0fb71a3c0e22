//! What became of conditions. Pure.

use crate::check::condition::{Aggregate, Comparison, Condition};

/// Whether a condition holds, and why not.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) condition: Condition,
    pub(crate) status: Status,
    /// What was compared: nanoseconds, a number, or a share from 0 to 1.
    pub(crate) value: Option<f64>,
    /// The number of selected spans.
    pub(crate) spans: usize,
    /// Spans or traces for which the condition fails, the worst first.
    pub(crate) worst: Vec<WorstSpan>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Passed,
    Failed,
    /// There is nothing to compare, because no span is selected.
    NoSpan,
}

/// A span for which a condition fails, or a trace and its first such span.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorstSpan {
    pub(crate) trace: u128,
    /// Nanoseconds, or a number of spans.
    pub(crate) value: u64,
    /// Empty if a trace has no such span.
    pub(crate) span_id: String,
    pub(crate) service: String,
    pub(crate) label: String,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Nanoseconds since the epoch.
    pub(crate) end: u64,
}

impl WorstSpan {
    pub(super) fn of_trace(trace: u128, spans: usize) -> Self {
        Self { trace, value: spans as u64, ..Self::default() }
    }

    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl Outcome {
    /// Returns the outcome as long as nothing was compared.
    pub(super) fn of_no_span(condition: &Condition, spans: usize) -> Self {
        Self { condition: condition.clone(), status: Status::NoSpan, value: None, spans, worst: Vec::new() }
    }

    pub(super) fn compare_with(&mut self, value: f64, comparison: Comparison, limit: f64) {
        self.value = Some(value);
        self.status = if comparison.holds(value, limit) { Status::Passed } else { Status::Failed };
    }
}

/// Returns a number made of durations; `None` if there are none. A percentile is one of them: the first that is as long as, or longer than,
/// that part of them.
pub(crate) fn aggregate(kind: Aggregate, durations: &mut [u64]) -> Option<f64> {
    let value = match kind {
        Aggregate::Min => *durations.iter().min()? as f64,
        Aggregate::Max => *durations.iter().max()? as f64,
        Aggregate::Average => {
            let sum: u128 = durations.iter().map(|duration| u128::from(*duration)).sum();
            (!durations.is_empty()).then(|| sum as f64 / durations.len() as f64)?
        }
        Aggregate::Percentile(percent) => {
            let last = durations.len().checked_sub(1)?;
            // Without the small number 99.9 % of 1000 would be more than 999.
            let rank = (percent * durations.len() as f64 / 100.0 - 1e-9).ceil() as usize;
            *durations.select_nth_unstable(rank.saturating_sub(1).min(last)).1 as f64
        }
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_are_those_of_the_durations() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for (kind, durations, expected) in [
            (Aggregate::Percentile(50.0), hundred.as_slice(), Some(50.0)),
            (Aggregate::Percentile(95.0), &hundred, Some(95.0)),
            (Aggregate::Percentile(99.9), &hundred, Some(100.0)),
            (Aggregate::Percentile(0.1), &hundred, Some(1.0)),
            (Aggregate::Percentile(95.0), &[7], Some(7.0)),
            (Aggregate::Percentile(50.0), &[3, 1, 2, 4], Some(2.0)),
            (Aggregate::Average, &[1, 2, 6], Some(3.0)),
            (Aggregate::Min, &[5, 2, 6], Some(2.0)),
            (Aggregate::Max, &[5, 2, 6], Some(6.0)),
            (Aggregate::Max, &[u64::MAX, 2], Some(u64::MAX as f64)),
        ] {
            assert_eq!(aggregate(kind, &mut durations.to_vec()), expected, "{kind:?}");
        }
        for kind in [Aggregate::Percentile(50.0), Aggregate::Average, Aggregate::Min, Aggregate::Max] {
            assert_eq!(aggregate(kind, &mut []), None);
        }
    }
}
