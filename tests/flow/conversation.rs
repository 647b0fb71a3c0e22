//! Tests what extension, host and popup say to each other where something goes wrong, and what a page may say of its requests.

use serde_json::Value;

use crate::browser_test::{BrowserTest, beside_others, logged};
use crate::support::collector::{attribute, hex};

#[test]
fn a_fault_in_the_conversation_stops_nothing() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting_from("conversation.mjs");
    command.env("NAVTRACE_EXTENSION", concat!(env!("CARGO_MANIFEST_DIR"), "/extension"));
    let run = test.run(command);
    let seen: Value = logged(&run.log, "CONVERSATION ").remove(0);

    assert_eq!(seen["reconnected"], true, "{seen}");
    assert_eq!(seen["answer"], "settings", "a refused batch was taken for the answer to a question: {seen}");
    assert_eq!(seen["spoiled"], true, "{seen}");
    assert_eq!(seen["received"], true, "nothing is sent after refused batches: {seen}");
    assert_eq!(seen["shown"], true, "the popup stands still after the clock was set back: {seen}");
    assert_eq!(seen["forgotten"], true, "a request whose later hop was ignored counts as under way: {seen}");
    assert_eq!(seen["paused"], true, "{seen}");
    assert_eq!(seen["resumed"], true, "a command at the end of the worker was lost: {seen}");

    // Refused batches are lost, and the user is told.
    assert!(run.log.contains(" observations lost"), "{}", run.log);
    let spans = test.collected();
    let parent_of = |path: &str| {
        let mut found = spans.iter().filter(|span| attribute(span, "url.full").ends_with(path));
        found.next().map(|span| hex(&span.parent_span_id))
    };
    assert!(parent_of("/afterwards").is_some(), "no span of a later request: {}", run.log);

    // A caller is a span of the page's own instrumentation, and no span of another page.
    let span = |name: &str| seen[name].as_str().unwrap().split('-').nth(2).unwrap().to_owned();
    assert_eq!(parent_of("/own"), Some(span("own")));
    assert_eq!(parent_of("/foreign"), Some(span("own")), "a page has put its request below another page");
    assert_eq!(parent_of("/made"), Some(span("made")));
}
