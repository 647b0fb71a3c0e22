//! Which traces a file has: gathered span by span, in bounded memory. Pure.

use std::collections::{BTreeSet, HashMap};

use super::raw::Raw;

/// How many traces are known by name.
const MOST_TRACES: usize = 100_000;

/// How many services of a trace are known by name.
const MOST_SERVICES: usize = 16;

/// What is known of a trace before it is read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The trace id.
    pub id: String,
    /// Its spans.
    pub spans: usize,
    /// Spans with an error among them.
    pub errors: usize,
    /// When it began and ended: nanoseconds since the epoch.
    pub time: (u64, u64),
    /// What its root is called.
    pub root: Option<String>,
    /// The services that take part.
    pub services: BTreeSet<String>,
}

/// The traces of a file, gathered span by span.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) traces: HashMap<String, Entry>,
    pub(super) order: Vec<String>,
    pub(super) further: BTreeSet<String>,
}

impl Index {
    pub(super) fn add(&mut self, raw: &Raw) {
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
            entry.root = Some(raw.label());
        }
        if entry.services.len() < MOST_SERVICES && !entry.services.contains(&raw.service) {
            entry.services.insert(raw.service.clone());
        }
    }
}
