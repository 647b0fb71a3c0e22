//! Tests what must not be told: addresses that are no targets, and secrets in the addresses of targets.

use std::fs;
use std::process::Stdio;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, exclusive, logged, script_path};
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
    let _guard = exclusive();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::new();
        let dead = ReservedPort::new();
        let file = test.environment.home().join("traces.jsonl");
        let mut command = test.environment.navtrace(["run", "--listen", "127.0.0.1:0", "--output"]);
        command.arg(&file).args(["--", "node"]).arg(script_path("privacy.mjs")).stdin(Stdio::null());
        command.env("SITE", test.site.main()).env("OTHER", test.site.other());
        command.env("DEAD", format!("http://127.0.0.1:{}", dead.number()));
        command.env("NAVTRACE_MODE", mode).env("NAVTRACE_TARGETS", format!("{}/*", test.site.main()));
        command.env("NAVTRACE_REDACT", "voucher").env_remove("OTEL_TRACES_EXPORTER");
        let run = test.run(command);
        let Inside { popup, journal } = logged(&run.log, "PRIVACY ").remove(0);
        let summary: Vec<_> = run.log.lines().filter(|line| line.starts_with("navtrace: ")).collect();
        let read = |name: &str| fs::read_to_string(test.environment.home().join(name)).unwrap();
        for (place, text) in [
            ("the popup", popup),
            ("the journal", journal),
            ("the summary", summary.join("\n")),
            ("the file", read("traces.jsonl")),
            ("the page", read("traces.html")),
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
