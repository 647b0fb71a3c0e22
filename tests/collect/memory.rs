//! Memory stays where it is, whatever arrives.

use std::fs;

use crate::bench::{Bench, request};

/// The most that 100,000 spans may take.
const MOST_KIB: u64 = 150 << 10;

/// The memory that no other process shares, in KiB.
fn private_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let values = text.lines().filter(|line| line.starts_with("Private_"));
    values.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_hundred_thousand_spans_are_all_kept_in_little_memory() {
    const SPANS: usize = 100_000;
    const BATCH: usize = 5_000;
    let bench = Bench::start();
    let before = private_kib(bench.pid());
    std::thread::scope(|scope| {
        // Several services at once.
        for sender in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for batch in (0..SPANS / BATCH).filter(|batch| batch % 4 == sender) {
                    bench.send(&request("shop", batch * BATCH, BATCH));
                }
            });
        }
    });
    let after = private_kib(bench.pid());
    println!("private memory: {before} KiB before, {after} KiB after {SPANS} spans in batches of {BATCH}");
    assert!(after < MOST_KIB, "{after} KiB");
    let mut ids: Vec<_> = bench.spans().into_iter().map(|span| span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), SPANS);
}
