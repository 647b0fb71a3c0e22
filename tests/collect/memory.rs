//! Tests that memory is bounded, however many spans arrive.

use std::fs;

use crate::collector::{RunningCollector, request};

/// Limit of the private memory for 100,000 spans.
const LIMIT_KIB: u64 = 150 << 10;

/// Returns the private memory of a process in KiB.
fn private_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let values = text.lines().filter(|line| line.starts_with("Private_"));
    values.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_hundred_thousand_spans_take_little_memory() {
    const SPANS: usize = 100_000;
    const BATCH: usize = 5_000;
    let collector = RunningCollector::start();
    let before = private_kib(collector.pid());
    std::thread::scope(|scope| {
        // Several services send at once.
        for sender in 0..4 {
            let collector = &collector;
            scope.spawn(move || {
                for batch in (0..SPANS / BATCH).filter(|batch| batch % 4 == sender) {
                    collector.send(&request("shop", batch * BATCH, BATCH));
                }
            });
        }
    });
    let after = private_kib(collector.pid());
    println!("private memory: {before} KiB before, {after} KiB after {SPANS} spans in batches of {BATCH}");
    assert!(after < LIMIT_KIB, "{after} KiB");
    let mut ids: Vec<_> = collector.spans().into_iter().map(|span| span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), SPANS);
}
