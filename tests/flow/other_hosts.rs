//! Tests hosts that nobody has named: only those that the client navigates to itself get baggage, and the user is told of the others.

use std::collections::BTreeSet;

use crate::browser_test::{BrowserTest, Run, beside_others, traceparent};
use crate::support::reserved_port::ReservedPort;

const BAGGAGE: &str = "user=alice,region=eu%20west";

/// Runs a script that leads to other hosts.
fn visited(test: &BrowserTest, script: &str, settings: &[(&str, &str)]) -> Run {
    let dead = ReservedPort::new();
    let mut command = test.collecting_from(script);
    command.env("OTHER", test.site.other()).env("DEAD", format!("http://localhost:{}", dead.number()));
    command.envs(settings.iter().copied());
    test.run(command)
}

#[test]
fn baggage_goes_to_hosts_that_the_client_navigates_to() {
    let _guard = beside_others();
    for mode in ["detailed", "lightweight"] {
        let test = BrowserTest::new();
        let run = visited(&test, "client-hosts.mjs", &[("NAVTRACE_MODE", mode), ("BAGGAGE", BAGGAGE)]);
        let carried = |nav: &str, is_document: bool| {
            let requests = run.requests.iter().filter(|request| {
                request.nav.as_deref() == Some(nav) && (request.kind.as_deref() == Some("document")) == is_document
            });
            let baggage = requests.map(|request| {
                traceparent(request);
                request.header("baggage")
            });
            baggage.collect::<BTreeSet<_>>()
        };
        let merged = format!("mine=1,{BAGGAGE}");
        // Rules can't tell who begins a navigation to a new host.
        let own_first = (mode == "detailed").then_some(BAGGAGE);
        for (nav, document, others) in [
            ("goto", Some(Some(BAGGAGE)), Some(BAGGAGE)),
            ("other", None, None),
            ("link", Some(None), None),
            ("redirected", Some(None), None),
            ("again", Some(Some(BAGGAGE)), Some(BAGGAGE)),
            ("popup", Some(None), None),
            ("client", Some(Some(merged.as_str())), Some(merged.as_str())),
            ("client-other", None, Some("mine=1")),
            ("own-first", Some(own_first), Some(BAGGAGE)),
            ("own", Some(Some(BAGGAGE)), Some(BAGGAGE)),
            ("own-subdomain", None, Some(BAGGAGE)),
            ("restarted", None, Some(BAGGAGE)),
            ("restarted-other", None, None),
        ] {
            assert_eq!(carried(nav, true), document.into_iter().collect(), "{mode}: the document of {nav}");
            assert_eq!(carried(nav, false), BTreeSet::from([others]), "{mode}: what {nav} requests");
        }
        assert_eq!(carried("redirect", false), BTreeSet::from([Some(BAGGAGE)]), "{mode}");
        test.assert_nothing_left();
    }
}

#[test]
fn the_summary_tells_to_which_other_hosts_headers_went() {
    let _guard = beside_others();
    let told = |settings: &[(&str, &str)]| {
        let test = BrowserTest::new();
        let run = visited(&test, "other-hosts.mjs", settings);
        test.assert_nothing_left();
        run.log.lines().find(|line| line.contains("headers also went to")).map(ToOwned::to_owned)
    };
    for mode in ["detailed", "lightweight"] {
        let expected = "navtrace: headers also went to 3 hosts that the client did not navigate to; requests to 2 of them failed (dead.localhost, gone.localhost); \
                        use --targets '*://127.0.0.1/*' to prevent that";
        assert_eq!(told(&[("NAVTRACE_MODE", mode)]).as_deref(), Some(expected), "{mode}");
    }
    assert_eq!(told(&[("NAVTRACE_TARGETS", "*://127.0.0.1/*")]), None);
    assert_eq!(told(&[("NAVTRACE_TARGETS", "<all_urls>")]), None, "the user wants all of them");
}
