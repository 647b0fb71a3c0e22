//! Measures the memory of a host while the collector does not answer.
//!
//! The limit is meant for the released binary, which `NAVTRACE_BINARY` can name.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use navtrace::testing::Observation;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use crate::collector::Behaviour;
use crate::host::{TestHost, WORKER};
use crate::observations::{completed, started};
use crate::reports::Reports;
use crate::setup::ExportTest;
use crate::tree::Session;

/// Limit of the host's private memory, in KiB.
const LIMIT_KIB: usize = 20 * 1024;

/// Requests in one batch. The extension's batches have about 64 KiB at most.
const BATCH: u64 = 100;

/// Returns a batch of requests below the root, numbered from `from`.
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

/// Returns the private memory of a process in KiB, or `None` if it has ended. Code does not count: how much there is depends on the build.
fn private_kib(pid: u32) -> Option<usize> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap();
    text.lines().find(|line| line.starts_with("Private_Dirty")).map(kib)
}

/// Polls a host's private memory during an action and returns the highest value, in KiB.
fn peak_during(host: &mut TestHost, what: impl FnOnce(&mut TestHost)) -> usize {
    let (pid, done) = (host.pid, Arc::new(AtomicBool::new(false)));
    let watching = Arc::clone(&done);
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while !watching.load(Ordering::Relaxed) {
            most = most.max(private_kib(pid).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        most
    });
    what(host);
    done.store(true, Ordering::Relaxed);
    watch.join().unwrap()
}

/// Sends `count` observed requests to a host.
fn observe(host: &mut TestHost, count: u64) {
    for batch in 0..count / BATCH {
        host.observe(&requests(1 + batch * BATCH));
    }
}

#[test]
fn ten_thousand_queued_spans_take_little_memory() {
    let test = ExportTest::new().set("OTEL_BSP_MAX_QUEUE_SIZE", "20000");
    test.collector.behave(Behaviour::Silent);
    let mut host = test.host_with_browser();
    let session = host.start_session();
    let most = peak_during(&mut host, |host| observe(host, 10_000));
    let last = private_kib(host.pid).unwrap();
    println!("10,000 spans wait: {most} KiB at most, {last} KiB at the end");
    assert!(most < LIMIT_KIB, "{most} KiB");
    assert_eq!(test.spooled().len(), 0);
    host.kill();

    // The next host reads the whole journal at once, which takes more memory for a moment. It moves the spans to the spool when the browser ends.
    let mut next = test.host_with_browser();
    let most = peak_during(&mut next, |next| {
        next.resume(&session);
        next.send_batch("other", 1, &[]);
        next.assert_received("other", 1);
        next.end();
    });
    println!("the next host, which reads them: {most} KiB at most");
    assert!(most < 2 * LIMIT_KIB, "{most} KiB");
    assert_eq!(test.spooled_ids().len(), 10_001);
}

/// The most batches that wait for a disk (`src/export/queue/backlog.rs`).
const MAX_WAITING: u64 = 128;

#[test]
fn nothing_is_lost_while_a_disk_is_slow() {
    let (test, reports) = (ExportTest::new(), Reports::listen());
    let session = Session(json!({"traceId": format!("{:032x}", 1), "spanId": "b7ad6b7169203331", "flags": "01"}));
    let folder = test.state_dir().join("sessions");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}-{}.jsonl", session.trace_id(), session.span_id()));
    // The host waits for the lock, as for a disk.
    let journal = File::create_new(path).unwrap();
    flock(&journal, FlockOperation::LockExclusive).unwrap();
    let mut host = test.host_with_reports(&reports);
    host.resume(&session);
    for number in 1..=MAX_WAITING {
        host.send_batch(WORKER, number, &requests(1 + number * BATCH));
    }
    drop(journal);
    for number in 1..=MAX_WAITING {
        host.assert_received(WORKER, number);
    }
    host.end();
    assert_eq!(reports.trace().counts.dropped, 0);
}

#[test]
fn memory_is_bounded_for_any_number_of_spans() {
    let test = ExportTest::new();
    test.collector.behave(Behaviour::Silent);
    let mut host = test.host_with_browser();
    host.start_session();
    let most = peak_during(&mut host, |host| observe(host, 200_000));
    let last = private_kib(host.pid).unwrap();
    println!("200,000 spans: {most} KiB at most, {last} KiB at the end");
    // Moving spans to the spool takes more memory for a moment.
    assert!(most < 2 * LIMIT_KIB && last < LIMIT_KIB, "{most} KiB, {last} KiB");
    // The spool has its own limit, and the host reports what it drops.
    let length: u64 = test.spooled().iter().map(|path| path.metadata().unwrap().len()).sum();
    let kept = test.spooled_ids().len();
    println!("the spool has {kept} spans in {length} bytes");
    assert!(length <= 64 << 20 && length > 60 << 20, "{length}");
    host.wait_for_stderr("the spool is full");
    host.kill_both();
}
