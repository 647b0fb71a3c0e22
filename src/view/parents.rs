//! Finds out which span is below which. Pure.
//!
//! Span ids need not be unique: a service may join its client's span, as Zipkin's instrumentation does, and then both have one id.

use std::collections::HashMap;

use crate::view::parsed::ParsedSpan;

/// The place of a span in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// The index of the parent.
    Span(usize),
    /// The span is at the top, because it names no parent.
    None,
    /// The span is at the top, because its parent is not in the trace.
    Missing,
    /// The span is at the top, because it is its own ancestor.
    Cycle,
}

impl Parent {
    pub(super) fn index(self) -> Option<usize> {
        if let Self::Span(index) = self { Some(index) } else { None }
    }
}

/// Removes all but the last copy of each span: exporters send spans again when there was no answer.
pub(super) fn remove_repeats(spans: &mut Vec<ParsedSpan>) {
    let key = |span: &ParsedSpan| (span.id.clone(), span.kind, span.name.clone(), span.service.clone());
    let mut copies = HashMap::new();
    for span in spans.iter() {
        *copies.entry(key(span)).or_insert(0) += 1;
    }
    if copies.len() == spans.len() {
        return;
    }
    spans.retain(|span| {
        let later = copies.entry(key(span)).or_insert(1);
        *later -= 1;
        *later == 0
    });
}

/// Returns the parent of each span. No span is its own ancestor: the first span of a cycle is at the top.
pub(super) fn parents(spans: &[ParsedSpan]) -> Vec<Parent> {
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(&span.id).or_default().push(index);
    }
    let mut parents: Vec<Parent> = (0..spans.len()).map(|index| parent(spans, index, &by_id)).collect();
    break_cycles(&mut parents);
    parents
}

/// Returns the children of each span.
pub(super) fn children(parents: &[Parent]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); parents.len()];
    for (index, parent) in parents.iter().enumerate() {
        if let Some(parent) = parent.index() {
            children[parent].push(index);
        }
    }
    children
}

/// Returns the indexes of all spans, each parent before its children.
pub(super) fn top_down(parents: &[Parent]) -> Vec<usize> {
    let children = children(parents);
    let mut order: Vec<usize> = (0..parents.len()).filter(|index| parents[*index].index().is_none()).collect();
    let mut done = 0;
    while let Some(index) = order.get(done) {
        order.extend(&children[*index]);
        done += 1;
    }
    order
}

fn parent(spans: &[ParsedSpan], index: usize, by_id: &HashMap<&str, Vec<usize>>) -> Parent {
    let span = &spans[index];
    if receives_call(span) {
        let joined = by_id[span.id.as_str()].iter().find(|other| makes_call(&spans[**other]));
        if let Some(client) = joined {
            return Parent::Span(*client);
        }
    }
    let Some(id) = &span.parent else { return Parent::None };
    // Below a shared id, a span belongs to the one of its own service, else to that of the server.
    let others = by_id.get(id.as_str()).into_iter().flatten().filter(|other| **other != index);
    let fitting = others.max_by_key(|other| (spans[**other].service == span.service, receives_call(&spans[**other])));
    match fitting {
        Some(parent) => Parent::Span(*parent),
        None if *id == span.id => Parent::Cycle,
        None => Parent::Missing,
    }
}

fn receives_call(span: &ParsedSpan) -> bool {
    matches!(span.kind, "server" | "consumer")
}

fn makes_call(span: &ParsedSpan) -> bool {
    matches!(span.kind, "client" | "producer")
}

fn break_cycles(parents: &mut [Parent]) {
    // The walk from each span to the top stops where an earlier one was. A walk that meets itself has found a cycle.
    let mut walks = vec![usize::MAX; parents.len()];
    for first in 0..parents.len() {
        let mut next = Some(first);
        while let Some(index) = next.filter(|index| walks[*index] == usize::MAX) {
            walks[index] = first;
            next = parents[index].index();
        }
        let Some(start) = next.filter(|index| walks[*index] == first) else { continue };
        let (mut top, mut index) = (start, start);
        while let Some(above) = parents[index].index().filter(|above| *above != start) {
            (index, top) = (above, top.min(above));
        }
        parents[top] = Parent::Cycle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, kind: &'static str, service: &str) -> ParsedSpan {
        ParsedSpan {
            id: id.to_owned(),
            parent: Some(parent.to_owned()).filter(|parent| !parent.is_empty()),
            kind,
            service: service.to_owned(),
            ..ParsedSpan::default()
        }
    }

    #[test]
    fn spans_with_one_id_are_above_each_other() {
        use Parent::{Missing, None, Span};
        for (spans, expected) in [
            // A server joins its client's span. Children are those of the server, or of the span of their own service.
            (
                &[
                    ("a", "", "client", "web"),
                    ("a", "", "server", "shop"),
                    ("b", "a", "client", "shop"),
                    ("c", "a", "internal", "web"),
                    ("d", "a", "server", "stock"),
                ][..],
                &[None, Span(0), Span(1), Span(0), Span(1)][..],
            ),
            // Its own parent is that of the client, wherever the client is.
            (&[("b", "a", "server", "shop"), ("b", "a", "client", "web")], &[Span(1), Missing]),
            // A service that calls itself.
            (
                &[("a", "", "client", "shop"), ("a", "", "server", "shop"), ("b", "a", "internal", "shop")],
                &[None, Span(0), Span(1)],
            ),
            (&[("a", "", "producer", "web"), ("a", "x", "consumer", "mail")], &[None, Span(0)]),
            // Neither called the other.
            (&[("a", "", "internal", "web"), ("a", "x", "server", "shop")], &[None, Missing]),
        ] {
            let spans: Vec<_> = spans.iter().map(|(id, parent, kind, name)| span(id, parent, kind, name)).collect();
            assert_eq!(parents(&spans), expected);
        }
    }

    #[test]
    fn a_cycle_has_its_first_span_at_the_top() {
        use Parent::{Cycle, Span};
        for (spans, expected) in [
            (&[("a", "a")][..], &[Cycle][..]),
            // The span that leads to a cycle stays below it.
            (&[("x", "c"), ("a", "b"), ("b", "c"), ("c", "a")], &[Span(3), Cycle, Span(3), Span(1)]),
            (&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")], &[Cycle, Span(0), Cycle, Span(2)]),
        ] {
            let spans: Vec<_> = spans.iter().map(|(id, parent)| span(id, parent, "", "")).collect();
            assert_eq!(parents(&spans), expected);
        }
    }

    #[test]
    fn only_the_last_copy_of_a_span_stays() {
        let named = |name: &str, kind: &'static str, service: &str, start: u64| ParsedSpan {
            name: name.to_owned(),
            start,
            ..span("a", "", kind, service)
        };
        let mut spans = vec![
            named("n", "client", "web", 1),
            named("n", "server", "shop", 2),
            named("n", "server", "stock", 3),
            named("m", "server", "shop", 4),
            named("n", "client", "web", 5),
        ];
        remove_repeats(&mut spans);
        assert_eq!(spans.iter().map(|span| span.start).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }
}
