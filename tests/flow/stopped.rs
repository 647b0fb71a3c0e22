//! Tests a host that is stopped: it holds no request up, the browser sends it a limited number of batches, and nothing is lost.

use serde_json::Value;

use crate::browser_test::{BrowserTest, beside_others, logged};
use crate::spans::Trace;

/// The limit of `extension/observe/outbox.js`.
const MAX_IN_FLIGHT: u64 = 64;

#[test]
fn a_stopped_host_is_sent_a_limited_number_of_batches() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting_from("stopped-host.mjs");
    command.env("SECONDS", "6");
    command.env("NAVTRACE_EXTENSION", concat!(env!("CARGO_MANIFEST_DIR"), "/extension"));
    let run = test.run(command);
    let seen: Value = logged(&run.log, "STOPPED ").remove(0);
    assert_eq!(seen["asked"], seen["answered"], "requests waited for the host: {seen}");
    let (stopped, continued) = (&seen["stopped"], &seen["continued"]);
    let waiting = stopped["sent"].as_u64().unwrap() - stopped["received"].as_u64().unwrap();
    assert_eq!(waiting, MAX_IN_FLIGHT, "{seen}");
    assert_eq!(continued["mostWaiting"], MAX_IN_FLIGHT, "{seen}");
    assert!(continued["sent"].as_u64() > stopped["sent"].as_u64(), "nothing was kept for later: {seen}");
    assert_eq!(continued["dropped"], 0, "{seen}");
    let all = test.collected();
    let trace = Trace::of(run.trace_ids().first().unwrap(), &all);
    assert_eq!(trace.without(&run.requests), [""; 0], "requests without a span");
}
