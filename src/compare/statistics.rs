//! Tells differences between two runs from noise. Pure.
//!
//! Order statistics give a percentile an interval whatever the distribution is. Two intervals together give one for the difference (MOVER: Zou and
//! Donner, 2008; for shares of errors it is Newcombe's, of Wilson's intervals).

use std::cmp::Ordering;

use serde::Serialize;

use crate::view::run::durations::Durations;

/// The part of comparisons of equal runs in which anything at all may be called a difference.
const FALSE_ALARMS: f64 = 0.05;

/// How a number has changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    pub(crate) base: f64,
    pub(crate) new: f64,
    /// The difference is at least this.
    pub(crate) low: f64,
    /// The difference is at most this.
    pub(crate) high: f64,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

impl Change {
    fn between(base: Estimate, new: Estimate) -> Self {
        let difference = new.value - base.value;
        Self {
            base: base.value,
            new: new.value,
            low: difference - (new.value - new.low).hypot(base.high - base.value),
            high: difference + (new.high - new.value).hypot(base.value - base.low),
        }
    }

    /// Returns the change of a percentile in milliseconds; `None` if there are too few values to tell.
    pub(crate) fn of_percentile(base: &Durations, new: &Durations, percent: f64, z: f64) -> Option<Self> {
        Some(Self::between(percentile(base, percent, z)?, percentile(new, percent, z)?))
    }

    /// Returns the change of a share: so many of so many.
    pub(crate) fn of_share(base: (usize, usize), new: (usize, usize), z: f64) -> Self {
        Self::between(share(base, z), share(new, z))
    }

    /// Returns whether the interval says that there is a difference.
    pub(crate) fn is_sure(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Returns the difference.
    pub(crate) fn difference(self) -> f64 {
        self.new - self.base
    }

    /// Returns how far apart the values are at least and at most.
    pub(crate) fn distances(self) -> [f64; 2] {
        let (low, high) = (self.low.abs(), self.high.abs());
        [low.min(high), low.max(high)]
    }

    /// Returns whether the new value is greater or less.
    pub(crate) fn direction(self) -> Ordering {
        self.difference().total_cmp(&0.0)
    }

    /// Returns the difference as a part of the base.
    pub(crate) fn relative(self) -> f64 {
        self.difference() / self.base.max(f64::MIN_POSITIVE)
    }
}

/// Returns a percentile and its interval: it is between two of the values, whose ranks are known by the binomial distribution.
fn percentile(durations: &Durations, percent: f64, z: f64) -> Option<Estimate> {
    let (count, part) = (durations.count() as f64, percent / 100.0);
    let margin = z * (count * part * (1.0 - part)).sqrt();
    let (first, last) = ((count * part - margin).floor(), (count * part + margin).ceil() + 1.0);
    let at_rank = |rank: f64| durations.percentile((rank - 0.5) / count * 100.0) as f64 / 1e3;
    (first >= 1.0 && last <= count).then(|| Estimate {
        value: durations.percentile(percent) as f64 / 1e3,
        low: at_rank(first),
        high: at_rank(last),
    })
}

/// Returns a share and Wilson's interval.
fn share((some, all): (usize, usize), z: f64) -> Estimate {
    let (all, value) = (all.max(1) as f64, some as f64 / all.max(1) as f64);
    let scale = 1.0 + z * z / all;
    let middle = (value + z * z / (2.0 * all)) / scale;
    let margin = z / scale * (value * (1.0 - value) / all + z * z / (4.0 * all * all)).sqrt();
    Estimate { value, low: (middle - margin).max(0.0), high: (middle + margin).min(1.0) }
}

/// Returns how many standard deviations an interval spans to each side, so that among so many comparisons of equal runs there is hardly a false one
/// (Bonferroni's correction; the quantile is that of Abramowitz and Stegun, 26.2.23).
pub(crate) fn deviations(comparisons: usize) -> f64 {
    let tail = FALSE_ALARMS / comparisons.max(1) as f64 / 2.0;
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 0.010_328_f64.mul_add(t, 0.802_853).mul_add(t, 2.515_517);
    let below = 0.001_308_f64.mul_add(t, 0.189_269).mul_add(t, 1.432_788).mul_add(t, 1.0);
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Durations {
        let mut durations = Durations::default();
        values.into_iter().for_each(|value| durations.add(value * 1000));
        durations
    }

    /// Returns numbers between 0 and 1 from a generator that always gives the same ones.
    fn random(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1_u64 << 24) as f64
        })
    }

    /// Returns durations as servers have them: most are short, some are long.
    fn skewed(seed: u64, count: usize, factor: f64) -> Durations {
        of(random(seed).take(count).map(|part| (-(1.0 - part).ln() * 40.0 * factor) as u64 + 5))
    }

    #[test]
    fn the_quantiles_are_those_of_the_normal_distribution() {
        for (comparisons, expected) in [(1, 1.960), (5, 2.576), (50, 3.291), (5000, 4.417)] {
            assert!((deviations(comparisons) - expected).abs() < 0.001, "{comparisons}: {}", deviations(comparisons));
        }
    }

    #[test]
    fn equal_runs_hardly_ever_differ() {
        for z in [deviations(1), deviations(100)] {
            let mut alarms = 0;
            for seed in 0..1000 {
                let (base, new) = (skewed(2 * seed + 1, 200, 1.0), skewed(2 * seed + 2, 200, 1.0));
                let changes = [50.0, 95.0].map(|percent| Change::of_percentile(&base, &new, percent, z));
                alarms += changes.into_iter().flatten().filter(|change| change.is_sure()).count();
            }
            // Of 2000, 5 % or 0.05 % are expected at most.
            assert!(alarms <= if z < 2.0 { 130 } else { 4 }, "{z}: {alarms}");
        }
    }

    #[test]
    fn differences_are_found_in_the_middle_and_in_the_tail() {
        let z = deviations(100);
        let base = skewed(1, 500, 1.0);
        let sure = |new: &Durations| {
            [50.0, 95.0].map(|percent| Change::of_percentile(&base, new, percent, z).is_some_and(Change::is_sure))
        };
        assert_eq!(sure(&skewed(2, 500, 1.5)), [true, true]);
        // One in ten is far longer.
        let tail = random(3).zip(random(4)).take(500);
        let tail = of(tail.map(|(a, b)| if b < 0.1 { 900 } else { (-(1.0 - a).ln() * 40.0) as u64 + 5 }));
        assert_eq!(sure(&tail), [false, true]);
    }

    #[test]
    fn few_values_tell_nothing() {
        let z = deviations(1);
        let (few, some) = (of([1, 2, 3, 4]), of(1..=20));
        assert_eq!(Change::of_percentile(&few, &some, 50.0, z), None);
        assert_eq!(Change::of_percentile(&some, &some, 95.0, z), None);
        let change = Change::of_percentile(&some, &of(101..=120), 50.0, z).unwrap();
        assert_eq!((change.base, change.new), (10.0, 110.0));
        assert!(change.low > 80.0 && change.high < 120.0 && change.is_sure(), "{change:?}");
    }

    #[test]
    fn shares_of_errors_have_intervals_too() {
        let z = deviations(1);
        assert!(Change::of_share((0, 100), (10, 100), z).is_sure());
        assert!(!Change::of_share((0, 100), (1, 100), z).is_sure());
        assert!(!Change::of_share((0, 2), (1, 2), z).is_sure());
        assert!(!Change::of_share((0, 0), (0, 0), z).is_sure());
        // Newcombe's own example: 56 of 70 and 48 of 80.
        let change = Change::of_share((48, 80), (56, 70), z);
        assert!((change.low - 0.0524).abs() < 0.0005 && (change.high - 0.3339).abs() < 0.0005, "{change:?}");
    }
}
