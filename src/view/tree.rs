//! Arranges the spans of a trace as a tree, in the order of a waterfall, and finds its critical path. Pure.
//!
//! Times are cut to microseconds before they are compared, because Jaeger's format has no more: a trace looks the same from every format.
//! Nothing here is recursive, since a file may have chains of any length, and cycles.

use std::cmp::Reverse;

use crate::export::otlp::own;
use crate::view::link::{LinkTemplate, LinkedTrace};
use crate::view::parents::{Parent, parents, remove_repeats};
use crate::view::parsed::{ParsedEvent, ParsedSpan};
use crate::view::trace::{Event, Role, ShownSpan, Trace};

/// Builds a trace from its spans, given in any order.
pub(super) fn build_trace(id: &str, mut spans: Vec<ParsedSpan>, link: Option<&LinkTemplate>) -> Trace {
    remove_repeats(&mut spans);
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.end).max().unwrap_or(0).max(start);
    let first_us = start / 1000;
    let mut spans = in_tree_order(spans, first_us);
    mark_critical_path(&mut spans);
    let root_id = spans.iter().find(|span| span.parent.is_none()).map_or("", |span| &span.id);
    #[allow(clippy::cast_precision_loss, reason = "microseconds since the epoch fit")]
    let start_ms = first_us as f64 / 1000.0;
    Trace {
        id: id.to_owned(),
        start,
        start_ms,
        // The end as shown, from times that are already cut.
        duration_us: spans.iter().map(end_us).max().unwrap_or(0),
        link: link.map(|link| link.fill(&LinkedTrace { trace_id: id, span_id: root_id, start, end })),
        spans,
    }
}

/// Puts each parent before its children, and siblings in the order of their start.
fn in_tree_order(mut spans: Vec<ParsedSpan>, trace_start_us: u64) -> Vec<ShownSpan> {
    spans.sort_by(|a, b| (a.start / 1000, &a.id, a.kind, &a.service).cmp(&(b.start / 1000, &b.id, b.kind, &b.service)));
    let parents = parents(&spans);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    for (index, parent) in parents.iter().enumerate() {
        if let Some(parent) = parent.index() {
            children[parent].push(index);
        }
    }

    let tops = (0..spans.len()).filter(|index| parents[*index].index().is_none());
    let mut spans: Vec<Option<ParsedSpan>> = spans.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(spans.len());
    for top in tops {
        let mut pending = vec![(top, 0)];
        while let Some((index, depth)) = pending.pop() {
            if let Some(span) = spans[index].take() {
                ordered.push(shown_span(span, parents[index], depth, trace_start_us));
                pending.extend(children[index].iter().rev().map(|child| (*child, depth + 1)));
            }
        }
    }
    ordered
}

fn shown_span(span: ParsedSpan, parent: Parent, depth: usize, trace_start_us: u64) -> ShownSpan {
    let (label, role) = (span.label(), span.role());
    let from_cache = span.attribute(own::FROM_CACHE).is_some_and(|value| value == true);
    let shown_event = |event: ParsedEvent| Event {
        name: event.name,
        time_us: (event.time / 1000).saturating_sub(trace_start_us),
        attributes: event.attributes,
    };
    ShownSpan {
        orphan: matches!(parent, Parent::Missing | Parent::Cycle),
        id: span.id,
        parent: span.parent,
        depth,
        service: span.service,
        name: span.name,
        label,
        role,
        kind: span.kind,
        start_us: span.start / 1000 - trace_start_us,
        duration_us: span.end.saturating_sub(span.start) / 1000,
        error: span.error,
        message: span.message,
        cached: role == Role::Request && from_cache,
        critical: false,
        attributes: span.attributes,
        resource: span.resource,
        events: span.events.into_iter().map(shown_event).collect(),
        links: span.links,
        remarks: remark(parent).into_iter().collect(),
    }
}

fn remark(parent: Parent) -> Option<String> {
    match parent {
        Parent::Span(_) | Parent::None => None,
        Parent::Missing => Some("parent missing".to_owned()),
        Parent::Cycle => Some("its own ancestor".to_owned()),
    }
}

fn end_us(span: &ShownSpan) -> u64 {
    span.start_us + span.duration_us
}

/// Marks the spans without which the trace would have been shorter.
///
/// The path goes backwards from the end of the root, or of the first span if there is no root: to the child that ended last, then to the
/// child that ended last before that one started, and so on, and in the same way within each of those children.
fn mark_critical_path(spans: &mut [ShownSpan]) {
    let root = spans.iter().position(|span| span.depth == 0 && !span.orphan).unwrap_or(0);
    let Some(span) = spans.get(root) else { return };
    let mut pending = vec![(root, span.start_us, end_us(span))];
    let next = ends_of_subtrees(spans);
    while let Some((index, from, until)) = pending.pop() {
        spans[index].critical = true;
        let mut children = Vec::new();
        let mut child = index + 1;
        while child < next[index] {
            let (start, end) = (spans[child].start_us, end_us(&spans[child]));
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

/// Returns for each span the index of the first span after it that is not its descendant.
fn ends_of_subtrees(spans: &[ShownSpan]) -> Vec<usize> {
    let mut ends = vec![spans.len(); spans.len()];
    let mut ancestors: Vec<usize> = Vec::new();
    for index in 0..spans.len() {
        while let Some(last) = ancestors.pop_if(|last| spans[*last].depth >= spans[index].depth) {
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
        let trace = build_trace("t", raw.collect(), None);
        let line = |span: &ShownSpan| {
            let marks = [(span.orphan, "?"), (span.critical, "*")];
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
        let trace = build_trace("t", raw.collect(), None);
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
        let (cut, exact) = (build_trace("t", cut.collect(), None), build_trace("t", exact.to_vec(), None));
        assert_eq!(cut.spans, exact.spans);
        assert_eq!((cut.duration_us, exact.duration_us), (8, 8));
        assert_eq!(exact.spans.iter().map(|span| &*span.id).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn the_last_copy_of_a_repeated_span_counts() {
        assert_eq!(built(&[("b", "a", 1, 2), ("a", "", 0, 3), ("b", "", 1, 2)]), ["a*", "b"]);
    }
}
