//! Puts spans into the order of a waterfall. Pure.
//!
//! Times are cut to microseconds before anything is compared, since some formats have no more: the same trace has the same order whatever it was
//! read from. Nothing here recurs: a file may hold a chain of any length, or a ring.

use std::collections::HashMap;

use crate::view::critical;
use crate::view::link::{LinkTemplate, LinkedTrace};
use crate::view::raw::{Raw, RawEvent};
use crate::view::trace::{Event, Role, Span, Trace};

/// Builds a trace out of its spans, in whatever order they came.
pub(super) fn trace(id: &str, spans: Vec<Raw>, link: Option<&LinkTemplate>) -> Trace {
    let spans = without_repeats(spans);
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.end).max().unwrap_or(0).max(start);
    let base = start / 1000;
    let shown: Vec<Span> = in_order(spans, base);
    let root = shown.iter().find(|span| span.parent.is_none()).map_or("", |span| &span.id);
    let link = link.map(|link| link.of(&LinkedTrace { trace_id: id, span_id: root, start, end }));
    #[allow(clippy::cast_precision_loss, reason = "microseconds since the epoch fit")]
    let start_ms = base as f64 / 1000.0;
    // What is shown ends where its last span is shown to end, whichever format has cut which nanoseconds.
    let duration_us = shown.iter().map(|span| span.start_us + span.duration_us).max().unwrap_or(0);
    let mut trace = Trace { id: id.to_owned(), start, start_ms, duration_us, link, spans: shown };
    critical::mark(&mut trace.spans);
    trace
}

/// An exporter that had no answer sends a span again: the last one counts.
fn without_repeats(spans: Vec<Raw>) -> Vec<Raw> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Raw> = Vec::new();
    for span in spans {
        if let Some(place) = places.get(&span.id) {
            kept[*place] = span;
        } else {
            places.insert(span.id.clone(), kept.len());
            kept.push(span);
        }
    }
    kept
}

fn in_order(spans: Vec<Raw>, base: u64) -> Vec<Span> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by(|a, b| (spans[*a].start / 1000, &spans[*a].id).cmp(&(spans[*b].start / 1000, &spans[*b].id)));
    let places: HashMap<&str, usize> = spans.iter().enumerate().map(|(place, span)| (&*span.id, place)).collect();
    let parents: Vec<Option<usize>> = spans.iter().map(|span| places.get(span.parent.as_deref()?).copied()).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    for place in &order {
        if let Some(parent) = parents[*place] {
            children[parent].push(*place);
        }
    }

    let mut seen = vec![false; spans.len()];
    let mut walk = Vec::with_capacity(spans.len());
    // Whatever no top leads to is in a ring, which is opened at its first span.
    let tops = order.iter().filter(|place| parents[**place].is_none()).chain(&order);
    for top in tops {
        let mut open = vec![(*top, 0)];
        while let Some((place, depth)) = open.pop() {
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            walk.push((place, depth));
            open.extend(children[place].iter().rev().map(|child| (*child, depth + 1)));
        }
    }
    let mut spans: Vec<Option<Raw>> = spans.into_iter().map(Some).collect();
    walk.into_iter().filter_map(|(place, depth)| Some(span(spans[place].take()?, depth, base))).collect()
}

fn span(raw: Raw, depth: usize, base: u64) -> Span {
    let (label, role) = (raw.label(), raw.role());
    let cached =
        role == Role::Request && raw.attribute("navtrace.request.from_cache").is_some_and(|value| value == true);
    Span {
        orphan: depth == 0 && raw.parent.is_some(),
        id: raw.id,
        parent: raw.parent,
        depth,
        service: raw.service,
        name: raw.name,
        label,
        role,
        kind: raw.kind,
        start_us: raw.start / 1000 - base,
        duration_us: raw.end.saturating_sub(raw.start) / 1000,
        error: raw.error,
        message: raw.message,
        cached,
        critical: false,
        attributes: raw.attributes,
        resource: raw.resource,
        events: raw.events.into_iter().map(|event| shown(event, base)).collect(),
        links: raw.links,
    }
}

fn shown(event: RawEvent, base: u64) -> Event {
    Event { name: event.name, time_us: (event.time / 1000).saturating_sub(base), attributes: event.attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans as `id parent start end`, of microseconds.
    fn built(spans: &[(&str, &str, u64, u64)]) -> Vec<String> {
        let raw = spans.iter().map(|(id, parent, start, end)| Raw {
            id: (*id).to_owned(),
            parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
            start: 1_000_000 + start * 1000,
            end: 1_000_000 + end * 1000,
            ..Raw::default()
        });
        let trace = trace("t", raw.collect(), None);
        let line = |span: &Span| {
            let marks = [(span.orphan, "?"), (span.critical, "*")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{}{}{marks}", "-".repeat(span.depth), span.id)
        };
        trace.spans.iter().map(line).collect()
    }

    #[test]
    fn parents_come_before_children_and_children_by_their_begin() {
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
    fn a_span_whose_parent_is_missing_stands_at_the_top() {
        assert_eq!(built(&[("b", "x", 1, 2), ("c", "b", 1, 2), ("a", "", 0, 3)]), ["a*", "b?", "-c"]);
    }

    #[test]
    fn rings_are_opened_and_chains_may_be_long() {
        assert_eq!(built(&[("a", "b", 0, 1), ("b", "a", 0, 1), ("c", "c", 2, 3)]), ["a?*", "-b*", "c?"]);
        let ids: Vec<String> = (0..100_000).map(|number| format!("{number:016x}")).collect();
        let parent = |number: usize| number.checked_sub(1).map_or("", |above| &ids[above]);
        let chain: Vec<_> = ids.iter().enumerate().map(|(number, id)| (id.as_str(), parent(number), 0, 1)).collect();
        let raw = chain.iter().map(|(id, parent, ..)| Raw {
            id: (*id).to_owned(),
            parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
            ..Raw::default()
        });
        let trace = trace("t", raw.collect(), None);
        assert_eq!((trace.spans.len(), trace.spans[99_999].depth), (100_000, 99_999));
    }

    #[test]
    fn the_critical_path_leads_from_the_end_of_the_root_backwards() {
        for (spans, expected) in [
            // What ran beside what ended last cost no time.
            (
                &[("a", "", 0, 10), ("b", "a", 1, 6), ("c", "a", 2, 4), ("d", "a", 6, 9), ("e", "a", 7, 8)][..],
                &["a*", "-b*", "-c", "-d*", "-e"][..],
            ),
            // A child that outlasts its parent is cut there, and what is in it after that is off the path.
            (
                &[("a", "", 0, 10), ("b", "a", 2, 20), ("c", "b", 3, 8), ("d", "b", 12, 19)],
                &["a*", "-b*", "--c*", "--d"],
            ),
            // So is what had ended before its parent began.
            (&[("a", "", 5, 10), ("b", "a", 1, 3), ("c", "a", 4, 7)], &["a*", "-b", "-c*"]),
            // An orphan that came first is not the root.
            (&[("o", "x", 0, 2), ("p", "o", 0, 1), ("a", "", 1, 10), ("b", "a", 2, 9)], &["o?", "-p", "a*", "-b*"]),
        ] {
            assert_eq!(built(spans), expected);
        }
    }

    #[test]
    fn nanoseconds_that_only_some_formats_have_change_nothing() {
        let raw = |id: &str, parent: Option<&str>, start, end| Raw {
            id: id.to_owned(),
            parent: parent.map(ToOwned::to_owned),
            start,
            end,
            ..Raw::default()
        };
        let exact = [
            raw("a", None, 1_000_999, 1_009_000),
            // By nanoseconds b begins after c, by microseconds with it.
            raw("b", Some("a"), 1_002_900, 1_004_100),
            raw("c", Some("a"), 1_002_100, 1_005_000),
        ];
        // Jaeger has the begin and the length, both cut.
        let cut = exact.iter().map(|span| Raw {
            start: span.start / 1000 * 1000,
            end: (span.start / 1000 + (span.end - span.start) / 1000) * 1000,
            ..span.clone()
        });
        let (cut, exact) = (trace("t", cut.collect(), None), trace("t", exact.to_vec(), None));
        assert_eq!(cut.spans, exact.spans);
        assert_eq!((cut.duration_us, exact.duration_us), (8, 8));
        assert_eq!(exact.spans.iter().map(|span| &*span.id).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_span_that_came_twice_is_shown_as_it_came_last() {
        assert_eq!(built(&[("b", "a", 1, 2), ("a", "", 0, 3), ("b", "", 1, 2)]), ["a*", "b"]);
    }
}
