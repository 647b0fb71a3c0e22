//! Tests that what is under way ends with its page or its browser context, of which Chromium does not report everything.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser_test::{BrowserTest, beside_others};
use crate::spans::{is_request, is_unfinished};
use crate::support::collector::attribute;

/// Requests that end with what closes, each with a page that was loaded after that.
const CANCELLED: [(&str, &str); 8] = [
    ("page-fetch", "page-over"),
    ("context-fetch", "context-over"),
    ("context-body", "context-over"),
    ("context-kept", "context-over"),
    ("context-worker", "context-over"),
    ("context-frame", "context-over"),
    ("shared-worker", "last-over"),
    ("last-image", "last-over"),
];

/// Requests that go on when their page has closed, each with a page that was loaded after that.
const KEPT: [(&str, &str); 3] =
    [("page-kept", "page-over"), ("page-beacon", "page-over"), ("left-kept", "left-closed")];

/// Returns the step of a request: the query of its address.
fn step(span: &Span) -> String {
    attribute(span, "url.full").split_once('?').map_or_else(String::new, |(_, step)| step.to_owned())
}

#[test]
fn what_is_under_way_ends_with_its_page_or_context() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::new();
        let mut command = test.collecting_from("closing.mjs");
        command.env("NAVTRACE_MODE", mode);
        test.run(command);
        test.assert_nothing_left();
        let mut spans = test.collected();
        // The page by which the script waits. The browser closes too early for its spans.
        spans.retain(|span| step(span) != "settling");
        let unfinished: Vec<_> = spans.iter().filter(|span| is_unfinished(span)).map(step).collect();
        assert_eq!(unfinished, [""; 0], "{mode}");
        let requests: BTreeMap<_, _> =
            spans.iter().filter(|span| is_request(span)).map(|span| (step(span), span)).collect();
        let of = |step: &str| *requests.get(step).unwrap_or_else(|| panic!("{mode}: {step} has no span"));
        for (step, later) in CANCELLED {
            let span = of(step);
            assert_eq!(attribute(span, "navtrace.request.cancelled"), "true", "{mode}: {step}");
            assert!(
                span.end_time_unix_nano <= of(later).start_time_unix_nano,
                "{mode}: {step} ends after {later} has begun"
            );
        }
        for (step, earlier) in KEPT {
            let ends = of(step).end_time_unix_nano;
            assert!(ends > of(earlier).end_time_unix_nano, "{mode}: {step} ends before {earlier} has loaded");
        }
    }
}
