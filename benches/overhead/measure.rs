//! What is measured in each run, and how variants are compared.

use crate::NAVIGATIONS;
use crate::common::goals::Goal;
use crate::common::rounds::Series;
use crate::common::samples::Samples;
use crate::common::stats::{Estimate, change, mean, mean_change, median, share};
use crate::variant::Variant;

pub(crate) struct Measure {
    name: &'static str,
    /// How much detailed mode may cost, as a share of what `page.route` costs.
    most: Option<f64>,
    /// How much the export may add to detailed mode, in percent.
    most_export: Option<f64>,
}

pub(crate) const MEASURES: [Measure; 3] = [
    Measure { name: "iteration_duration", most: Some(0.08), most_export: None },
    Measure { name: "browser_http_req_duration, mean", most: Some(0.04), most_export: Some(3.0) },
    Measure { name: "browser_http_req_duration, median", most: None, most_export: None },
];

/// The variants, each with its values of all measures.
pub(crate) type All = [Series<{ MEASURES.len() }>];

/// Returns a value for each of [`MEASURES`], in milliseconds.
pub(crate) fn measured(samples: &Samples) -> [f64; MEASURES.len()] {
    let requests = samples.of("browser_http_req_duration");
    assert!(requests.len() >= NAVIGATIONS, "k6 measured {} requests", requests.len());
    [samples.iteration(), mean(&requests), median(&requests)]
}

/// Returns the values of a measure. Every comparison has its variants in all rounds.
fn values(all: &All, variant: Variant, measure: usize) -> &[f64] {
    let found = all.iter().find(|series| series.name == variant.name());
    &found.expect("the variant is part of this comparison").values[measure]
}

/// Prints the cost of the modes compared with `page.route`. Returns its goals.
pub(crate) fn report_modes(all: &All) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (index, measure) in MEASURES.iter().enumerate() {
        let of = |variant| values(all, variant, index);
        let plain = of(Variant::Plain);
        println!("\n{}", measure.name);
        for series in all {
            print!("  {:<12} {:>9.3} ms", series.name, median(&series.values[index]));
            if series.name == Variant::Plain.name() {
                println!();
            } else {
                println!("  {:>24.1} %", change(&series.values[index], plain).times(100.0));
            }
        }
        let share = |mode, base| share(of(mode), of(base), of(Variant::Route), plain);
        for mode in [Variant::Lightweight, Variant::Detailed] {
            for base in [Variant::Plain, Variant::Control] {
                let what = format!("{} over {}", mode.name(), base.name());
                println!("  {what:<25} {:>24.3} of page.route's overhead", share(mode, base));
            }
        }
        if let Some(most) = measure.most {
            let what = format!("{}, detailed: share of page.route's", measure.name);
            goals.push(Goal::new(&what, Some(share(Variant::Detailed, Variant::Plain).value), most, 3));
        }
    }
    goals
}

/// Prints the cost of the export. Returns its goals, for the upper ends of the intervals.
pub(crate) fn report_export(all: &All) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (index, measure) in MEASURES.iter().enumerate() {
        let (off, on) = (values(all, Variant::Detailed, index), values(all, Variant::Exporting, index));
        let added: Estimate = mean_change(on, off).times(100.0);
        println!("\n{}", measure.name);
        println!("  detailed {:.3} ms, exporting {:.3} ms: {added:.1} %", median(off), median(on));
        if let Some(most) = measure.most_export {
            goals.push(Goal::new(
                &format!("{}: upper end of the export's, %", measure.name),
                Some(added.high),
                most,
                1,
            ));
        }
    }
    goals
}
