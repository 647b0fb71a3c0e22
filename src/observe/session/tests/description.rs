//! Tests root spans that scripts describe.

use super::*;

fn described(id: u64, name: Option<&str>, attributes: &[(&str, &str)]) -> Observation {
    Observation::RootDescribed {
        time: 2040.0,
        span_id: span_id(id),
        name: name.map(ToOwned::to_owned),
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

/// Returns the attributes of a span.
fn attributes(span: &Span) -> Vec<(&str, &str)> {
    span.description.iter().flat_map(|it| &it.attributes).map(|(key, value)| (&**key, &**value)).collect()
}

#[test]
fn the_session_has_what_scripts_say_of_it() {
    let root = u64::from_str_radix(ROOT, 16).unwrap();
    let recording = Recording::new().observe(vec![
        described(root, None, &[("test.vu", "1"), ("test.scenario", "ui")]),
        described(root, None, &[("test.vu", "2")]),
        started(2000.0, "1", 0x10, None),
    ]);
    let spans = recording.close(2100);
    let session = spans.last().unwrap();
    assert_eq!(attributes(session), [("test.scenario", "ui"), ("test.vu", "2")]);
    assert!(spans.iter().rev().skip(1).all(|span| span.description.is_none()));
}

#[test]
fn a_navigation_in_a_trace_of_its_own_has_what_scripts_say_of_it() {
    let mut recording = Recording::new();
    // Far more than are remembered at a time.
    for number in 0..3000_u32 {
        let (navigation, time) = (0x1000 + u64::from(number), 2000.0 + 60_000.0 * f64::from(number));
        recording = recording.observe(vec![
            issued(IssuedFor::Navigation, navigation, None, "01"),
            described(navigation, None, &[("test.vu", "1")]),
            navigates(time, &number.to_string(), 0x10_0000 + navigation, navigation),
            completed(time + 10.0, &number.to_string(), 200),
            committed(time + 12.0, navigation),
        ]);
    }
    let spans = recording.close(200_000_000);
    let navigations = spans.iter().filter(|span| matches!(span.operation, Operation::Navigation(_)));
    let described = navigations.filter(|span| attributes(span) == [("test.vu", "1")]).count();
    assert_eq!(described, 3000);
}

#[test]
fn a_clients_span_with_a_name_is_made_here() {
    let page = |navigation: u64| {
        vec![
            issued(IssuedFor::Navigation, navigation, Some(0x7), "01"),
            navigates(2000.0, "1", 0x10, navigation),
            completed(2010.0, "1", 200),
            committed(2012.0, navigation),
        ]
    };
    for (name, is_remote) in [(None, true), (Some("iteration"), false)] {
        let recording = Recording::new()
            .observe(vec![issued(IssuedFor::Client, 0x7, None, "01"), described(0x7, name, &[("test.vu", "1")])])
            // A second page of the client continues the same context.
            .observe(vec![issued(IssuedFor::Client, 0x7, None, "01")])
            .observe(page(0xa));
        let spans = recording.close(2100);
        let navigation = spans.iter().find(|span| span.id == span_id(0xa)).unwrap();
        assert_eq!((navigation.parent, navigation.is_remote), (Some(span_id(0x7)), is_remote), "{name:?}");
        let made = spans.iter().find(|span| span.id == span_id(0x7));
        assert_eq!(made.and_then(|span| span.description.as_ref()?.name.as_deref()), name);
        assert!(made.is_none_or(|span| attributes(span) == [("test.vu", "1")] && span.end >= navigation.end));
    }
}

#[test]
fn what_scripts_say_is_bounded() {
    let long = "x".repeat(10_000);
    let many: Vec<_> = (0..100).map(|number| (format!("{number}{long}"), long.clone())).collect();
    let many: Vec<_> = many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let all = (1..3000).map(|id| described(id, Some(&long), &many[..1])).collect();
    let recording = Recording::new().observe(vec![described(1, Some(&long), &many)]).observe(all);
    let length = serde_json::to_string(&recording.session).unwrap().len();
    assert!(length < 600_000, "{length}");
}
