//! Tests exports of others than the browser.
//!
//! Pages export spans themselves, by OpenTelemetry's web SDK, Faro's transport for OTLP and `navigator.sendBeacon`: the spans are in the run's
//! file, and the exports are no spans and carry no context. Services send in batches, and the run waits for the last one.

use std::collections::BTreeMap;

use crate::browser_test::{BrowserTest, beside_others, script_path};
use crate::support::collector::attribute;

/// The names of the spans that `export.js` exports.
const EXPORTED: [&str; 4] = ["by-beacon-of-json", "by-beacon-of-text", "by-faro", "by-sdk"];

const ALL_OK: &str = r#"EXPORTED {"sdk":true,"faro":true,"text":true,"json":true}"#;

#[test]
fn spans_of_a_page_are_collected_and_their_export_is_not_traced() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let run = test.run(test.collecting_from("exporting.mjs"));
    assert_eq!(run.log.matches(ALL_OK).count(), 2, "{}", run.log);
    let spans = test.collected();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.name.starts_with("by-")) {
        *names.entry(&span.name).or_default() += 1;
    }
    assert_eq!(names, EXPORTED.map(|name| (name, 2)).into());
    let requests: Vec<String> = spans.iter().map(|span| attribute(span, "url.full")).collect();
    assert!(requests.iter().any(|url| url.contains("kind=after")), "{requests:?}");
    let exports: Vec<_> = requests.iter().filter(|url| url.contains("/v1/")).collect();
    assert!(exports.is_empty(), "{exports:?}");
    assert!(!run.log.contains("can't be read"), "{}", run.log);
}

#[test]
fn an_export_carries_no_context_in_any_mode() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight", "static"] {
        let test = BrowserTest::new();
        // The site stands in for a collector, which refuses everything.
        let endpoint = format!("{}/otlp", test.site.main());
        let mut command = test.environment.navtrace(["run", "--", "node"]);
        command.arg(script_path("exporting.mjs")).env("SITE", test.site.main()).env("NAVTRACE_MODE", mode);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env_remove("OTEL_TRACES_EXPORTER");
        let run = test.run(command);
        // The export of the browser's own spans has no origin.
        let of_page = run.requests.iter().filter(|request| request.header("origin").is_some());
        let exports: Vec<_> = of_page.filter(|request| request.path.starts_with("/otlp/v1/")).collect();
        assert!(exports.len() > 5, "{mode}: {exports:#?}\n{}", run.log);
        for request in exports {
            assert_eq!(request.traceparent, [""; 0], "{mode}: {} {}", request.method, request.path);
        }
        let after = run.requests.iter().find(|request| request.kind.as_deref() == Some("after")).unwrap();
        assert_eq!(after.traceparent.len(), 1, "{mode}");
    }
}

#[test]
fn the_last_batch_of_a_service_is_waited_for() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let mut command = test.collecting_from("batching.mjs");
    command.env("TRACES", test.trace_file());
    let run = test.run(command);
    let spans = test.collected();
    for name in ["served /first", "served /second"] {
        let served = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {}", run.log));
        let parent = spans.iter().find(|span| span.span_id == served.parent_span_id).unwrap();
        assert_eq!((parent.trace_id.clone(), parent.kind), (served.trace_id.clone(), 3), "{name}");
    }
    assert!(!run.log.contains("no span of a service"), "{}", run.log);
}
