//! Tests what must not be told: addresses that are no targets, and secrets in the addresses of targets.

use std::fs;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, beside_others, logged};
use crate::support::reserved_port::ReservedPort;

/// What the browser's side has of the observations.
#[derive(Deserialize)]
struct Inside {
    /// The popup's HTML.
    popup: String,
    /// The content of the host's journals.
    journal: String,
}

#[test]
fn neither_other_addresses_nor_secrets_are_told() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::new();
        let dead = ReservedPort::new();
        let mut command = test.collecting_from("privacy.mjs");
        command.env("OTHER", test.site.other()).env("DEAD", format!("http://127.0.0.1:{}", dead.number()));
        command.env("NAVTRACE_MODE", mode).env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
        command.env("NAVTRACE_REDACT", "voucher");
        let run = test.run(command);
        let Inside { popup, journal } = logged(&run.log, "PRIVACY ").remove(0);
        let summary: Vec<_> = run.log.lines().filter(|line| line.starts_with("navtrace: ")).collect();
        let read = |extension: &str| fs::read_to_string(test.trace_file().with_extension(extension)).unwrap();
        for (place, text) in [
            ("the popup", popup),
            ("the journal", journal),
            ("the summary", summary.join("\n")),
            ("the file", read("jsonl")),
            ("the page", read("html")),
        ] {
            for word in ["outside-", "hidden-"] {
                let found = text.find(word).map(|at| &text[at.saturating_sub(100)..(at + 60).min(text.len())]);
                assert_eq!(found, None, "{mode}: {place}");
            }
            if place != "the summary" {
                assert!(
                    text.contains("shown=fragment") && text.contains("id_token=REDACTED"),
                    "{mode}: {place}: {text}"
                );
            }
        }
        test.assert_nothing_left();
    }
}
