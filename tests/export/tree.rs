//! Compares exported spans with the tree that a session should become.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

use crate::collector::hex;

/// A session as the host names it in its answer to a hello.
#[derive(Debug, Clone)]
pub(crate) struct Session(pub(crate) Value);

impl Session {
    pub(crate) fn trace_id(&self) -> String {
        self.0["traceId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn span_id(&self) -> String {
        self.0["spanId"].as_str().unwrap().to_owned()
    }
}

/// Returns the ids of spans, in hexadecimal digits.
pub(crate) fn ids(spans: &[Span]) -> Vec<String> {
    spans.iter().map(|span| hex(&span.span_id)).collect()
}

/// Asserts that spans are exactly the session's root and the expected ones, each once, as one tree.
pub(crate) fn assert_tree(spans: &[Span], session: &Session, expected: &[String]) {
    let mut counts = BTreeMap::<String, usize>::new();
    for id in ids(spans) {
        *counts.entry(id).or_default() += 1;
    }
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(repeated.is_empty(), "spans that came more than once: {repeated:?}");
    let found: BTreeSet<_> = counts.keys().cloned().collect();
    let mut wanted: BTreeSet<_> = expected.iter().cloned().collect();
    wanted.insert(session.span_id());
    let missing: Vec<_> = wanted.difference(&found).collect();
    let unexpected: Vec<_> = found.difference(&wanted).collect();
    assert!(missing.is_empty() && unexpected.is_empty(), "missing: {missing:?}, not expected: {unexpected:?}");
    for span in spans {
        let (id, parent) = (hex(&span.span_id), hex(&span.parent_span_id));
        assert_eq!(hex(&span.trace_id), session.trace_id(), "{id}");
        assert_eq!(parent.is_empty(), id == session.span_id(), "{id} has the parent {parent}");
        assert!(parent.is_empty() || found.contains(&parent), "{id} has the parent {parent}, which is missing");
    }
}
