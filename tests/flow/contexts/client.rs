//! Tests contexts that a client or the environment sets: their trace is continued.

use serde_json::{Value, json};

use super::{MODES, SPAN, TRACE, id, steps};
use crate::browser_test::{BrowserTest, beside_others};
use crate::propagation::with_main_as_target;
use crate::spans::{SESSION, is_request};
use crate::support::collector::hex;
use crate::support::site::Origin;

fn header(trace_id: &str, flags: &str) -> String {
    format!("00-{trace_id}-{SPAN}-{flags}")
}

#[test]
fn the_trace_of_the_client_is_continued() {
    let _guard = beside_others();
    for mode in MODES {
        let test = BrowserTest::new();
        let headers =
            json!({ "traceparent": header(TRACE, "01"), "tracestate": "rojo=1,congo=2", "baggage": "user=alice" });
        let taken = [
            json!({ "nav": "before" }),
            json!({ "nav": "first", "headers": headers }),
            json!({ "nav": "second" }),
            json!({ "nav": "cross", "path": "/coverage" }),
            json!({ "nav": "elsewhere", "tab": 1 }),
        ];
        let seen = steps(&test, mode, &Value::from(taken.to_vec()), |command| with_main_as_target(&test, command));
        let session = seen.trace("before");
        assert_ne!(session, TRACE);
        // Rules are in place before the extension sees the client's header on the first navigation.
        assert_eq!(seen.trace("first"), if mode == "detailed" { TRACE } else { &session }, "{mode}");
        assert_eq!((seen.trace("second").as_str(), seen.trace("elsewhere")), (TRACE, session.clone()), "{mode}");
        for request in seen.of("second") {
            let values = ["tracestate", "baggage"].map(|name| request.header(name).unwrap_or_default());
            assert_eq!(values, ["rojo=1,congo=2", "user=alice"], "{mode} {}", request.label());
        }
        // Headers that the client sets on every request also go only to targets.
        let crossing = seen.of("cross").filter(|request| request.origin == Origin::Other);
        let leaks: Vec<_> =
            crossing.filter(|request| request.header("traceparent").or(request.header("baggage")).is_some()).collect();
        assert_eq!(leaks.iter().map(|request| request.label()).collect::<Vec<_>>(), [""; 0], "{mode}");

        assert!(seen.run.log.contains(&format!("  also in {TRACE}  ")), "{}", seen.run.log);
        seen.assert_whole(&[SPAN]);
        let navigation = seen.navigation("second");
        assert_eq!(id(navigation).0, TRACE);
        assert_eq!(
            (hex(&navigation.parent_span_id).as_str(), navigation.trace_state.as_str()),
            (SPAN, "rojo=1,congo=2")
        );
        // HAS_IS_REMOTE, IS_REMOTE, sampled.
        assert_eq!(navigation.flags, 0x301);
        let below: Vec<_> = seen.spans.iter().filter(|span| span.parent_span_id == navigation.span_id).collect();
        assert!(below.len() >= 6 && below.iter().all(|span| is_request(span)), "{mode}: {below:?}");
    }
}

#[test]
fn contexts_in_other_formats_are_continued() {
    let _guard = beside_others();
    let multi = json!({ "x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1" });
    for (propagators, headers) in [
        ("b3,tracecontext", json!({ "b3": format!("{TRACE}-{SPAN}-1") })),
        ("b3multi,tracecontext", multi),
        ("jaeger,tracecontext", json!({ "uber-trace-id": format!("{TRACE}:{SPAN}:0:1") })),
    ] {
        let test = BrowserTest::new();
        let taken = json!([{ "nav": "first", "headers": headers }, { "nav": "second" }]);
        let seen = steps(&test, "detailed", &taken, |command| {
            command.env("OTEL_PROPAGATORS", propagators);
        });
        assert_eq!((seen.trace("first").as_str(), seen.trace("second").as_str()), (TRACE, TRACE), "{propagators}");
        seen.assert_whole(&[SPAN]);
    }
}

#[test]
fn the_flags_of_the_client_are_followed() {
    let _guard = beside_others();
    let test = BrowserTest::new();
    let taken = json!([{ "nav": "first", "headers": { "traceparent": header(TRACE, "00") } }]);
    let seen = steps(&test, "detailed", &taken, |_| ());
    assert!(seen.contexts("first").iter().all(|context| context.flags == 0));
    assert_eq!(seen.spans.iter().filter(|span| hex(&span.trace_id) == TRACE).count(), 0);
    let ignoring = steps(&test, "detailed", &taken, |command| {
        command.env("OTEL_TRACES_SAMPLER", "always_on");
    });
    assert!(ignoring.contexts("first").iter().all(|context| context.flags == 1));
}

#[test]
fn a_context_in_the_environment_is_the_sessions_parent() {
    let _guard = beside_others();
    for mode in MODES {
        let test = BrowserTest::new();
        let taken = json!([{ "nav": "first" }, { "nav": "second" }, { "nav": "other", "tab": 1 }]);
        let seen = steps(&test, mode, &taken, |command| {
            command.env("TRACEPARENT", header(TRACE, "01")).env("TRACESTATE", "rojo=1").env("BAGGAGE", "user=alice");
            // The whole session joins, so this scope changes nothing.
            command.env("NAVTRACE_SCOPE", "tab").env("NAVTRACE_PARENT", "join");
        });
        for nav in ["first", "second", "other"] {
            assert_eq!(seen.trace(nav), TRACE, "{mode}");
        }
        for request in seen.of("second") {
            assert_eq!(
                request.header("tracestate").zip(request.header("baggage")),
                Some(("rojo=1", "user=alice")),
                "{mode}"
            );
        }
        seen.assert_whole(&[SPAN]);
        let [session] = seen.named(SESSION)[..] else { panic!("one session") };
        assert_eq!((hex(&session.parent_span_id).as_str(), session.flags), (SPAN, 0x301), "{mode}");
        assert!(seen.spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.trace_state == "rojo=1"), "{mode}");
        assert!(seen.run.log.contains(&format!("navtrace:   {TRACE}  ")), "{}", seen.run.log);
    }
}
