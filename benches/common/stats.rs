//! Compares variants by values that were measured in the same rounds.
//!
//! A machine is faster or slower for minutes, which affects all values of a round. So values are compared within their round.

use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Number of samples of the bootstrap.
const RESAMPLES: usize = 4000;

/// Part of the bootstrap distribution that an interval has.
const PART: f64 = 0.9;

/// A figure with its 90 % bootstrap interval over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Estimate {
    /// Returns the estimate in another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, low, high } = self;
        let digits = f.precision().unwrap_or(2);
        let text = if [value, low, high].into_iter().any(|figure| figure.is_nan()) {
            // A share of nothing.
            "-".to_owned()
        } else {
            format!("{value:+.digits$} [{low:+.digits$}, {high:+.digits$}]")
        };
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let count = values.len() as f64;
    values.iter().sum::<f64>() / count
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// Returns the median of the differences to `base`.
pub(crate) fn difference(of: &[f64], base: &[f64]) -> Estimate {
    estimate(of.len(), |rounds| median_difference(of, base, rounds))
}

/// Returns the median of the relative changes compared with `base`: 0.1 is a tenth more.
pub(crate) fn change(of: &[f64], base: &[f64]) -> Estimate {
    estimate(of.len(), |rounds| median(&pairs(of, base, rounds, |of, base| of / base - 1.0)))
}

/// Returns the relative change compared with `base` as the geometric mean over all rounds. It varies less than the median.
pub(crate) fn mean_change(of: &[f64], base: &[f64]) -> Estimate {
    estimate(of.len(), |rounds| mean(&pairs(of, base, rounds, |of, base| (of / base).ln())).exp() - 1.0)
}

/// Returns the difference to `base` as a share of the difference between `other` and `base`: NaN if that is not positive.
pub(crate) fn share(of: &[f64], base: &[f64], other: &[f64], other_base: &[f64]) -> Estimate {
    estimate(of.len(), |rounds| {
        let whole = median_difference(other, other_base, rounds);
        if whole > 0.0 { median_difference(of, base, rounds) / whole } else { f64::NAN }
    })
}

fn median_difference(of: &[f64], base: &[f64], rounds: &[usize]) -> f64 {
    median(&pairs(of, base, rounds, |of, base| of - base))
}

fn pairs(of: &[f64], base: &[f64], rounds: &[usize], figure: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    rounds.iter().map(|round| figure(of[*round], base[*round])).collect()
}

/// Returns a figure and its interval. `figure` gets the numbers of the rounds to use, of which some repeat. The same rounds give the same
/// interval.
fn estimate(rounds: usize, figure: impl Fn(&[usize]) -> f64) -> Estimate {
    let mut random = StdRng::seed_from_u64(1);
    let mut drawn = || -> Vec<usize> { (0..rounds).map(|_| random.random_range(..rounds)).collect() };
    let mut figures: Vec<f64> = (0..RESAMPLES).map(|_| figure(&drawn())).collect();
    figures.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "thousands"
    )]
    let cut = (RESAMPLES as f64 * (1.0 - PART) / 2.0) as usize;
    let all: Vec<usize> = (0..rounds).collect();
    Estimate { value: figure(&all), low: figures[cut], high: figures[RESAMPLES - 1 - cut] }
}
