//! Tests that each attempt of a test of Playwright Test is a trace, in a project that knows nothing of navtrace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::browser_test::{BrowserTest, beside_others, chromium, script_path, traceparent};
use crate::clients::node_program;
use crate::spans::{NAVIGATION, SESSION};
use crate::support::collector::{attribute, hex};

/// The attempts of `shop-tests`, each by the name that its requests have, with the span's name, the result and the number of navigations.
const ATTEMPTS: [(&str, &str, &str, usize); 4] = [
    ("passes-0", "cart › passes", "pass", 3),
    ("fails-0", "cart › fails", "fail", 1),
    ("fails-1", "cart › fails", "fail", 1),
    ("people-0", "two people", "pass", 2),
];

/// Returns the names of a span's ancestors, the nearest first.
fn above<'a>(spans: &'a [Span], span: &Span) -> Vec<&'a str> {
    let parent = |id: &[u8]| spans.iter().find(|other| other.span_id == id);
    std::iter::successors(parent(&span.parent_span_id), |span| parent(&span.parent_span_id))
        .map(|span| span.name.as_str())
        .collect()
}

#[test]
fn each_attempt_of_a_test_is_a_trace() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let home = test.environment.home();
    let mut command = test.collecting("sh");
    // The runner exits with 1, since a test fails.
    command.args(["-c", r#""$@"; test $? = 1"#, "sh", &node_program("playwright"), "test", "--config"]);
    command.arg(script_path("shop-tests")).arg("--output").arg(home.join("results")).stdin(Stdio::null());
    command.env("SITE", test.site.main()).env("PWTEST_CACHE_DIR", home.join("cache")).env("SECOND", "1");
    command
        .env("PLAYWRIGHT_HTML_OUTPUT_DIR", home.join("html"))
        .env("PLAYWRIGHT_JUNIT_OUTPUT_FILE", home.join("junit.xml"));
    let run = test.run(command);
    test.assert_nothing_left();
    let spans = test.collected();
    let roots: Vec<&Span> = spans.iter().filter(|span| !attribute(span, "test.case.name").is_empty()).collect();
    assert_eq!(roots.len(), ATTEMPTS.len(), "{}", run.log);

    // Requests of the tests themselves, outside of the browser, carry nothing.
    let (outside, inside): (Vec<_>, Vec<_>) = run
        .requests
        .iter()
        .filter(|request| request.run.is_some())
        .partition(|request| request.nav.as_deref() == Some("api"));
    assert!(outside.len() == 2 && outside.iter().all(|request| request.traceparent.is_empty()));
    let mut traces = BTreeMap::<&str, BTreeSet<String>>::new();
    for request in &inside {
        traces.entry(request.run.as_deref().unwrap()).or_default().insert(traceparent(request).trace_id);
    }
    let expected: BTreeSet<_> = ATTEMPTS.map(|(run, ..)| run).into();
    assert_eq!(traces.keys().copied().collect::<BTreeSet<_>>(), expected, "{}", run.log);
    for (requests, name, result, navigations) in ATTEMPTS {
        let [trace] = traces[requests].iter().collect::<Vec<_>>()[..] else {
            panic!("{requests}: {:?}", traces[requests])
        };
        let root = roots.iter().find(|root| hex(&root.trace_id) == *trace).unwrap_or_else(|| panic!("{requests}"));
        assert_eq!((root.name.as_str(), root.parent_span_id.as_slice()), (name, &[][..]));
        let retry = requests.rsplit('-').next().unwrap();
        let file = script_path("shop-tests/shop.spec.mjs");
        for (key, value) in [
            ("test.case.result.status", result),
            ("test.case.name", &format!("shop.spec.mjs › {name}")),
            ("test.suite.name", name.split_once(" › ").map_or("shop.spec.mjs", |(suite, _)| suite)),
            ("code.file.path", &file),
            ("navtrace.test.project", "web"),
            ("navtrace.test.retry", retry),
        ] {
            assert_eq!(attribute(root, key), value, "{requests}: {key}");
        }
        assert_ne!(attribute(root, "code.line.number"), "");
        assert_eq!(attribute(root, "navtrace.test.tags").contains("@smoke"), requests == "passes-0");
        let exceptions: Vec<_> = root.events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(exceptions, if result == "fail" { vec!["exception"] } else { vec![] });
        let message = root.status.clone().unwrap_or_default().message;
        assert_eq!(
            message.starts_with("Error: is another page\n\nexpect(page)") && !message.contains('\u{1b}'),
            result == "fail"
        );

        let own: Vec<Span> = spans.iter().filter(|span| hex(&span.trace_id) == *trace).cloned().collect();
        for span in &own {
            let is_whole = span.span_id == root.span_id || above(&own, span).last() == Some(&name);
            assert!(is_whole, "{requests}: the parent of {} is missing", span.name);
            assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{}", span.name);
        }
        let loads: Vec<_> = own.iter().filter(|span| span.name == NAVIGATION).map(|span| above(&own, span)).collect();
        assert_eq!(loads.len(), navigations, "{requests}: {loads:?}");
        let step = match requests {
            "passes-0" => vec!["Navigate", "Reload"],
            _ => vec!["Navigate"],
        };
        assert!(loads.iter().all(|above| step.contains(&above[0])), "{requests}: {loads:?}");
        if requests == "passes-0" {
            assert!(loads.contains(&vec!["Navigate", "beforeEach hook", "Before Hooks", name]), "{loads:?}");
            assert!(loads.contains(&vec!["Navigate", "goes on", name]), "{loads:?}");
            assert!(loads.contains(&vec!["Reload", "goes on", name]), "{loads:?}");
        }
        let contexts = own.iter().filter(|span| span.name == "browser context");
        assert_eq!(contexts.count(), if requests == "people-0" { 2 } else { 1 }, "{requests}");
    }
    // Each worker's browser is a trace of its own.
    let sessions: Vec<_> = spans.iter().filter(|span| span.name == SESSION).collect();
    assert!(sessions.iter().all(|session| roots.iter().all(|root| root.trace_id != session.trace_id)));
    assert!(!spans.iter().any(|span| span.name.contains("never runs")));
    let api: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "GET" && !attribute(span, "navtrace.step.category").is_empty())
        .collect();
    assert!(
        api.len() == 2 && api.iter().all(|step| attribute(step, "url.full").ends_with("&token=REDACTED")),
        "{api:?}"
    );

    assert_summary_and_reports(&test, &run.log, &traces);
}

#[test]
fn listing_tests_and_merging_reports_is_quiet() {
    let test = BrowserTest::new();
    let home = test.environment.home();
    let blobs = home.join("blobs").into_os_string().into_string().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = test.collecting(&node_program("playwright"));
        command.args(arguments).stdin(Stdio::null()).current_dir(home);
        command.env("SITE", test.site.main()).env("PWTEST_CACHE_DIR", home.join("cache"));
        command.env("PLAYWRIGHT_BLOB_OUTPUT_DIR", &blobs).env("PLAYWRIGHT_HTML_OUTPUT_DIR", home.join("html"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let config = script_path("shop-tests");
    let results = home.join("results").into_os_string().into_string().unwrap();
    let (listed, log) = run(&["test", "--config", &config, "--list", "--output", &results]);
    assert!(listed.contains("cart › passes") && !log.contains("no browser was traced"), "{listed} {log}");
    // The reports of a run in which every test is skipped.
    run(&["test", "--config", &config, "--output", &results, "--grep", "never runs", "--reporter", "blob"]);
    let (merged, log) = run(&["merge-reports", "--reporter", "list", &blobs]);
    assert!(merged.contains("never runs") && !log.contains("no browser was traced"), "{merged} {log}");
}

/// Asserts that the summary and the reports of Playwright name the traces of the tests.
fn assert_summary_and_reports(test: &BrowserTest, log: &str, traces: &BTreeMap<&str, BTreeSet<String>>) {
    let home = test.environment.home();
    let trace = |requests: &str| traces[requests].first().unwrap().as_str();
    for (requests, name, result, _) in ATTEMPTS {
        let failed = if result == "fail" { "  failed" } else { "" };
        let line = format!("navtrace:   {}  {name}{failed}  ", trace(requests));
        assert!(log.contains(&line), "{line} is not in {log}");
    }
    assert!(
        log.contains("navtrace: 4 traces, 3 sessions\n") && !log.contains("without a browser of this run"),
        "{log}"
    );

    let view = test.environment.navtrace(["view"]).arg(test.trace_file()).arg(trace("fails-1")).output().unwrap();
    let view = String::from_utf8(view.stdout).unwrap();
    assert!(
        view.contains("\ncart › fails ") && view.contains(" Navigate /page ") && view.contains(" GET /page "),
        "{view}"
    );

    let page = format!("file://{}", home.join("traces.html").display());
    let junit = fs::read_to_string(home.join("junit.xml")).unwrap();
    let cases: Vec<&str> = junit.split("<testcase ").skip(1).collect();
    let case = |name: &str| *cases.iter().find(|case| case.contains(name)).unwrap();
    let properties =
        |id: &str| [format!("name=\"trace\" value=\"{id}\""), format!("name=\"trace link\" value=\"{page}#{id}\"")];
    for (requests, name, ..) in ATTEMPTS {
        let case = case(name);
        assert!(properties(trace(requests)).iter().all(|property| case.contains(property)), "{case}");
        let attempts = ATTEMPTS.iter().filter(|attempt| attempt.1 == name).count();
        assert_eq!(case.matches("name=\"trace\"").count(), attempts, "{case}");
    }
    assert!(!case("never runs").contains("name=\"trace\""));

    let mut command = test.without_navtrace("node");
    command.arg(script_path("report.mjs")).arg(home.join("html")).env("CHROME_BIN", chromium());
    let output = command.output().unwrap();
    let tests = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for requests in ["passes-0", "fails-0", "people-0"] {
        let shown = format!("trace: {0}\\ntrace link: {page}#{0}\\n", trace(requests));
        assert!(tests.lines().any(|text| text.contains(&shown)), "{shown} is not in {tests}");
    }
}
