//! The critical path: the spans but for which a trace would have been shorter. Pure.
//!
//! From the end of the root backwards: the child that ended last, then the one that ended last before that one began, and so on; the same in
//! each of those.

use crate::view::trace::Span;

/// Marks the critical path below the root of spans in waterfall order: below the first top, where none is a root.
pub(super) fn mark(spans: &mut [Span]) {
    let root = spans.iter().position(|span| span.depth == 0 && !span.orphan).unwrap_or(0);
    let Some(top) = spans.get(root) else { return };
    let (begin, end) = (top.start_us, top.start_us + top.duration_us);
    // Where the next span of the same depth or of a lesser one is: what is between are descendants.
    let mut after = vec![spans.len(); spans.len()];
    let mut open: Vec<usize> = Vec::new();
    for place in 0..spans.len() {
        while let Some(last) = open.pop_if(|last| spans[*last].depth >= spans[place].depth) {
            after[last] = place;
        }
        open.push(place);
    }
    let mut walk = vec![(root, begin, end)];
    while let Some((place, from, limit)) = walk.pop() {
        spans[place].critical = true;
        let mut children = Vec::new();
        let mut child = place + 1;
        while child < after[place] {
            let span = &spans[child];
            let end = span.start_us + span.duration_us;
            // A child may outlast its parent, which does not wait for the rest of it, or have begun before it.
            if span.start_us < limit && end > from {
                children.push((end.min(limit), span.start_us.max(from), child));
            }
            child = after[child];
        }
        children.sort_unstable_by_key(|(end, start, _)| std::cmp::Reverse((*end, *start)));
        let mut free_until = limit;
        for (end, start, child) in children {
            if end <= free_until {
                walk.push((child, start, end));
                free_until = start;
            }
        }
    }
}
