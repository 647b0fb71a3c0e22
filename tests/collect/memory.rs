//! Tests that memory is bounded, however many spans arrive.

use std::fs;

use crate::collector::{RunningCollector, request, text};

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

/// Collects 2,000 spans, each with a text of this length. Returns the peak of the memory in KiB, and the size of the page in bytes.
fn collected(length: usize) -> (u64, u64) {
    let collector = RunningCollector::start();
    for batch in 0..200 {
        let mut request = request("shop", batch * 10, 10);
        for span in &mut request.resource_spans[0].scope_spans[0].spans {
            span.attributes[0] = text("http.request.body", &"x".repeat(length));
        }
        collector.send(&request);
    }
    let (peak, messages, environment) = collector.peak_at_its_end();
    assert!(messages.contains("navtrace: 2000 spans in "), "{messages}");
    (peak, fs::metadata(environment.home().join("traces.html")).unwrap().len())
}

#[test]
fn long_attributes_take_no_memory_at_the_end() {
    let (short_peak, short_page) = collected(20);
    let (long_peak, long_page) = collected(100_000);
    println!("peak: {short_peak} KiB, with long attributes {long_peak} KiB; pages: {short_page} and {long_page} bytes");
    // 300 bytes are kept of each text. At times 3 MB of what receiving took stay with the allocator.
    assert!(long_peak * 5 < short_peak * 6, "{long_peak} KiB, {short_peak} KiB with short attributes");
    assert!(long_page < short_page * 2, "{long_page} bytes, {short_page} with short attributes");
}

#[test]
fn long_service_names_take_no_memory() {
    const LENGTH: usize = 4 << 20;
    let collector = RunningCollector::start();
    let send = |number: usize| collector.send(&request(&format!("{number}{}", "x".repeat(LENGTH)), number, 1));
    // What a request takes while it is read stays with the allocator.
    (0..5).for_each(send);
    let before = private_kib(collector.pid());
    (5..25).for_each(send);
    let after = private_kib(collector.pid());
    println!("private memory: {before} KiB before, {after} KiB after 20 long names");
    assert!(after < before + 10 * (LENGTH as u64 >> 10), "{after} KiB, {before} KiB before");
}

#[test]
fn names_of_services_are_kept_once() {
    let collector = RunningCollector::start();
    let mut trace = 0_u128;
    let mut send = |traces: u128| {
        let mut sent = request("", 0, 0);
        for service in 0..32 {
            let mut of_service = request(&format!("{service}{}", "x".repeat(190)), 0, usize::try_from(traces).unwrap());
            let mut spans = of_service.resource_spans.remove(0);
            for (number, span) in (1..).zip(&mut spans.scope_spans[0].spans) {
                span.trace_id = (trace + number).to_be_bytes().to_vec();
                span.attributes.clear();
            }
            sent.resource_spans.push(spans);
        }
        trace += traces;
        collector.send(&sent);
    };
    // What a request takes while it is read stays with the allocator.
    (0..5).for_each(|_| send(200));
    let before = private_kib(collector.pid());
    (0..15).for_each(|_| send(200));
    let after = private_kib(collector.pid());
    println!("private memory: {before} KiB before, {after} KiB after 3000 traces of 32 services");
    assert!(after < before + (6 << 10), "{after} KiB, {before} KiB before");
}
