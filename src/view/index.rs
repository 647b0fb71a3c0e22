//! Which traces a file has: gathered span by span, in bounded memory. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::view::raw::Raw;

/// How many traces are known by name.
const MOST_TRACES: usize = 100_000;

/// How many services of a trace are known by name.
const MOST_SERVICES: usize = 16;

/// How much of a name is kept, in characters: a file may have a hundred thousand long ones.
const MOST_NAME: usize = 200;

/// What is known of a trace before it is read.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The trace id.
    pub(crate) id: String,
    /// Its spans.
    pub(crate) spans: usize,
    /// Spans with an error among them.
    pub(crate) errors: usize,
    /// When it began and ended: nanoseconds since the epoch.
    pub(crate) time: (u64, u64),
    /// What its root is called.
    pub(crate) root: Option<String>,
    /// The services that take part.
    pub(crate) services: BTreeSet<String>,
}

/// The traces of a file, gathered span by span.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) traces: HashMap<String, Entry>,
    pub(super) order: Vec<String>,
    pub(super) further: BTreeSet<String>,
    /// Spans whose trace id is none, and that nobody could ask for.
    pub(super) nameless: usize,
}

impl Index {
    pub(super) fn add(&mut self, raw: &Raw) {
        let id = &raw.trace_id;
        if !(1..=32).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.nameless += 1;
            return;
        }
        if !self.traces.contains_key(&raw.trace_id) {
            if self.traces.len() >= MOST_TRACES {
                // Counted as far as that takes no more memory than the rest does.
                if self.further.len() < MOST_TRACES {
                    self.further.insert(raw.trace_id.clone());
                }
                return;
            }
            self.order.push(raw.trace_id.clone());
        }
        let entry = self.traces.entry(raw.trace_id.clone()).or_insert_with(|| Entry {
            id: raw.trace_id.clone(),
            spans: 0,
            errors: 0,
            time: (raw.start, raw.end),
            root: None,
            services: BTreeSet::new(),
        });
        entry.spans += 1;
        entry.errors += usize::from(raw.error);
        entry.time = (entry.time.0.min(raw.start), entry.time.1.max(raw.end));
        if raw.parent.is_none() {
            entry.root = Some(shortened(&raw.label()));
        }
        let service = shortened(&raw.service);
        if entry.services.len() < MOST_SERVICES && !entry.services.contains(&service) {
            entry.services.insert(service);
        }
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(MOST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_gathered_span_by_span_up_to_a_number() {
        let mut index = Index::default();
        let span = |id: &str, parent: Option<&str>, start, error| Raw {
            trace_id: id.to_owned(),
            parent: parent.map(ToOwned::to_owned),
            name: "n".repeat(1000),
            service: format!("s{start}"),
            start,
            end: start + 1,
            error,
            ..Raw::default()
        };
        index.add(&span("a1", None, 5, false));
        index.add(&span("a1", Some("1"), 3, true));
        for id in ["", "no hex", "\u{1b}"] {
            index.add(&span(id, None, 1, false));
        }
        let entry = &index.traces["a1"];
        assert_eq!((entry.spans, entry.errors, entry.time), (2, 1, (3, 6)));
        assert_eq!(entry.root.as_ref().unwrap().len(), MOST_NAME);
        assert_eq!(entry.services.iter().collect::<Vec<_>>(), ["s3", "s5"]);
        assert_eq!((index.traces.len(), index.nameless), (1, 3));
        for id in 0..MOST_TRACES + 4 {
            index.add(&span(&format!("{id:032x}"), None, 1, false));
        }
        assert_eq!((index.traces.len(), index.order.len(), index.further.len()), (MOST_TRACES, MOST_TRACES, 5));
    }
}
