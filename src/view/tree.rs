//! Arranges the spans of a trace as a tree, in the order of a waterfall, and finds its critical path. Pure.
//!
//! Times are cut to microseconds before they are compared, because Jaeger's format has no more: a trace looks the same from every format.
//! Nothing here is recursive, since a file may have chains of any length, and cycles.

use std::cmp::Reverse;

use crate::export::otlp::own;
use crate::view::clocks::{Clock, clocks};
use crate::view::link::{LinkTemplate, LinkedTrace};
use crate::view::parents::{Parent, children, parents, remove_repeats};
use crate::view::parsed::{ParsedEvent, ParsedSpan};
use crate::view::times::{Fault, Placed, place};
use crate::view::trace::{CorrectedTimes, Event, Place, Role, ShownSpan, Trace};

/// What to do about services whose clocks are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// Show times as they are.
    AsGiven,
    /// Show times as if the clocks were right.
    Corrected,
    /// Show times as they are, and leave the choice to the page.
    Both,
}

/// Builds a trace from its spans, given in any order.
pub(super) fn build_trace(
    id: &str,
    mut spans: Vec<ParsedSpan>,
    clocks_shown: Clocks,
    link: Option<&LinkTemplate>,
) -> Trace {
    remove_repeats(&mut spans);
    let key = |span: &ParsedSpan| (span.start / 1000, span.id.clone(), span.kind, span.service.clone());
    spans.sort_by_cached_key(key);
    let parents = parents(&spans);
    let clocks = clocks(&spans, &parents);
    let (given, corrected) = (|| Layout::new(&spans, &parents, &[]), || Layout::new(&spans, &parents, &clocks));
    let layout = if clocks_shown == Clocks::Corrected { corrected() } else { given() };
    let other = (clocks_shown == Clocks::Both && !clocks.is_empty()).then(corrected);

    let root_id = (0..spans.len()).find(|index| parents[*index] == Parent::None).map_or("", |index| &spans[index].id);
    let link = link.map(|link| {
        let (start, end) = (layout.start, layout.end);
        link.fill(&LinkedTrace { trace_id: id, span_id: root_id, start, end })
    });
    let mut positions = vec![0; spans.len()];
    for (position, row) in layout.rows.iter().enumerate() {
        positions[row.index] = position;
    }
    let corrected = other.map(|other| CorrectedTimes {
        start_ms: other.start_ms(),
        duration_us: other.duration_us(),
        spans: other.rows.into_iter().map(|row| (positions[row.index], row.place)).collect(),
    });
    let (start, start_ms, duration_us) = (layout.start, layout.start_ms(), layout.duration_us());
    let mut spans: Vec<Option<ParsedSpan>> = spans.into_iter().map(Some).collect();
    let shown = layout.rows.into_iter().filter_map(|row| Some(shown_span(spans[row.index].take()?, row, &parents)));
    Trace {
        id: id.to_owned(),
        start,
        start_ms,
        duration_us,
        link,
        spans: shown.collect(),
        clocks: clocks.iter().map(Clock::sentence).collect(),
        corrected,
    }
}

/// The rows of a waterfall and its time axis.
struct Layout {
    /// Nanoseconds since the epoch.
    start: u64,
    /// Nanoseconds since the epoch.
    end: u64,
    /// Each parent before its children; siblings by start.
    rows: Vec<Row>,
}

struct Row {
    index: usize,
    depth: usize,
    place: Place,
}

impl Layout {
    /// Lays spans out as if these clocks were right.
    fn new(spans: &[ParsedSpan], parents: &[Parent], clocks: &[Clock]) -> Self {
        let ahead = |span: &ParsedSpan| {
            clocks.iter().find(|clock| clock.service == span.service).map_or(0, |clock| clock.ahead)
        };
        let placed = place(spans, parents, ahead);
        let start = placed.iter().map(|at| at.start).min().unwrap_or(0);
        let end = placed.iter().map(|at| at.end).max().unwrap_or(0);
        let mut children = children(parents);
        let by_start = |indexes: &mut Vec<usize>| indexes.sort_by_key(|index| (placed[*index].start / 1000, *index));
        children.iter_mut().for_each(by_start);
        let mut tops: Vec<usize> = (0..spans.len()).filter(|index| parents[*index].index().is_none()).collect();
        by_start(&mut tops);
        let mut rows = Vec::with_capacity(spans.len());
        let mut pending: Vec<(usize, usize)> = tops.into_iter().rev().map(|top| (top, 0)).collect();
        while let Some((index, depth)) = pending.pop() {
            rows.push(Row { index, depth, place: shown_place(placed[index], start / 1000) });
            pending.extend(children[index].iter().rev().map(|child| (*child, depth + 1)));
        }
        let root = rows.iter().position(|row| parents[row.index] == Parent::None).unwrap_or(0);
        mark_critical_path(&mut rows, root);
        Self { start, end, rows }
    }

    #[allow(clippy::cast_precision_loss, reason = "microseconds since the epoch fit")]
    fn start_ms(&self) -> f64 {
        (self.start / 1000) as f64 / 1000.0
    }

    /// Returns the end as shown, from times that are already cut.
    fn duration_us(&self) -> u64 {
        self.rows.iter().map(Row::end_us).max().unwrap_or(0)
    }
}

impl Row {
    fn end_us(&self) -> u64 {
        self.place.start_us + self.place.duration_us
    }
}

fn shown_place(at: Placed, trace_start_us: u64) -> Place {
    Place {
        start_us: at.start / 1000 - trace_start_us,
        duration_us: (at.end - at.start) / 1000,
        moved_us: i64::try_from(at.moved / 1000).unwrap_or(i64::MAX),
        fault: at.fault.map(Fault::words),
        critical: false,
    }
}

fn shown_span(span: ParsedSpan, row: Row, parents: &[Parent]) -> ShownSpan {
    let (label, role) = (span.label(), span.role());
    let from_cache = span.attribute(own::FROM_CACHE).is_some_and(|value| value == true);
    let start_us = span.start / 1000;
    let shown_event = |event: ParsedEvent| Event {
        name: event.name,
        after_us: (event.time / 1000).cast_signed().saturating_sub_unsigned(start_us),
        attributes: event.attributes,
    };
    ShownSpan {
        remark: match parents[row.index] {
            Parent::Span(_) | Parent::None => None,
            Parent::Missing => Some("parent missing"),
            Parent::Cycle => Some("its own ancestor"),
        },
        id: span.id,
        parent: span.parent,
        depth: row.depth,
        service: span.service,
        name: span.name,
        label,
        role,
        kind: span.kind,
        place: row.place,
        error: span.error,
        message: span.message,
        cached: role == Role::Request && from_cache,
        attributes: span.attributes,
        resource: span.resource,
        events: span.events.into_iter().map(shown_event).collect(),
        links: span.links,
    }
}

/// Marks the spans without which the trace would have been shorter.
///
/// The path goes backwards from the end of the root, or of the first span if there is no root: to the child that ended last, then to the
/// child that ended last before that one started, and so on, and in the same way within each of those children.
fn mark_critical_path(rows: &mut [Row], root: usize) {
    let Some(row) = rows.get(root) else { return };
    let mut pending = vec![(root, row.place.start_us, row.end_us())];
    let next = ends_of_subtrees(rows);
    while let Some((index, from, until)) = pending.pop() {
        rows[index].place.critical = true;
        let mut children = Vec::new();
        let mut child = index + 1;
        while child < next[index] {
            let (start, end) = (rows[child].place.start_us, rows[child].end_us());
            // Only the part of a child within its parent's time counts.
            if start < until && end > from {
                children.push((end.min(until), start.max(from), child));
            }
            child = next[child];
        }
        children.sort_unstable_by_key(|(end, start, _)| Reverse((*end, *start)));
        let mut free_until = until;
        for (end, start, child) in children {
            if end <= free_until {
                pending.push((child, start, end));
                free_until = start;
            }
        }
    }
}

/// Returns for each row the index of the first row after it that is not its descendant.
fn ends_of_subtrees(rows: &[Row]) -> Vec<usize> {
    let mut ends = vec![rows.len(); rows.len()];
    let mut ancestors: Vec<usize> = Vec::new();
    for index in 0..rows.len() {
        while let Some(last) = ancestors.pop_if(|last| rows[*last].depth >= rows[index].depth) {
            ends[last] = index;
        }
        ancestors.push(index);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds spans given as id, parent, start and end in microseconds; `?` marks an orphan, `*` the critical path.
    fn built(spans: &[(&str, &str, u64, u64)]) -> Vec<String> {
        let raw = spans.iter().map(|(id, parent, start, end)| ParsedSpan {
            id: (*id).to_owned(),
            parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
            start: 1_000_000 + start * 1000,
            end: 1_000_000 + end * 1000,
            ..ParsedSpan::default()
        });
        let trace = build_trace("t", raw.collect(), Clocks::AsGiven, None);
        let line = |span: &ShownSpan| {
            let marks = [(span.remark.is_some(), "?"), (span.place.critical, "*")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{}{}{marks}", "-".repeat(span.depth), span.id)
        };
        trace.spans.iter().map(line).collect()
    }

    #[test]
    fn children_follow_their_parent_in_order_of_their_start() {
        let spans = [
            ("d", "b", 3, 4),
            ("c", "a", 5, 9),
            ("b", "a", 1, 4),
            ("a", "", 0, 10),
            ("f", "c", 6, 7),
            ("e", "c", 6, 8),
        ];
        assert_eq!(built(&spans), ["a*", "-b*", "--d*", "-c*", "--e*", "--f"]);
    }

    #[test]
    fn a_span_whose_parent_is_missing_is_at_the_top() {
        assert_eq!(built(&[("b", "x", 1, 2), ("c", "b", 1, 2), ("a", "", 0, 3)]), ["a*", "b?", "-c"]);
    }

    #[test]
    fn cycles_are_broken_and_chains_may_be_long() {
        assert_eq!(built(&[("a", "b", 0, 1), ("b", "a", 0, 1), ("c", "c", 2, 3)]), ["a?*", "-b*", "c?"]);
        let ids: Vec<String> = (0..100_000).map(|number| format!("{number:016x}")).collect();
        let parent = |number: usize| number.checked_sub(1).map_or("", |above| &ids[above]);
        let chain: Vec<_> = ids.iter().enumerate().map(|(number, id)| (id.as_str(), parent(number), 0, 1)).collect();
        let raw = chain.iter().map(|(id, parent, ..)| ParsedSpan {
            id: (*id).to_owned(),
            parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
            ..ParsedSpan::default()
        });
        let trace = build_trace("t", raw.collect(), Clocks::AsGiven, None);
        assert_eq!((trace.spans.len(), trace.spans[99_999].depth), (100_000, 99_999));
    }

    #[test]
    fn the_critical_path_goes_backwards_from_the_end_of_the_root() {
        for (spans, expected) in [
            // Spans that overlap the last one to end cost no time.
            (
                &[("a", "", 0, 10), ("b", "a", 1, 6), ("c", "a", 2, 4), ("d", "a", 6, 9), ("e", "a", 7, 8)][..],
                &["a*", "-b*", "-c", "-d*", "-e"][..],
            ),
            // A child that ends after its parent counts up to the parent's end only.
            (
                &[("a", "", 0, 10), ("b", "a", 2, 20), ("c", "b", 3, 8), ("d", "b", 12, 19)],
                &["a*", "-b*", "--c*", "--d"],
            ),
            // A child that ends before its parent starts does not count.
            (&[("a", "", 5, 10), ("b", "a", 1, 3), ("c", "a", 4, 7)], &["a*", "-b", "-c*"]),
            // An orphan that starts first is not the root.
            (&[("o", "x", 0, 2), ("p", "o", 0, 1), ("a", "", 1, 10), ("b", "a", 2, 9)], &["o?", "-p", "a*", "-b*"]),
        ] {
            assert_eq!(built(spans), expected);
        }
    }

    #[test]
    fn nanoseconds_do_not_change_the_tree() {
        let raw = |id: &str, parent: Option<&str>, start, end| ParsedSpan {
            id: id.to_owned(),
            parent: parent.map(ToOwned::to_owned),
            start,
            end,
            ..ParsedSpan::default()
        };
        let exact = [
            raw("a", None, 1_000_999, 1_009_000),
            // In nanoseconds b starts after c, in microseconds at the same time.
            raw("b", Some("a"), 1_002_900, 1_004_100),
            raw("c", Some("a"), 1_002_100, 1_005_000),
        ];
        // Jaeger has the start and the duration, both in microseconds.
        let cut = exact.iter().map(|span| ParsedSpan {
            start: span.start / 1000 * 1000,
            end: (span.start / 1000 + (span.end - span.start) / 1000) * 1000,
            ..span.clone()
        });
        let (cut, exact) = (
            build_trace("t", cut.collect(), Clocks::AsGiven, None),
            build_trace("t", exact.to_vec(), Clocks::AsGiven, None),
        );
        assert_eq!(cut.spans, exact.spans);
        assert_eq!((cut.duration_us, exact.duration_us), (8, 8));
        assert_eq!(exact.spans.iter().map(|span| &*span.id).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn the_last_copy_of_a_repeated_span_counts() {
        assert_eq!(built(&[("b", "a", 1, 2), ("a", "", 0, 3), ("b", "", 1, 2)]), ["a*", "b"]);
    }
}
