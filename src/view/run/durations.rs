//! Percentiles of durations in bounded memory. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// Most values that are kept as they are, with exact percentiles. More are counted in buckets.
const MAX_VALUES: usize = 1024;

/// The number of bits of a value that tell its bucket. A bucket is 1/128 as wide as its values, so that its middle is off by 0.4 % at most.
const BITS: u32 = 7;

/// Durations in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations {
    count: usize,
    max: u64,
    values: Vec<u64>,
    /// How many values are in each bucket; empty while all values are kept.
    buckets: BTreeMap<u16, usize>,
}

/// Number and percentiles of durations, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DurationStatistics {
    /// The number of durations. If it is 0, so are the others.
    pub count: usize,
    /// Half of them are at most as long.
    pub p50_ms: f64,
    /// 95 % of them are at most as long.
    pub p95_ms: f64,
    /// 99 % of them are at most as long.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Durations {
    /// Adds a duration in microseconds.
    pub(crate) fn add(&mut self, us: u64) {
        self.count += 1;
        self.max = self.max.max(us);
        if self.buckets.is_empty() && self.values.len() < MAX_VALUES {
            self.values.push(us);
            return;
        }
        for value in std::mem::take(&mut self.values).into_iter().chain([us]) {
            *self.buckets.entry(bucket(value)).or_insert(0) += 1;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the shortest duration that `percent` of all do not exceed, in microseconds; 0 of none. Of more than 1024 it is right to 0.4 %.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = ((percent / 100.0 * self.count as f64).ceil() as usize).clamp(1, self.count.max(1));
        if self.buckets.is_empty() {
            let mut values = self.values.clone();
            values.sort_unstable();
            return values.get(rank - 1).copied().unwrap_or(0);
        }
        if rank == self.count {
            return self.max;
        }
        let mut below = 0;
        let reached = self.buckets.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        reached.map_or(self.max, |(bucket, _)| middle(*bucket).min(self.max))
    }

    pub(crate) fn statistics(&self) -> DurationStatistics {
        DurationStatistics {
            count: self.count,
            p50_ms: milliseconds(self.percentile(50.0)),
            p95_ms: milliseconds(self.percentile(95.0)),
            p99_ms: milliseconds(self.percentile(99.0)),
            max_ms: milliseconds(self.max),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a time span, with all digits up to 285 years")]
pub(crate) fn milliseconds(us: u64) -> f64 {
    us as f64 / 1e3
}

/// Returns the bucket of a value: its first `BITS` bits after the leading one, and how many follow.
fn bucket(value: u64) -> u16 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    let bucket = (u64::from(shift) << BITS) + (value >> shift);
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// Returns the value in the middle of a bucket.
fn middle(bucket: u16) -> u64 {
    let shift = (u32::from(bucket) >> BITS).saturating_sub(1);
    let first = (u64::from(bucket) - (u64::from(shift) << BITS)) << shift;
    first + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Durations {
        let mut durations = Durations::default();
        values.into_iter().for_each(|value| durations.add(value));
        durations
    }

    #[test]
    fn few_values_have_exact_percentiles() {
        for (values, expected) in
            [(&[][..], [0, 0, 0, 0]), (&[7], [7, 7, 7, 7]), (&[3, 1, 2], [2, 3, 3, 3]), (&[4, 1, 2, 3], [2, 4, 4, 4])]
        {
            let durations = of(values.iter().copied());
            let found = [50.0, 95.0, 99.0].map(|percent| durations.percentile(percent));
            assert_eq!([found[0], found[1], found[2], durations.max], expected, "{values:?}");
        }
        let hundred = of((1..=100).rev());
        assert_eq!([0.0, 50.0, 95.0, 99.0, 100.0].map(|percent| hundred.percentile(percent)), [1, 50, 95, 99, 100]);
    }

    #[test]
    fn many_values_are_right_to_half_a_percent_in_little_memory() {
        let mut generator = 1_u64;
        let mut random = || {
            generator = generator.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (generator >> 33) % 10 * ((generator >> 40) % 3_000_000)
        };
        let mut values: Vec<u64> = (0..100_000).map(|_| random()).collect();
        let durations = of(values.iter().copied());
        values.sort_unstable();
        for (percent, rank) in [(1.0, 1_000), (50.0, 50_000), (95.0, 95_000), (99.0, 99_000), (99.9, 99_900)] {
            let (found, exact) = (durations.percentile(percent), values[rank - 1]);
            assert!(found.abs_diff(exact) * 200 <= exact, "{percent}: {found} is not {exact}");
        }
        assert_eq!((durations.max, durations.percentile(100.0)), (values[99_999], values[99_999]));
        assert!(durations.buckets.len() < 3_000 && durations.values.capacity() == 0, "{}", durations.buckets.len());
    }

    #[test]
    fn buckets_are_in_order_and_narrow() {
        for value in (0..64).flat_map(|bit| [0, 1, 3, 77].map(|more| (1_u64 << bit).saturating_add(more << (bit / 2))))
        {
            let found = middle(bucket(value));
            assert!(found.abs_diff(value) <= value / 250, "{value}: {found}");
            assert!(bucket(value) <= bucket(value.saturating_add(1)), "{value}");
        }
        assert_eq!([0, 1, 200, 255].map(|value| middle(bucket(value))), [0, 1, 200, 255]);
    }
}
