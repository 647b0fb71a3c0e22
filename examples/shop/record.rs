//! Records the requests that the services received, and shows them as JSON and as a table per trace.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::span::{Header, ServerSpan};

/// Maximum of recorded spans. The oldest are dropped.
const KEPT: usize = 100_000;

/// The server spans of both services. Clones share one list.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<VecDeque<ServerSpan>>>);

impl Record {
    /// Adds a finished span.
    pub(crate) fn add(&self, span: ServerSpan) {
        let mut spans = self.lock();
        if spans.len() == KEPT {
            spans.pop_front();
        }
        spans.push_back(span);
    }

    /// Returns all spans in the order in which their requests arrived.
    fn sorted(&self) -> Vec<ServerSpan> {
        let mut spans: Vec<ServerSpan> = self.lock().iter().cloned().collect();
        spans.sort_by_key(|span| span.start);
        spans
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ServerSpan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the routes `/_received` and `/_received.txt`. They must be merged outside of the tracing layer, so that they are not recorded.
pub(crate) fn router(record: Record) -> Router {
    Router::new()
        .route(
            "/_received",
            get(|State(record): State<Record>| async move {
                Json(record.sorted().iter().map(as_json).collect::<Value>())
            }),
        )
        .route(
            "/_received.txt",
            get(|State(record): State<Record>| async move { table(&record.sorted()) }),
        )
        .with_state(record)
}

fn as_json(span: &ServerSpan) -> Value {
    let since = span.start.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "time_unix_us": u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
        "duration_us": u64::try_from(span.duration.as_micros()).unwrap_or(u64::MAX),
        "service": span.service,
        "method": span.method,
        "path": span.path,
        "status": span.status,
        "trace_id": format!("{:032x}", span.context.trace_id),
        "parent_span_id": span.parent.map(|id| format!("{id:016x}")),
        "span_id": format!("{:016x}", span.context.span_id),
        "sampled": span.context.sampled(),
        "header": match span.header {
            Header::Valid => "valid",
            Header::Missing => "missing",
            Header::Invalid => "invalid",
        },
    })
}

/// Number of requests of one trace.
#[derive(Default)]
struct Count {
    order: usize,
    shop: usize,
    pricing: usize,
    without: usize,
    invalid: usize,
}

/// Returns a line for each trace of a caller. The traces that the shop itself started share the last line.
fn table(spans: &[ServerSpan]) -> String {
    let mut traces: BTreeMap<u128, Count> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        let count = traces.entry(span.context.trace_id).or_insert(Count { order: index, ..Count::default() });
        match span.service {
            "shop" => count.shop += 1,
            _ => count.pricing += 1,
        }
        match span.header {
            Header::Valid => {}
            Header::Missing => count.without += 1,
            Header::Invalid => count.invalid += 1,
        }
    }
    let (own, mut received): (Vec<_>, Vec<_>) =
        traces.into_iter().partition(|(_, count)| count.without + count.invalid > 0);
    received.sort_by_key(|(_, count)| count.order);

    let mut text = format!("{:<32}  {:>6}  {:>7}\n", "trace id", "shop", "pricing");
    for (trace_id, count) in &received {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{trace_id:032x}  {:>6}  {:>7}", count.shop, count.pricing);
    }
    let total = |field: fn(&Count) -> usize| -> usize { own.iter().map(|(_, count)| field(count)).sum() };
    let _ = writeln!(
        text,
        "{:<32}  {:>6}  {:>7}",
        "(no usable traceparent)",
        total(|count| count.shop),
        total(|count| count.pricing)
    );
    let _ = writeln!(
        text,
        "\n{} requests in {} traces; without a traceparent: {}, with an invalid one: {}",
        spans.len(),
        received.len(),
        total(|count| count.without),
        total(|count| count.invalid)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traceparent::TraceParent;
    use std::time::{Duration, SystemTime};

    fn span(service: &'static str, trace_id: u128, header: Header) -> ServerSpan {
        ServerSpan {
            service,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            route: None,
            host: None,
            context: TraceParent { trace_id, span_id: 2, flags: 1 },
            parent: (header == Header::Valid).then_some(3),
            header,
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            duration: Duration::from_millis(5),
            status: Some(200),
        }
    }

    #[test]
    fn counts_per_trace_and_sets_headerless_requests_apart() {
        let spans = [
            span("shop", 0xb, Header::Valid),
            span("pricing", 0xb, Header::Valid),
            span("shop", 0xa, Header::Valid),
            span("shop", 0xc, Header::Missing),
            span("pricing", 0xc, Header::Valid),
            span("shop", 0xd, Header::Invalid),
        ];
        let expected = "\
trace id                            shop  pricing
0000000000000000000000000000000b       1        1
0000000000000000000000000000000a       1        0
(no usable traceparent)                2        1

6 requests in 2 traces; without a traceparent: 1, with an invalid one: 1
";
        assert_eq!(table(&spans), expected);
    }

    #[test]
    fn writes_ids_as_hex() {
        let value = as_json(&span("shop", 0xb, Header::Valid));
        assert_eq!(value["trace_id"], "0000000000000000000000000000000b");
        assert_eq!(value["parent_span_id"], "0000000000000003");
        assert_eq!(value["time_unix_us"], 1_000_000);
        assert_eq!(value["header"], "valid");
    }
}
