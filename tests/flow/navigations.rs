//! Tests that requests carry the span id of their navigation in lightweight mode.

use std::collections::{BTreeMap, BTreeSet};

use crate::browser_test::{BrowserTest, alone, traceparent};
use crate::support::site::Recorded;

fn nav(request: &Recorded) -> &str {
    request.nav.as_deref().unwrap_or_else(|| panic!("{} {} has no nav", request.method, request.path))
}

fn is_navigation(request: &Recorded) -> bool {
    request.header("sec-fetch-dest") == Some("document")
}

/// Returns the name of a navigation. A session rule can't tell a navigation from another one that replaces it before its response, so both
/// have one name if they share a span.
fn joined(nav: &str, spans: &BTreeMap<&str, String>) -> String {
    let Some((number, "overtaking")) = nav.rsplit_once('-') else {
        return nav.to_owned();
    };
    let (run, number) = number.rsplit_once('-').unwrap();
    let overtaken = format!("{run}-{}-overtaken", number.parse::<u32>().unwrap() - 1);
    if spans.get(overtaken.as_str()) == spans.get(nav) { overtaken } else { nav.to_owned() }
}

#[test]
fn requests_carry_the_span_id_of_their_navigation() {
    let _guard = alone();
    let test = BrowserTest::new();
    let run = test.traced_in("lightweight", "navigations.js", &[("ITERATIONS", "2")]);
    let mut spans = BTreeMap::new();
    for request in run.requests.iter().filter(|request| is_navigation(request)) {
        spans.entry(nav(request)).or_insert_with(|| traceparent(request).span_id);
    }
    assert!(spans.len() >= 100, "{} navigations were seen", spans.len());
    let mut users: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (nav, span) in &spans {
        users.entry(span).or_default().insert(joined(nav, &spans));
    }
    let shared: Vec<_> = users.values().filter(|navs| navs.len() > 1).collect();
    assert!(shared.is_empty(), "navigations that share a span: {shared:?}");

    let strays: Vec<_> = run
        .requests
        .iter()
        .filter(|request| spans.get(nav(request)) != Some(&traceparent(request).span_id))
        .map(|request| format!("{} of {}", request.path, nav(request)))
        .collect();
    let total = run.requests.len();
    let own = total - strays.len();
    #[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
    let share = 100.0 * own as f64 / total as f64;
    println!(
        "{own} of {total} requests ({share:.2} %) carry their own navigation's span id, over {} navigations",
        spans.len()
    );
    println!("the others: {strays:?}");
    assert!(share >= 99.0, "only {share:.2} %: {strays:?}");
    test.assert_nothing_left();
}
