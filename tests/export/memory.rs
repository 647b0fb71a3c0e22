//! What a host takes while a collector does not answer.
//!
//! The limit holds for the released binary. `NAVTRACE_BINARY` names another one to be measured.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use navtrace::testing::Observation;

use crate::bench::{Bench, Host};
use crate::collector::Behaviour;
use crate::observations::{completed, started};

/// Memory that the host has for itself, in KiB.
const MOST: usize = 20 * 1024;

/// Requests of one batch: a batch of the extension has at most 64 KiB or so.
const BATCH: u64 = 100;

/// Requests `from` and those after it, below the root.
fn requests(from: u64) -> Vec<Observation> {
    (from..from + BATCH)
        .flat_map(|id| {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let time = id as f64;
            let request = format!("assets/a-path-of-the-usual-length/{id}.js");
            [started(time, &request, id, None), completed(time + 5.0, &request, 200)]
        })
        .collect()
}

/// Memory that a process has for itself, in KiB; none when it has ended.
fn private(pid: u32) -> Option<usize> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap();
    let lines = text.lines().filter(|line| line.starts_with("Private_Clean") || line.starts_with("Private_Dirty"));
    Some(lines.map(kib).sum())
}

/// Looks at a host's memory again and again while something is done, and gives the most that was seen.
fn most_during(host: &mut Host, what: impl FnOnce(&mut Host)) -> usize {
    let (pid, done) = (host.pid, Arc::new(AtomicBool::new(false)));
    let watching = Arc::clone(&done);
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while !watching.load(Ordering::Relaxed) {
            most = most.max(private(pid).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        most
    });
    what(host);
    done.store(true, Ordering::Relaxed);
    watch.join().unwrap()
}

/// Has a host observe so many requests, whose spans nobody takes.
fn observe(host: &mut Host, count: u64) {
    for batch in 0..count / BATCH {
        host.observe(&requests(1 + batch * BATCH));
    }
}

#[test]
fn ten_thousand_spans_that_wait_take_little_memory() {
    let bench = Bench::new().set("OTEL_BSP_MAX_QUEUE_SIZE", "20000");
    bench.collector.behave(Behaviour::Silent);
    let mut host = bench.host_of_browser();
    let session = host.greet();
    let most = most_during(&mut host, |host| observe(host, 10_000));
    let last = private(host.pid).unwrap();
    println!("10,000 spans wait: {most} KiB at most, {last} KiB at the end");
    assert!(most < MOST, "{most} KiB");
    assert_eq!(bench.spooled().len(), 0);
    host.kill();

    // The next host reads all of it at once, which takes more for a moment, and moves it to the spool when the browser has gone.
    let mut next = bench.host_of_browser();
    let most = most_during(&mut next, |next| {
        next.resume(&session);
        next.tell("other", 1, &[]);
        next.assert_received("other", 1);
        next.end();
    });
    println!("a host that goes on with them: {most} KiB at most");
    assert!(most < 2 * MOST, "{most} KiB");
    assert_eq!(bench.spooled_ids().len(), 10_001);
}

#[test]
fn spans_without_end_take_a_bounded_memory() {
    let bench = Bench::new();
    bench.collector.behave(Behaviour::Silent);
    let mut host = bench.host_of_browser();
    host.greet();
    let most = most_during(&mut host, |host| observe(host, 200_000));
    let last = private(host.pid).unwrap();
    println!("200,000 spans: {most} KiB at most, {last} KiB at the end");
    assert!(most < MOST, "{most} KiB");
    // The spool has its own limit, and the host says what had to go.
    let length: u64 = bench.spooled().iter().map(|path| path.metadata().unwrap().len()).sum();
    let kept = bench.spooled_ids().len();
    println!("the spool has {kept} spans in {length} bytes");
    assert!(length <= 64 << 20 && length > 60 << 20, "{length}");
    host.hear("the spool is full");
    host.kill_both();
}
