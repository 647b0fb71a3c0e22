//! Tests static mode with the real browser: without a worker, a host or a hold on the start, every request carries the session's context.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::browser::{Browser, wait_until};
use crate::browser_test::{BrowserTest, beside_others, traceparent};
use crate::coverage::covered;
use crate::navtrace::{Environment, stdout};
use crate::propagation::{only_targets, propagated, with_long_pattern};
use crate::server_timing::named_and_sent;
use crate::spans::{SESSION, Trace, assert_no_journal, spooled};
use crate::support::collector::{Collector, hex, spans_in};
use crate::support::sdk::SdkServer;
use crate::support::site::Origin;

#[test]
fn every_kind_of_request_carries_the_sessions_context() {
    let _guard = beside_others();
    let run = covered("static");
    let ids: BTreeSet<_> = run.requests.iter().map(|request| traceparent(request).span_id).collect();
    assert_eq!(ids.len(), 3, "one span id per iteration");
}

#[test]
fn all_propagators_are_read_by_the_sdks_in_static_mode() {
    let _guard = beside_others();
    let (node, go) = (SdkServer::node(), SdkServer::go());
    propagated(&node, &go, "static", &["tracecontext", "baggage", "b3", "b3multi", "jaeger"]);
    propagated(&node, &go, "static", &["b3"]);
}

#[test]
fn nobody_but_targets_gets_a_header_in_static_mode() {
    let _guard = beside_others();
    for setting in ["NAVTRACE_TARGETS", "NAVTRACE_EXCLUDE"] {
        for target in [Origin::Main, Origin::Other] {
            only_targets("static", "all", setting, target);
        }
    }
}

#[test]
fn patterns_too_long_for_static_rules_give_no_headers() {
    let _guard = beside_others();
    for (setting, told) in
        [("NAVTRACE_TARGETS", "so it gets no headers"), ("NAVTRACE_EXCLUDE", "so nothing gets headers")]
    {
        let (run, with, without) = with_long_pattern("static", setting);
        assert!(run.log.contains(told) && run.log.contains("shorten it, or use detailed mode"), "{}", run.log);
        assert_eq!((with > 5, without > 5), (told.contains("it gets"), told.contains("nothing")), "{setting}");
    }
}

#[test]
fn the_response_of_a_navigation_names_the_session() {
    let _guard = beside_others();
    let pairs = named_and_sent("static");
    assert!(pairs.iter().all(|(named, sent)| named == sent), "{pairs:?}");
}

#[test]
fn the_root_span_is_in_the_runs_file() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let file = test.environment.home().join("traces.jsonl");
    let mut command = test.environment.navtrace(["run", "--mode", "static", "--output"]);
    command.arg(&file).args(["--", "k6"]).env_remove("OTEL_TRACES_EXPORTER");
    test.script(&mut command, "two-pages.js", &[("ITERATIONS", "3")]);
    let run = test.run(command);
    let lines: Vec<_> = run.log.lines().filter(|line| line.contains("  static mode: ")).collect();
    assert_eq!(lines.len(), 3, "{}", run.log);
    let end = "  static mode: navigations and requests have no spans  1 span exported";
    assert!(lines.iter().all(|line| line.ends_with(end) && !line.contains(" 0 ")), "{lines:#?}");
    let all = spans_in(&fs::read_to_string(file).unwrap());
    assert_eq!(run.summary(), run.trace_ids());
    for id in run.summary() {
        let trace = Trace::of(&id, &all);
        let [root] = trace.spans().collect::<Vec<_>>()[..] else { panic!("{id}") };
        let sent = run.requests.iter().map(traceparent).find(|sent| sent.trace_id == id).unwrap();
        assert_eq!((root.name.as_str(), hex(&root.span_id)), (SESSION, sent.span_id));
    }
    test.assert_nothing_left();
    assert_no_journal(&test);
    assert_eq!(spooled(&test), []);
}

#[test]
fn a_killed_browser_in_static_mode_has_its_root_span() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let collector = Collector::start();
    let mut command = test.environment.navtrace(["launch"]);
    command.envs(Environment::exporting(&collector.endpoint())).env("NAVTRACE_MODE", "static").process_group(0);
    let mut browser = Browser::start(command, &test);
    browser.until_armed();
    browser.open("/page", "first");
    wait_until("the first request", || !test.site.requests().is_empty());
    let group = Pid::from_raw(i32::try_from(browser.id()).unwrap()).unwrap();
    kill_process_group(group, Signal::KILL).unwrap();
    browser.wait();
    let spans = collector.wait_for(Duration::from_secs(10), |spans| !spans.is_empty());
    let sent = traceparent(&test.site.requests()[0]);
    assert_eq!((hex(&spans[0].trace_id), hex(&spans[0].span_id)), (sent.trace_id, sent.span_id));
    drop(browser);
    test.assert_nothing_left();
}

#[test]
fn the_doctor_checks_static_mode() {
    let _guard = beside_others();
    let environment = Environment::new();
    let output = environment.navtrace(["doctor"]).env("NAVTRACE_MODE", "static").output().unwrap();
    let report = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    // The sandbox depends on the user who runs the tests.
    let lines: Vec<&str> = report.lines().filter(|line| !line.contains("  sandbox  ")).collect();
    assert_eq!(lines.len(), 8, "{report}");
    assert!(lines[..7].iter().all(|line| line.starts_with("ok    ")), "{report}");
    assert!(lines[5].ends_with("static, as NAVTRACE_MODE says: the session's span id on every request"), "{report}");
    assert!(lines[6].contains("the server received traceparent: 00-"), "{report}");
    assert_eq!(environment.left_behind(), [""; 0]);
}
