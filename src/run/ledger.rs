//! Keeps account of what was reported. Pure: connections are numbers and time is an argument.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::context::ids::{SpanId, TraceId};
use crate::context::mode::Mode;
use crate::export::journal::ExportCounts;
use crate::observe::counts::SessionCounts;
use crate::run::reports::Report;

/// Problems that are told; more are only counted.
pub(crate) const MOST_PROBLEMS: usize = 10;

/// One session's trace, as its hosts reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The trace id.
    pub id: TraceId,
    /// The session's own span, since several sessions may be part of one trace.
    pub session: SpanId,
    /// What it has so far.
    pub tally: SessionCounts,
    /// What became of its spans; none while no host has ended.
    pub exported: Option<ExportCounts>,
    /// When the first host took it up.
    pub started: Instant,
    /// When the last host ended; `None` while one is there.
    pub ended: Option<Instant>,
    /// How requests get their headers, once they do.
    pub mode: Option<Mode>,
    /// Whether the session is sampled.
    pub sampled: bool,
    /// Whether the extension may act in off-the-record contexts.
    pub off_the_record: bool,
}

/// Everything that was reported.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The traces in the order in which they began.
    pub traces: Vec<Trace>,
    /// The first problems, each with the number of times that it was reported.
    pub problems: BTreeMap<String, usize>,
    /// How many reports there were of problems beyond [`MOST_PROBLEMS`]. A disk that is full says so for every profile anew.
    pub further_problems: usize,
    /// Which trace each open connection reports on.
    open: BTreeMap<usize, Option<usize>>,
    ended: bool,
}

impl Ledger {
    pub(super) fn connected(&mut self, connection: usize) {
        self.open.insert(connection, None);
    }

    pub(super) fn disconnected(&mut self, connection: usize, now: Instant) {
        if let Some(Some(index)) = self.open.remove(&connection) {
            let still_open = self.open.values().any(|other| *other == Some(index));
            self.traces[index].ended = (!still_open).then_some(now);
        }
    }

    /// Takes a report and returns a problem that is new.
    pub(super) fn apply(&mut self, connection: usize, report: Report, now: Instant) -> Option<String> {
        match report {
            Report::Problem { message } => {
                if self.problems.len() >= MOST_PROBLEMS && !self.problems.contains_key(&message) {
                    self.further_problems += 1;
                    return None;
                }
                let count = self.problems.entry(message.clone()).or_default();
                *count += 1;
                return (*count == 1).then_some(message);
            }
            Report::Session { trace_id, span_id, sampled, off_the_record } => {
                self.forget_unused(connection, (trace_id, span_id));
                let before = self.open.get(&connection).copied().flatten();
                let index = self.trace_index((trace_id, span_id), now);
                // A new trace began in the same browser.
                if let Some(before) = before.filter(|before| *before != index && *before < self.traces.len()) {
                    self.traces[before].ended = Some(now);
                }
                self.traces[index].sampled = sampled;
                self.traces[index].off_the_record = off_the_record;
                self.traces[index].ended = None;
                self.open.insert(connection, Some(index));
            }
            Report::Armed { mode } => {
                if let Some(trace) = self.trace_of(connection) {
                    trace.mode = Some(mode);
                }
            }
            Report::Tally(tally) => {
                if let Some(trace) = self.trace_of(connection) {
                    trace.tally = tally;
                }
            }
            Report::Exported(exported) => {
                if let Some(trace) = self.trace_of(connection) {
                    trace.exported = Some(exported);
                }
            }
            Report::Past { trace_id, span_id, tally, exported } => {
                let is_it = |trace: &Trace| (trace.id, trace.session) == (trace_id, span_id);
                let exported = Some(exported);
                if let Some(trace) = self.traces.iter_mut().find(|trace| is_it(trace)) {
                    (trace.tally, trace.exported) = (tally, exported);
                } else if let Some(index) = self.open.get(&connection).copied().flatten() {
                    // It counted as unused when the one after it began: its tally had not been told yet.
                    let next = self.traces[index].clone();
                    let past = Trace { id: trace_id, session: span_id, tally, exported, ended: Some(now), ..next };
                    self.traces.insert(index, past);
                    self.open.values_mut().flatten().filter(|traced| **traced >= index).for_each(|traced| *traced += 1);
                }
            }
            Report::End => self.ended = true,
        }
        None
    }

    /// Forgets the trace of a connection that turns out to belong to another one: a host that answered late begins a trace and then learns
    /// of the one that requests carry.
    fn forget_unused(&mut self, connection: usize, session: (TraceId, SpanId)) {
        let Some(Some(index)) = self.open.get(&connection).copied() else { return };
        let trace = &self.traces[index];
        let shared = self.open.iter().any(|(other, traced)| *other != connection && *traced == Some(index));
        if (trace.id, trace.session) == session || trace.tally != SessionCounts::default() || shared {
            return;
        }
        self.traces.remove(index);
        self.open.remove(&connection);
        for traced in self.open.values_mut().flatten().filter(|traced| **traced > index) {
            *traced -= 1;
        }
    }

    /// Finds a trace, or begins it: a host that was started anew continues the trace of the one before it.
    fn trace_index(&mut self, (id, session): (TraceId, SpanId), now: Instant) -> usize {
        if let Some(index) = self.traces.iter().rposition(|trace| (trace.id, trace.session) == (id, session)) {
            return index;
        }
        self.traces.push(Trace {
            id,
            session,
            tally: SessionCounts::default(),
            exported: None,
            started: now,
            ended: None,
            mode: None,
            sampled: true,
            off_the_record: false,
        });
        self.traces.len() - 1
    }

    fn trace_of(&mut self, connection: usize) -> Option<&mut Trace> {
        let index = (*self.open.get(&connection)?)?;
        self.traces.get_mut(index)
    }

    /// Everything that was connected when the end was asked for has been read to its own end.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn session(id: &str) -> Report {
        by_span(id, "00f067aa0ba902b7")
    }

    fn by_span(id: &str, span_id: &str) -> Report {
        Report::Session {
            trace_id: id.parse().unwrap(),
            span_id: span_id.parse().unwrap(),
            sampled: true,
            off_the_record: true,
        }
    }

    const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TWO: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_host_that_was_started_anew_continues_its_trace() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let tally = |navigations| Report::Tally(SessionCounts { navigations, ..SessionCounts::default() });
        let mut ledger = Ledger::default();
        ledger.connected(0);
        ledger.apply(0, session(ONE), at(0));
        ledger.apply(0, tally(1), at(1));
        ledger.disconnected(0, at(2));
        assert_eq!(ledger.traces[0].ended, Some(at(2)));
        ledger.connected(1);
        ledger.connected(2);
        ledger.apply(1, session(TWO), at(3));
        ledger.apply(2, session(ONE), at(4));
        assert_eq!(ledger.traces[0].ended, None);
        ledger.apply(2, tally(2), at(5));
        ledger.disconnected(2, at(6));
        ledger.disconnected(1, at(7));
        let summary: Vec<_> = ledger
            .traces
            .iter()
            .map(|trace| (trace.id.to_string(), trace.tally.navigations, trace.started, trace.ended))
            .collect();
        assert_eq!(summary, [(ONE.to_owned(), 2, at(0), Some(at(6))), (TWO.to_owned(), 0, at(3), Some(at(7)))]);
    }

    #[test]
    fn a_trace_whose_tally_came_too_late_is_told_of_all_the_same() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        ledger.connected(0);
        ledger.connected(1);
        ledger.apply(0, session(ONE), now);
        ledger.apply(1, by_span(ONE, "b7ad6b7169203331"), now);
        ledger.apply(0, session(TWO), now);
        let tally = |requests| SessionCounts { requests, ..SessionCounts::default() };
        let (trace_id, span_id) = (ONE.parse().unwrap(), "00f067aa0ba902b7".parse().unwrap());
        let past = Report::Past { trace_id, span_id, tally: tally(3), exported: ExportCounts::default() };
        ledger.apply(0, past, now);
        ledger.apply(0, Report::Tally(tally(2)), now);
        ledger.apply(1, Report::Tally(tally(1)), now);
        let told: Vec<_> = ledger.traces.iter().map(|trace| (trace.id.to_string(), trace.tally.requests)).collect();
        assert_eq!(told, [(ONE.to_owned(), 1), (ONE.to_owned(), 3), (TWO.to_owned(), 2)]);
        assert_eq!(ledger.traces[1].ended, Some(now));
    }

    #[test]
    fn sessions_that_are_part_of_one_trace_are_apart() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for (connection, span_id) in ["00f067aa0ba902b7", "b7ad6b7169203331"].into_iter().enumerate() {
            ledger.connected(connection);
            ledger.apply(connection, by_span(ONE, span_id), now);
            ledger.apply(
                connection,
                Report::Tally(SessionCounts { requests: connection + 1, ..SessionCounts::default() }),
                now,
            );
        }
        assert_eq!(ledger.traces.iter().map(|trace| trace.tally.requests).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_trace_that_a_late_host_began_in_vain_is_forgotten() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for connection in 0..2 {
            ledger.connected(connection);
        }
        ledger.apply(0, session(ONE), now);
        ledger.apply(1, session(TWO), now);
        ledger.apply(0, session("00000000000000000000000000000abc"), now);
        ledger.apply(1, Report::Tally(SessionCounts { navigations: 1, ..SessionCounts::default() }), now);
        let ids: Vec<_> = ledger.traces.iter().map(|trace| (trace.id.to_string(), trace.tally.navigations)).collect();
        assert_eq!(ids, [(TWO.to_owned(), 1), ("00000000000000000000000000000abc".to_owned(), 0)]);
    }

    #[test]
    fn a_problem_is_told_once_and_counted() {
        let mut ledger = Ledger::default();
        let problem = Report::Problem { message: "no".into() };
        ledger.connected(0);
        assert_eq!(ledger.apply(0, problem.clone(), Instant::now()), Some("no".into()));
        assert_eq!(ledger.apply(0, problem, Instant::now()), None);
        assert_eq!(ledger.problems["no"], 2);
        for number in 0..100 {
            ledger.apply(0, Report::Problem { message: number.to_string() }, Instant::now());
        }
        assert_eq!((ledger.problems.len(), ledger.further_problems), (MOST_PROBLEMS, 91));
    }
}
