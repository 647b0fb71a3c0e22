//! The critical path: the spans but for which a trace would have been shorter. Pure.
//!
//! From the end of the root backwards: the child that ended last, then the one that ended last before that one began, and so on; the same in
//! each of those.

use super::trace::Span;

/// Marks the critical path below the first top of spans in waterfall order.
pub(super) fn mark(spans: &mut [Span]) {
    let Some(root) = spans.first() else { return };
    let end = root.start_us + root.duration_us;
    // Where the next span of the same depth or of a lesser one is: what is between are descendants.
    let mut after = vec![spans.len(); spans.len()];
    let mut open: Vec<usize> = Vec::new();
    for place in 0..spans.len() {
        while let Some(last) = open.pop_if(|last| spans[*last].depth >= spans[place].depth) {
            after[last] = place;
        }
        open.push(place);
    }
    let mut walk = vec![(0, end)];
    while let Some((place, limit)) = walk.pop() {
        spans[place].critical = true;
        let mut children = Vec::new();
        let mut child = place + 1;
        while child < after[place] {
            let span = &spans[child];
            // A child may outlast its parent, which does not wait for the rest of it.
            children.push(((span.start_us + span.duration_us).min(limit), span.start_us, child));
            child = after[child];
        }
        children.sort_unstable_by_key(|(end, start, _)| std::cmp::Reverse((*end, *start)));
        let mut free_until = limit;
        for (end, start, child) in children {
            if start < limit && end <= free_until {
                walk.push((child, end));
                free_until = start;
            }
        }
    }
}
