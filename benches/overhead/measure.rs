//! What is measured in each run, and how variants are compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::NAVIGATIONS;
use crate::variant::Variant;

/// Number of samples of the bootstrap.
const RESAMPLES: usize = 4000;

/// Durations that k6 measured in one iteration, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    iteration: f64,
    request_mean: f64,
    request_median: f64,
}

impl Measured {
    /// Reads the samples that k6 writes as lines of JSON.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let values = |metric: &str| -> Vec<f64> {
            let points = lines.iter().filter(|line| line["type"] == "Point" && line["metric"] == metric);
            points.map(|point| point["data"]["value"].as_f64().unwrap()).collect()
        };
        let [iteration] = values("iteration_duration")[..] else { panic!("k6 ran more or less than one iteration") };
        let requests = values("browser_http_req_duration");
        assert!(requests.len() >= NAVIGATIONS, "k6 measured {} requests", requests.len());
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let request_mean = requests.iter().sum::<f64>() / requests.len() as f64;
        Self { iteration, request_mean, request_median: median(requests) }
    }
}

/// One run of each variant.
pub(crate) type Round = BTreeMap<Variant, Measured>;

pub(crate) struct Measure {
    name: &'static str,
    of: fn(&Measured) -> f64,
    /// How much detailed mode may cost, as a share of what `page.route` costs.
    most: Option<f64>,
    /// How much the export may add to detailed mode, in percent.
    most_export: Option<f64>,
}

pub(crate) const MEASURES: [Measure; 3] = [
    Measure { name: "iteration_duration", of: |measured| measured.iteration, most: Some(0.08), most_export: None },
    Measure {
        name: "browser_http_req_duration, mean",
        of: |measured| measured.request_mean,
        most: Some(0.06),
        most_export: Some(3.0),
    },
    Measure {
        name: "browser_http_req_duration, median",
        of: |measured| measured.request_median,
        most: None,
        most_export: None,
    },
];

impl Measure {
    fn median(&self, variant: Variant, rounds: &[Round]) -> f64 {
        median(rounds.iter().map(|round| (self.of)(&round[&variant])).collect())
    }

    /// Returns the relative change compared with no tracing: 0.1 is a tenth more.
    fn change(&self, variant: Variant, rounds: &[Round]) -> f64 {
        self.median(variant, rounds) / self.median(Variant::Plain, rounds) - 1.0
    }

    /// Returns the relative change between two variants of the same round, as the geometric mean over all rounds. A machine is faster or slower
    /// for minutes, which affects both of a pair.
    fn paired_change(&self, variant: Variant, base: Variant, rounds: &[Round]) -> f64 {
        let ratios = rounds.iter().map(|round| (self.of)(&round[&variant]) / (self.of)(&round[&base]));
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let mean = ratios.map(f64::ln).sum::<f64>() / rounds.len() as f64;
        mean.exp() - 1.0
    }

    /// Returns the cost of a mode over `base` as a share of the cost of `page.route`, or NaN if that costs nothing.
    fn share(&self, mode: Variant, base: Variant, rounds: &[Round]) -> f64 {
        let of_route = self.median(Variant::Route, rounds) - self.median(Variant::Plain, rounds);
        let of_mode = self.median(mode, rounds) - self.median(base, rounds);
        if of_route > 0.0 { of_mode / of_route } else { f64::NAN }
    }

    /// Prints the cost of the modes compared with `page.route`. Returns whether it is within its limit.
    pub(crate) fn report_modes(&self, rounds: &[Round]) -> bool {
        println!("\n{}", self.name);
        for variant in rounds[0].keys().copied() {
            let milliseconds = self.median(variant, rounds);
            print!("  {:<12} {milliseconds:>9.3} ms", variant.name());
            if variant == Variant::Plain {
                println!();
            } else {
                let (low, high) = interval(rounds, 0.95, |rounds| self.change(variant, rounds));
                let change = 100.0 * self.change(variant, rounds);
                println!("  {change:>+7.1} %  [{:+.1}, {:+.1}]", 100.0 * low, 100.0 * high);
            }
        }
        for mode in [Variant::Lightweight, Variant::Detailed] {
            for base in [Variant::Plain, Variant::Control] {
                let share = self.share(mode, base, rounds);
                let (low, high) = interval(rounds, 0.95, |rounds| self.share(mode, base, rounds));
                let what = format!("{} over {}", mode.name(), base.name());
                println!("  {what:<25} {share:>+6.3} of page.route's overhead  [{low:+.3}, {high:+.3}]");
            }
        }
        let Some(most) = self.most else { return true };
        // NaN is not within any limit.
        let share = self.share(Variant::Detailed, Variant::Plain, rounds);
        let within = share <= most;
        println!("  detailed over plain may be {most} at most: {}", if within { "it is" } else { "IT IS NOT" });
        within
    }

    /// Prints the cost of the export. Returns whether the upper end of its interval is within its limit.
    pub(crate) fn report_export(&self, rounds: &[Round]) -> bool {
        let (off, on) = (self.median(Variant::Detailed, rounds), self.median(Variant::Exporting, rounds));
        let added = |rounds: &[Round]| 100.0 * self.paired_change(Variant::Exporting, Variant::Detailed, rounds);
        let (low, high) = interval(rounds, 0.9, added);
        println!("\n{}\n  detailed {off:.3} ms, exporting {on:.3} ms", self.name);
        println!("  in pairs {:+.1} %, 90 % interval [{low:+.1}, {high:+.1}]", added(rounds));
        let Some(most) = self.most_export else { return true };
        let within = high <= most;
        println!("  its upper end may be {most} at most: {}", if within { "it is" } else { "IT IS NOT" });
        within
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// Returns the central interval that has this part of a figure's bootstrap distribution over the rounds. The same rounds give the same
/// interval.
fn interval(rounds: &[Round], part: f64, figure: impl Fn(&[Round]) -> f64) -> (f64, f64) {
    let mut random = StdRng::seed_from_u64(1);
    let mut drawn =
        || -> Vec<Round> { rounds.iter().map(|_| rounds[random.random_range(..rounds.len())].clone()).collect() };
    let mut figures: Vec<f64> = (0..RESAMPLES).map(|_| figure(&drawn())).collect();
    figures.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "thousands"
    )]
    let cut = (RESAMPLES as f64 * (1.0 - part) / 2.0) as usize;
    (figures[cut], figures[RESAMPLES - 1 - cut])
}
