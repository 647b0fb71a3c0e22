//! Tests two profiles in one browser: each has a session of its own.

use serde_json::Value;

use crate::browser_test::{BrowserTest, beside_others, logged};
use crate::spans::Trace;

#[test]
fn each_profile_of_a_browser_has_a_session_of_its_own() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = test.run(test.collecting_from("profiles.mjs"));
    let carried: Value = logged(&run.log, "PROFILES ").remove(0);
    let trace_of = |profile: &str| carried[profile][0].as_str().unwrap().split('-').nth(1).unwrap().to_owned();
    assert_ne!(trace_of("first"), trace_of("second"), "{}", run.log);
    assert!(!run.log.contains("journal"), "{}", run.log);
    let spans = test.collected();
    for profile in ["first", "second"] {
        assert!(Trace::of(&trace_of(profile), &spans).requests().count() > 0, "{profile}: {}", run.log);
    }
}
