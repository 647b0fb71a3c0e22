//! What a way costs.

use serde::Deserialize;

use crate::browser_test::logged;
use crate::common::machine::Meter;
use crate::common::rounds::Series;
use crate::way::{Client, Runner, Task, Way};

/// Pages that are loaded to measure the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Three pages of a single-page application, of which nothing can be cached.
    Cold,
    /// Ten navigations over a page with 32 cacheable resources.
    Revisit,
    /// The cold pages by three users at once, each with a browser per iteration.
    Saturated,
}

impl Flow {
    pub(crate) const ALL: [Self; 3] = [Self::Cold, Self::Revisit, Self::Saturated];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Revisit => "revisit",
            Self::Saturated => "saturated",
        }
    }

    /// Returns the number of rounds if most flows have this many.
    pub(crate) fn rounds(self, rounds: usize) -> usize {
        if self == Self::Saturated { rounds.div_ceil(2) } else { rounds }
    }

    fn task(self) -> Task {
        let (users, iterations) = if self == Self::Saturated { (3, 9) } else { (1, 1) };
        Task { flow: self.name(), users, iterations }
    }
}

/// A measure of one run.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) digits: usize,
    /// Whether the figure says something about a flow.
    pub(crate) tells: fn(Flow) -> bool,
}

pub(crate) const MEASURES: [Measure; 6] = [
    Measure { name: "request, mean, ms", digits: 2, tells: |flow| flow != Flow::Saturated },
    Measure { name: "first contentful paint, mean, ms", digits: 1, tells: |flow| flow != Flow::Saturated },
    Measure { name: "all pages, ms", digits: 0, tells: |flow| flow != Flow::Saturated },
    Measure { name: "CPU per browser, s", digits: 2, tells: |_| true },
    Measure { name: "whole run, s", digits: 1, tells: |flow| flow == Flow::Saturated },
    Measure { name: "from the cache, %", digits: 0, tells: |flow| flow == Flow::Revisit },
];

/// The figures of all ways in one flow, in the order of [`MEASURES`].
pub(crate) struct Costs {
    pub(crate) flow: Flow,
    pub(crate) series: Vec<Series<{ MEASURES.len() }>>,
}

/// What a browser measured, summed over its pages.
#[derive(Debug, Deserialize)]
struct Visit {
    pages: f64,
    entries: f64,
    hits: f64,
    /// Milliseconds of all requests.
    took: f64,
    paint: f64,
    iteration: f64,
}

pub(crate) fn measure(flow: Flow, client: Client, way: Way, runner: &Runner) -> [f64; MEASURES.len()] {
    let task = flow.task();
    let meter = Meter::start();
    let run = runner.run(client, way, task);
    let wall = meter.wall();
    // The next run must not share the machine with a browser that is still exiting, and this one pays for its exit.
    runner.test.assert_nothing_left();
    let cpu = meter.cpu();
    let visits: Vec<Visit> = logged(&run.log, "COST ");
    assert_eq!(visits.len(), task.iterations, "{}", run.log);
    let sum = |figure: fn(&Visit) -> f64| visits.iter().map(figure).sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "some tens")]
    let browsers = task.iterations as f64;
    let entries = sum(|visit| visit.entries);
    [
        sum(|visit| visit.took) / entries,
        sum(|visit| visit.paint) / sum(|visit| visit.pages),
        sum(|visit| visit.iteration) / browsers,
        cpu / browsers,
        wall,
        100.0 * sum(|visit| visit.hits) / entries,
    ]
}
