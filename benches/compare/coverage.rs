//! What a way covers and what it breaks.

use std::collections::{BTreeMap, BTreeSet};

use crate::browser_test::logged;
use crate::support::site::{PageResults, Recorded, TraceParent, coverage_kinds};
use crate::way::{Client, Runner, Task, Way, of_page};

/// One load of the page with every kind of request.
pub(crate) struct Coverage {
    pub(crate) way: Way,
    /// Kinds of which each request had exactly one valid header.
    pub(crate) covered: usize,
    /// Kinds of which some request had no valid header or more than one, with the number of those requests.
    pub(crate) missed: BTreeMap<String, usize>,
    /// Requests with a valid header, and their span ids.
    pub(crate) valid: usize,
    pub(crate) span_ids: usize,
    pub(crate) preflights: usize,
    /// Kinds that failed in the page.
    pub(crate) broken: Vec<String>,
    /// What arrived of a context that the page set itself.
    pub(crate) own: Own,
}

/// What arrived of a context that a page set itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Kept,
    Replaced,
    /// Two headers, which a backend may not read.
    Doubled,
    /// The page was not there to send it.
    Unsent,
}

/// The context that the page sets, in `flows.js`.
const OWN: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01";

impl Coverage {
    pub(crate) fn of(client: Client, way: Way, runner: &Runner) -> Self {
        let run = runner.run(client, way, Task { flow: "coverage", users: 1, iterations: 1 });
        runner.test.assert_nothing_left();
        let mut by_kind: BTreeMap<&str, Vec<&Recorded>> = BTreeMap::new();
        for request in of_page(&run.requests) {
            by_kind.entry(request.label()).or_default().push(request);
        }
        let is_bare = |request: &&&Recorded| context(request).is_none();
        let known = coverage_kinds().iter().filter(|kind| by_kind.contains_key(kind.name));
        let missed: BTreeMap<String, usize> = known
            .clone()
            .map(|kind| (kind.name.to_owned(), by_kind[kind.name].iter().filter(is_bare).count()))
            .filter(|(_, bare)| *bare > 0)
            .collect();
        let covered = known.count() - missed.len();
        let contexts: Vec<TraceParent> = by_kind.values().flatten().filter_map(|request| context(request)).collect();
        let span_ids: BTreeSet<&String> = contexts.iter().map(|context| &context.span_id).collect();
        let pages: Vec<PageResults> = logged(&run.log, "COVERAGE ");
        let own = run.requests.iter().find(|request| request.label() == "own-context");
        Self {
            way,
            covered,
            missed,
            valid: contexts.len(),
            span_ids: span_ids.len(),
            preflights: run.preflights(),
            broken: pages.iter().flat_map(PageResults::failures).map(|(kind, _)| kind.to_owned()).collect(),
            own: match own.map(|request| request.traceparent.as_slice()) {
                None => Own::Unsent,
                Some([header]) if header == OWN => Own::Kept,
                Some([_]) => Own::Replaced,
                Some(_) => Own::Doubled,
            },
        }
    }
}

/// Returns the context of a request that has exactly one valid header.
fn context(request: &Recorded) -> Option<TraceParent> {
    let [header] = request.traceparent.as_slice() else { return None };
    TraceParent::parse(header).ok()
}
