//! Tests that a steering header leaves the browser in no mode, and that pages which ask other sites do not notice it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use serde::Deserialize;

use crate::browser_test::{BrowserTest, beside_others, logged, script_path};

/// What `steered.mjs` logs.
#[derive(Deserialize)]
struct Steered {
    /// The parts of the page that failed.
    failures: Vec<String>,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    /// `main` or `other`.
    site: String,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Ways in which the page and its workers ask the other site, and one in which another site's frame does.
const ASKED: [&str; 13] = [
    "/image",
    "/simple",
    "/no-cors",
    "/post",
    "/put",
    "/xhr",
    "/redirected",
    "/socket",
    "/frame",
    "/frame-put",
    "/of-worker",
    "/of-service-worker",
    "/beacon",
];

/// Loads the page in a mode, with the settings of the test. Returns its requests and the log.
fn steered(settings: &[(&str, &str)]) -> (Steered, String) {
    let test = BrowserTest::new();
    let mut command = test.environment.navtrace(["run", "--", "node"]);
    command.arg(script_path("steered.mjs")).stdin(Stdio::null()).envs(settings.iter().copied());
    command.env("STEERING", format!("sampling=1; traceparent=00-{TRACE}-00f067aa0ba902b7-01")).env("OLD", "new-trace");
    let run = test.run(command);
    (logged(&run.log, "STEERED ").remove(0), run.log)
}

#[test]
fn other_sites_notice_no_steering() {
    let _guard = beside_others();
    for settings in [
        &[("NAVTRACE_MODE", "detailed")][..],
        &[("NAVTRACE_MODE", "detailed"), ("NAVTRACE_TARGETS", "http://127.0.0.1/*"), ("NAVTRACE_RESOURCES", "calls")],
        &[("NAVTRACE_MODE", "lightweight")],
        &[("NAVTRACE_MODE", "lightweight"), ("NAVTRACE_TARGETS", "http://127.0.0.1/*")],
        &[("NAVTRACE_MODE", "static")],
    ] {
        let (seen, log) = steered(settings);
        assert_eq!(seen.failures, [""; 0], "{settings:?}");
        let of_others = seen.requests.iter().filter(|request| request.site == "other");
        let asked: BTreeSet<_> = of_others.map(|request| request.path.as_str()).collect();
        assert!(ASKED.iter().all(|path| asked.contains(path)), "{settings:?}: {asked:?}");
        for Request { site, method, path, headers } in &seen.requests {
            let text = format!("{settings:?}: {method} {site}{path} {headers:?}");
            assert!(
                headers.iter().all(|(name, value)| !name.contains("navtrace") && !value.contains("navtrace")),
                "{text}"
            );
            // The one request that needs a preflight needs it for its method.
            assert!(method != "OPTIONS" || path == "/put", "{text}");
            assert!(!headers.contains_key("access-control-request-headers"), "{text}");
        }
        if settings[0].1 == "static" {
            continue;
        }
        assert!(log.contains(&format!("also in {TRACE}  ")) || log.contains(&format!("{TRACE} ")), "{log}");
        let mut own = seen.requests.iter().filter(|request| request.path == "/own");
        let last =
            own.next_back().and_then(|request| request.headers.get("traceparent")).map(|value| value[3..35].to_owned());
        assert_eq!(last.as_deref(), Some(TRACE), "{settings:?}");
        let told =
            "navtrace: the header navtrace makes requests to other origins fail: use sec-ch-navtrace, which does not\n";
        assert_eq!(log.matches(told).count(), 1, "{settings:?}: {log}");
    }
}
