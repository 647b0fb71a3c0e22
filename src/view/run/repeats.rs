//! Recognizes spans that come again, since exporters send spans again when there was no answer, and files may overlap. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::view::parsed::ParsedSpan;

/// Most spans whose repeats are recognized. The set then has 2^22 slots of 9 bytes (38 MB) and is filled to seven eighths; one more would double it.
const MAX_SPANS: usize = 7 << 19;

#[derive(Debug, Default)]
pub(crate) struct Repeats {
    known: HashSet<u64>,
}

impl Repeats {
    /// Returns whether a span of this service comes for the first time.
    pub(crate) fn is_new(&mut self, span: &ParsedSpan, service: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (&span.trace_id, &span.id, span.kind, &span.name, service).hash(&mut hasher);
        let key = hasher.finish();
        if self.known.len() < MAX_SPANS { self.known.insert(key) } else { !self.known.contains(&key) }
    }
}
