use super::*;

fn parsed(text: &str) -> Condition {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn conditions_become_rules() {
    use Comparison::{Equal, GreaterOrEqual, Less, LessOrEqual, NotEqual};

    let filter = |attribute, comparison, value: &str| Filter { attribute, comparison, value: value.to_owned() };
    let keys = |keys: &[&str]| Attribute::Keys(keys.iter().map(|key| (*key).to_owned()).collect());
    let rule = |measure, kind, filters: &[Filter], comparison, limit| Rule::Measure {
        measure,
        spans: Selection { kind, filters: filters.to_vec() },
        comparison,
        limit,
    };
    let service = |name| filter(Attribute::Service, Comparison::Equal, name);
    let p95 = Measure::Duration(Aggregate::Percentile(95.0));
    let server = |area| SpanKind::Kind { kind: "server", area };
    let route = filter(keys(&["http.route"]), Comparison::Equal, "/api/orders");
    let status =
        |comparison, value| filter(keys(&["http.response.status_code", "http.status_code"]), comparison, value);
    for (text, expected) in [
        (
            "p95(http.server duration where service=shop and route=/api/orders) < 300ms",
            rule(p95, server("http"), &[service("shop"), route], Less, 3e8),
        ),
        ("errors == 0", rule(Measure::Errors(Per::Run), SpanKind::Any, &[], Equal, 0.0)),
        ("errors=0", rule(Measure::Errors(Per::Run), SpanKind::Any, &[], Equal, 0.0)),
        (
            "errors where service=shop <= 2",
            rule(Measure::Errors(Per::Run), SpanKind::Any, &[service("shop")], LessOrEqual, 2.0),
        ),
        (
            "spans(service=pricing) per trace <= 3",
            rule(Measure::Count(Per::Trace), SpanKind::Any, &[service("pricing")], LessOrEqual, 3.0),
        ),
        (
            "spans where service = 'a b' per trace <= 3",
            rule(Measure::Count(Per::Trace), SpanKind::Any, &[service("a b")], LessOrEqual, 3.0),
        ),
        (
            "count(server where status>=500) == 0",
            rule(Measure::Count(Per::Run), server(""), &[status(GreaterOrEqual, "500")], Equal, 0.0),
        ),
        (
            "rate(errors http.server where status != 404) < 1%",
            rule(Measure::ErrorRate, server("http"), &[status(NotEqual, "404")], Less, 0.01),
        ),
        (
            "errors http.server where service=shop per trace < 2",
            rule(Measure::Errors(Per::Trace), server("http"), &[service("shop")], Less, 2.0),
        ),
        ("rate(errors) < 0.5", rule(Measure::ErrorRate, SpanKind::Any, &[], Less, 0.5)),
        (
            "p99.9( duration ) < 1.5s",
            rule(Measure::Duration(Aggregate::Percentile(99.9)), SpanKind::Any, &[], Less, 1.5e9),
        ),
        (
            "max(root duration where \"a\"=b) < 250µs",
            rule(Measure::Duration(Aggregate::Max), SpanKind::Root, &[filter(keys(&["a"]), Equal, "b")], Less, 25e4),
        ),
        ("no missing parents", Rule::NoMissingParents(Selection::default())),
        (
            "no missing parents where service=shop",
            Rule::NoMissingParents(Selection { kind: SpanKind::Any, filters: vec![service("shop")] }),
        ),
    ] {
        assert_eq!(parsed(text).rule, expected, "{text}");
    }
    assert_eq!(parsed("  errors \t ==  0\n").text, "errors == 0");
}

#[test]
fn an_error_says_what_was_expected_where() {
    let measures = "a measure (p50 to p99.9, avg, min, max, count, spans, errors, rate, or no missing parents)";
    let comparison = "a comparison (<, <=, ==, !=, >=, >)";
    let attribute = "an attribute (service, route, method, status, url, name, test, or a key such as db.system.name)";
    let spans = "where, or a kind of spans (such as http.server, client, navigation, root)";
    for (text, error) in [
        ("", format!("expected {measures} at the end")),
        ("error == 0", format!("expected {measures} at character 1, not error; did you mean errors?")),
        ("P95(duration) < 1s", format!("expected {measures} at character 1, not P95; did you mean p95?")),
        ("p100(duration) < 1s", "expected a percentile between p0 and p100 at character 1, not p100".to_owned()),
        ("p95 duration < 1s", "expected ( after p95 at character 5, not duration".to_owned()),
        (
            "p95(http.sever duration) < 1s",
            format!("expected {spans} at character 5, not http.sever; did you mean http.server?"),
        ),
        (
            "p95(http.server durations) < 1s",
            "expected duration at character 17, not durations; did you mean duration?".to_owned(),
        ),
        ("p95(http.server duration < 1s", "expected and, where, or ) at character 26, not <".to_owned()),
        ("p95(duration) < 300", "expected a duration with its unit, such as 300ms at character 17, not 300".to_owned()),
        ("p95(duration) < -1s", "expected a duration with its unit, such as 300ms at character 17, not -1s".to_owned()),
        (
            "p95(duration where sevice=shop) < 1s",
            format!("expected {attribute} at character 20, not sevice; did you mean service?"),
        ),
        (
            "p95(duration where service) < 1s",
            "expected a comparison of the attribute, such as = at character 27, not )".to_owned(),
        ),
        ("p95(duration where status>=ok) < 1s", "expected a number at character 28, not ok".to_owned()),
        (
            "p95(duration where service=) < 1s",
            "expected a value (in quotes, if it has spaces or signs) at character 28, not )".to_owned(),
        ),
        ("errors", format!("expected {comparison} at the end")),
        ("errors wher service=shop == 0", format!("expected {spans} at character 8, not wher; did you mean where?")),
        ("errors where status >= 500", format!("expected {comparison} at the end")),
        ("errors < 1.5", "expected a whole number at character 10, not 1.5".to_owned()),
        ("errors < 1ms", "expected a whole number at character 10, not 1ms".to_owned()),
        ("errors == 0 and errors == 1", "expected the end of the condition at character 13, not and".to_owned()),
        ("rate(errors) < 101%", "expected a share, such as 1% or 0.01 at character 16, not 101%".to_owned()),
        ("spans per trade <= 1", "expected trace at character 11, not trade; did you mean trace?".to_owned()),
        ("no mising parents", "expected missing at character 4, not mising; did you mean missing?".to_owned()),
        ("errors ! 0", "unexpected ! at character 8".to_owned()),
        ("errors where name='x == 0", "the quote at character 19 is not closed".to_owned()),
        ("größe = 1", format!("expected {measures} at character 1, not größe")),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap_err(), error, "{text}");
    }
    let long = "x".repeat(2001);
    assert_eq!(long.parse::<Condition>().unwrap_err(), "it has 2001 characters, and may have 2000");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[ a-z0-9.()<>=!'\"%*é]{0,60}", any in ".{0,40}") {
        let _ = text.parse::<Condition>();
        let _ = format!("errors where {any} == 0").parse::<Condition>();
    }
}
