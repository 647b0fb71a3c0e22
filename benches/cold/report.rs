//! Tables of the measures and the goals.

use crate::common::goals::Goal;
use crate::common::rounds::Series;
use crate::common::stats::{difference, median, share};

/// A measure of one run.
pub(crate) struct Measure {
    name: &'static str,
    unit: &'static str,
    digits: usize,
}

const REQUEST: usize = 0;
const CPU: usize = 3;

pub(crate) const MEASURES: [Measure; 4] = [
    Measure { name: "browser_http_req_duration, mean", unit: "ms", digits: 2 },
    Measure { name: "browser_web_vital_fcp, mean", unit: "ms", digits: 1 },
    Measure { name: "iteration_duration", unit: "ms", digits: 0 },
    Measure { name: "CPU time of all processes, with k6's and the browser's start and end", unit: "s", digits: 3 },
];

type All = [Series<{ MEASURES.len() }>];

/// Prints each measure of all variants, compared with the first one.
pub(crate) fn print(all: &All) {
    let base = &all[0];
    for (index, Measure { name, unit, digits }) in MEASURES.iter().enumerate() {
        let title = format!("over {}, {unit}", base.name);
        println!("\n{name}\n  {:<14} {:>9}  {title:>26}  {:>24}", "", unit, "share of page.route's");
        for series in all {
            let (values, base) = (&series.values[index], &base.values[index]);
            print!("  {:<14} {:>9.digits$}", series.name, median(values));
            if series.name != all[0].name {
                let digits = *digits;
                print!("  {:>26.digits$}", difference(values, base));
                if let Some(route) = find(all, "route").filter(|route| route.name != series.name) {
                    print!("  {:>24.2}", share(values, base, &route.values[index], base));
                }
            }
            println!();
        }
    }
}

/// Returns the goals. Those that these variants don't tell have no figure.
pub(crate) fn goals(all: &All) -> Vec<Goal> {
    let plain = find(all, "plain");
    let share_of = |name| {
        let values = |name| Some(&find(all, name)?.values[REQUEST]);
        let plain = values("plain")?;
        Some(share(values(name)?, plain, values("route")?, plain).value)
    };
    let cpu = |name| Some(difference(&find(all, name)?.values[CPU], &plain?.values[CPU]).value);
    vec![
        Goal::new("request mean, detailed with export: share of page.route's", share_of("detailed"), 0.9, 2),
        Goal::new("request mean, calls: share of page.route's", share_of("calls"), 0.5, 2),
        Goal::new("request mean, static: share of page.route's", share_of("static"), 0.45, 2),
        Goal::new("CPU over no tracing, detailed with export, s", cpu("detailed"), 0.25, 2),
        Goal::new("CPU over no tracing, static, s", cpu("static"), 0.1, 2),
    ]
}

fn find<'a>(all: &'a All, name: &str) -> Option<&'a Series<{ MEASURES.len() }>> {
    all.iter().find(|series| series.name == name)
}
