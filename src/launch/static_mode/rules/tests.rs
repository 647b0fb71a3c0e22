use super::*;
use crate::context::propagator::Propagator;
use crate::context::resources::Resources;
use crate::context::targets;
use crate::context::traceparent::SpanContext;
use crate::context::tracestate;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn session() -> SessionContext {
    let json = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;
    serde_json::from_str(json).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<MatchPattern> {
    targets::patterns(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Lists the rules, each as its priority, condition and action.
fn built(policy: &Policy) -> (Vec<(u64, Value, Value)>, Vec<String>) {
    let (rules, problems) = rules(policy, session());
    let rules = rules.as_array().unwrap().clone();
    for (at, rule) in rules.iter().enumerate() {
        assert_eq!(rule["id"], at + 1);
    }
    let parts = |rule: &Value| (rule["priority"].as_u64().unwrap(), rule["condition"].clone(), rule["action"].clone());
    (rules.iter().map(parts).collect(), problems)
}

/// Returns the priorities of the rules: with 1 the rules that set headers.
fn priorities(policy: &Policy) -> Vec<u64> {
    built(policy).0.into_iter().map(|(priority, ..)| priority).collect()
}

#[test]
fn other_kinds_of_requests_may_carry_nothing() {
    let kinds_with_headers = |resources: &str, other_resources| {
        let resources = Resources::parse(&[resources.to_owned()]).unwrap();
        let (rules, _) = built(&Policy { resources, other_resources, ..Policy::default() });
        let with_headers = rules.into_iter().filter(|(priority, ..)| *priority == 1);
        with_headers.map(|(_, condition, _)| condition["resourceTypes"].clone()).collect::<Vec<_>>()
    };
    let main_frame = json!(["main_frame"]);
    assert_eq!(kinds_with_headers("calls", OtherResources::Session), [Value::Null, main_frame.clone()]);
    let calls = json!(["sub_frame", "xmlhttprequest", "ping", "websocket"]);
    assert_eq!(kinds_with_headers("calls", OtherResources::None), [calls, main_frame.clone()]);
    assert_eq!(kinds_with_headers("main_frame", OtherResources::None), [main_frame]);
}

#[test]
fn every_request_gets_the_sessions_context() {
    let (rules, problems) = built(&Policy::default());
    assert_eq!(problems, [""; 0]);
    let mut request_headers = vec![
        json!({"header": "traceparent", "operation": "set", "value": TRACEPARENT}),
        json!({"header": "tracestate", "operation": "remove"}),
    ];
    let removals = foreign::removals(&Policy::default().propagators);
    request_headers.extend(removals.iter().map(|change| json!({"header": change.name, "operation": "remove"})));
    let timing = format!("traceparent;desc=\"{TRACEPARENT}\"");
    let response_headers = json!([{"header": "Server-Timing", "operation": "append", "value": timing}]);
    let remove = json!({
        "type": "modifyHeaders",
        "requestHeaders": [
            {"header": "sec-ch-navtrace", "operation": "remove"},
            {"header": "navtrace", "operation": "remove"},
        ],
    });
    let main_frame = json!({"resourceTypes": ["main_frame"]});
    assert_eq!(
        rules,
        [
            (1, json!({}), json!({"type": "modifyHeaders", "requestHeaders": request_headers.clone()})),
            (
                1,
                main_frame.clone(),
                json!({"type": "modifyHeaders", "requestHeaders": request_headers, "responseHeaders": response_headers}),
            ),
            (3, json!({}), remove.clone()),
            (3, main_frame, remove),
        ]
    );
}

#[test]
fn the_steering_header_is_that_of_the_extension() {
    let steering = include_str!("../../../../extension/context/steering.js");
    for name in STEERING_HEADERS {
        assert!(steering.contains(&format!("STEERING_HEADER = '{name}'")), "{name}");
    }
}

#[test]
fn all_propagators_with_the_parents_state_and_baggage_are_written() {
    let policy = Policy {
        propagators: Propagator::parse_list("tracecontext,baggage,b3,b3multi,jaeger").0,
        parent: Some(SpanContext {
            trace_id: session().trace_id,
            span_id: "b7ad6b7169203331".parse().unwrap(),
            flags: session().flags,
            tracestate: tracestate::parse("a=1").unwrap(),
        }),
        baggage: "user=alice".to_owned(),
        existing: Existing::Keep,
        targets: patterns(&["<all_urls>"]),
        ..Policy::default()
    };
    let headers = |policy: &Policy| built(policy).0[0].2["requestHeaders"].as_array().unwrap().clone();
    let strangers = headers(&Policy { targets: Vec::new(), ..policy.clone() });
    assert!(strangers.len() == 9 && strangers.iter().all(|header| header["header"] != "baggage"), "{strangers:?}");
    let headers = headers(&policy);
    let shown = |header: &Value| {
        let text = |key| header[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("operation"), text("header"), text("value")).trim_end().to_owned()
    };
    insta::assert_snapshot!(headers.iter().map(shown).collect::<Vec<_>>().join("\n"), @r"
    set traceparent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    set tracestate a=1
    set baggage user=alice
    set b3 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1
    set x-b3-traceid 4bf92f3577b34da6a3ce929d0e0e4736
    set x-b3-spanid 00f067aa0ba902b7
    set x-b3-sampled 1
    remove x-b3-flags
    remove x-b3-parentspanid
    set uber-trace-id 4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1
    ");
}

#[test]
fn only_targets_get_headers_and_exclusions_have_priority() {
    let policy = Policy {
        targets: patterns(&["https://*.shop.test/*", "*://api.test:443/*"]),
        exclude: patterns(&["*://*/login"]),
        ..Policy::default()
    };
    let (rules, problems) = built(&policy);
    assert_eq!(problems, [""; 0]);
    let filters: Vec<_> = rules.iter().map(|(_, condition, _)| condition["regexFilter"].as_str()).collect();
    // The second target needs an expression for each scheme.
    assert_eq!(rules.iter().map(|(priority, ..)| *priority).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 2, 2, 3, 3]);
    assert!(filters[..8].iter().all(Option::is_some) && filters[8..] == [None, None], "{filters:?}");
    assert!(rules[..8].iter().all(|(_, condition, _)| condition["isUrlFilterCaseSensitive"] == true));
    assert_eq!(rules[6].2, json!({"type": "allow"}));
    for pair in rules.chunks(2) {
        assert!(pair[0].1.get("resourceTypes").is_none());
        assert_eq!(pair[1].1["resourceTypes"], json!(["main_frame"]));
    }
}

#[test]
fn the_collector_gets_no_headers() {
    let policy = Policy { collector: vec!["http://127.0.0.1:4318/v1/traces".to_owned()], ..Policy::default() };
    let (rules, problems) = built(&policy);
    assert_eq!(problems, [""; 0]);
    assert_eq!(priorities(&policy), [1, 1, 2, 2, 3, 3]);
    for (_, condition, action) in &rules[2..4] {
        assert_eq!(condition["urlFilter"], "|http://127.0.0.1:4318/v1/traces^");
        assert_eq!(*action, json!({"type": "allow"}));
    }
}

#[test]
fn patterns_that_no_rule_can_match_give_no_headers() {
    let long = format!("https://a.test/{}", "x".repeat(200));
    let shown = &long[..100];
    let exclusion = format!(
        "the exclusion \"{shown}\" is too long or complex for a rule of the browser, so nothing gets headers: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all"
    );
    let target = format!(
        "the target \"{shown}\" is too long or complex for a rule of the browser, so it gets no headers: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all"
    );
    let policy = |targets: &[&str], exclude: &[&str]| Policy {
        targets: patterns(targets),
        exclude: patterns(exclude),
        ..Policy::default()
    };
    let excluded = policy(&[], &["https://b.test/*", &long]);
    assert_eq!((priorities(&excluded), built(&excluded).1), (vec![3, 3], vec![exclusion]));
    let one_left = policy(&["https://b.test/*", &long], &[]);
    assert_eq!((priorities(&one_left), built(&one_left).1), (vec![1, 1, 3, 3], vec![target.clone()]));
    let none_left = policy(&[&long], &["https://b.test/*"]);
    assert_eq!((priorities(&none_left), built(&none_left).1), (vec![3, 3], vec![target]));
}

#[test]
fn no_propagator_means_no_header() {
    assert_eq!(priorities(&Policy { propagators: Vec::new(), ..Policy::default() }), [3, 3]);
    // Baggage alone, and there is none.
    let baggage = Policy { propagators: vec![Propagator::Baggage], ..Policy::default() };
    assert_eq!(priorities(&baggage), [3, 3]);
}

#[test]
fn the_manifest_has_rules_and_neither_worker_nor_host() {
    let of_worker = json!({"key": "abc", "background": {"service_worker": "w.js"}, "permissions": ["nativeMessaging"]});
    let manifest = manifest(&of_worker);
    let keys: Vec<&str> = manifest.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(!keys.contains(&"background") && manifest["key"] == "abc", "{keys:?}");
    assert_eq!(manifest["permissions"], json!(["declarativeNetRequest"]));
    assert_eq!(manifest["declarative_net_request"]["rule_resources"][0]["path"], RULES_FILE);
}
