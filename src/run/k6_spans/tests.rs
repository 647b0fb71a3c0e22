use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::*;

const HOST: usize = 7;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

/// Ids of k6's spans.
const ITERATION_ID: u8 = 1;
const NAVIGATION_ID: u8 = 2;

/// A span of k6 in its trace `trace`, with times in milliseconds.
fn span(trace: u8, id: u8, parent: u8, name: &str, (start, end): (u64, u64)) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace, 0, 0, 0, 0, 0, 0, id],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![trace, 0, 0, 0, 0, 0, 0, parent] },
        name: name.to_owned(),
        start_time_unix_nano: start * 1_000_000,
        end_time_unix_nano: end * 1_000_000,
        ..Span::default()
    }
}

fn text(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn iteration(trace: u8) -> Span {
    let of = |key: &str, value| text(key, Value::IntValue(value));
    let scenario = text("test.scenario", Value::StringValue("ui".to_owned()));
    let attributes = vec![of("test.vu", trace.into()), of("test.iteration.number", 4), scenario];
    Span { attributes, ..span(trace, ITERATION_ID, 0, "iteration", (900, 2000)) }
}

fn navigation(trace: u8) -> Span {
    span(trace, NAVIGATION_ID, ITERATION_ID, "navigation", (1000, 1900))
}

fn click(trace: u8, period: (u64, u64)) -> Span {
    span(trace, 3, NAVIGATION_ID, "locator.click", period)
}

fn exported(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = Some(InstrumentationScope { name: "k6.browser".to_owned(), ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// What a host tells of a page: the id of k6's navigation.
fn page(trace: u8, in_trace: &str, root: &str, since: f64, flags: &str) -> IterationTrace {
    IterationTrace {
        k6_span_id: SpanId::of_bytes(&[trace, 0, 0, 0, 0, 0, 0, NAVIGATION_ID]).unwrap(),
        trace_id: in_trace.parse().unwrap(),
        root: root.parse().unwrap(),
        flags: flags.parse().unwrap(),
        tracestate: "a=1".to_owned(),
        since,
    }
}

fn page_of(trace: u8) -> IterationTrace {
    page(trace, TRACE, &format!("{trace:016x}"), 1000.0, "01")
}

/// Shows what hosts are told.
fn told(effects: &K6Effects) -> Vec<String> {
    let shown = |(host, notice): &(usize, Notice)| match notice {
        Notice::Step(step) => format!("{host}: {} {:?}", step.start, step.end.unwrap()),
        Notice::Iteration(ended) => format!("{host}: {} {:?}", ended.root, ended.attributes),
        other => panic!("{other:?}"),
    };
    effects.notices.iter().map(shown).collect()
}

/// Shows the spans that were moved, each with its parent.
fn moved(effects: &K6Effects) -> Vec<String> {
    let scopes = effects.request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans = scopes.flat_map(|scope| {
        assert_eq!(scope.scope.as_ref().unwrap().name, "k6.browser");
        &scope.spans
    });
    let root = |span: &Span| SpanId::of_bytes(&span.parent_span_id).unwrap();
    let shown = |span: &Span| {
        assert_eq!((span.trace_state.as_str(), span.flags), ("a=1", 0x301));
        format!("{} below {}", span.name, root(span))
    };
    spans.map(shown).collect()
}

#[test]
fn actions_go_to_the_trace_of_the_page_and_the_iteration_to_its_root() {
    let mut k6 = K6Spans::default();
    let goto = span(1, 9, ITERATION_ID, "page.goto", (1000, 1100));
    assert_eq!(moved(&k6.receive(exported(vec![goto]))), [""; 0]);
    assert_eq!(moved(&k6.found(HOST, &page_of(1))), [""; 0], "no span of that page has come");
    // An action names the page's span before that has ended.
    let effects = k6.receive(exported(vec![click(1, (1200, 1300))]));
    assert_eq!(moved(&effects), ["page.goto below 0000000000000001", "locator.click below 0000000000000001"]);
    assert_eq!(told(&effects), ["7: 1000 1100.0", "7: 1200 1300.0"]);
    let vital = span(1, 8, NAVIGATION_ID, "web_vital", (1300, 1300));
    let effects = k6.receive(exported(vec![vital, navigation(1), iteration(1)]));
    assert_eq!(moved(&effects), [""; 0], "the browser has spans of these");
    let attributes = r#"{"test.iteration.number": "4", "test.scenario": "ui", "test.vu": "1"}"#;
    assert_eq!(told(&effects), [format!("7: 0000000000000001 {attributes}")]);
    for root in [None, Some(page_of(1).root)] {
        assert_eq!(k6.label(TRACE.parse().unwrap(), root), Some("ui, VU 1, iteration 4"));
    }
    assert_eq!(k6.label(TRACE.parse().unwrap(), Some(page_of(2).root)), None);
    assert_eq!(k6.sentence(), None);

    // A host that takes the session over.
    assert_eq!(told(&k6.found(HOST + 1, &page_of(1))), [format!("8: 0000000000000001 {attributes}")]);
}

#[test]
fn iterations_of_the_same_time_stay_apart() {
    let mut k6 = K6Spans::default();
    k6.receive(exported(vec![click(1, (1200, 1300)), click(2, (1200, 1300)), click(3, (1200, 1300))]));
    assert_eq!(moved(&k6.found(HOST, &page_of(2))), ["locator.click below 0000000000000002"]);
    assert_eq!(moved(&k6.found(HOST, &page_of(1))), ["locator.click below 0000000000000001"]);
    assert_eq!(
        k6.sentence().unwrap(),
        "1 span of k6 left out: in the iteration no page was traced, or none could be loaded"
    );
}

#[test]
fn an_action_lasts_as_long_as_the_script_waits_beside_it() {
    let wait = |trace| span(trace, 5, NAVIGATION_ID, "page.waitForNavigation", (1201, 1500));
    for wait_is_last in [true, false] {
        let mut k6 = K6Spans::default();
        k6.found(HOST, &page_of(1));
        let mut spans = vec![click(1, (1200, 1300)), wait(1)];
        if !wait_is_last {
            spans.reverse();
        }
        let effects = k6.receive(exported(spans));
        assert_eq!(moved(&effects).len(), 2);
        assert_eq!(told(&effects).last().unwrap(), "7: 1200 1500.0", "a wait causes nothing itself");
    }
    // A wait that begins after the action.
    let mut k6 = K6Spans::default();
    k6.found(HOST, &page_of(1));
    assert_eq!(told(&k6.receive(exported(vec![click(1, (1100, 1200)), wait(1)]))), ["7: 1100 1200.0"]);
}

#[test]
fn an_iteration_with_two_contexts_has_two_traces() {
    let mut k6 = K6Spans::default();
    k6.receive(exported(vec![navigation(1)]));
    k6.found(HOST, &page(1, OTHER, "00000000000000bb", 1500.0, "01"));
    k6.found(HOST, &page_of(1));
    let second = Span { span_id: vec![6; 8], ..click(1, (1450, 1550)) };
    let effects = k6.receive(exported(vec![click(1, (1100, 1200)), second, iteration(1)]));
    assert_eq!(moved(&effects), ["locator.click below 0000000000000001", "locator.click below 00000000000000bb"]);
    assert_eq!(told(&effects).len(), 4, "each root is told of the iteration");
}

#[test]
fn nothing_is_moved_into_a_trace_that_is_not_sampled() {
    let mut k6 = K6Spans::default();
    k6.found(HOST, &page(1, TRACE, "00000000000000aa", 1000.0, "00"));
    let effects = k6.receive(exported(vec![click(1, (1200, 1300)), iteration(1)]));
    assert_eq!(moved(&effects), [""; 0]);
    assert_eq!(k6.sentence(), None);
}

#[test]
fn secrets_are_redacted() {
    let mut k6 = K6Spans::default();
    k6.found(HOST, &page_of(1));
    let url = text("page.goto.url", Value::StringValue("http://u:p@shop.test/?password=x".to_owned()));
    let effects = k6.receive(exported(vec![Span { attributes: vec![url], ..click(1, (1200, 1300)) }]));
    let shown = format!("{:?}", effects.request);
    assert!(shown.contains("shop.test") && !shown.contains("=x") && !shown.contains("u:p"), "{shown}");
}

#[test]
fn what_waits_is_bounded() {
    let mut k6 = K6Spans::default();
    for _ in 0..=MAX_WAITING / 100 {
        k6.receive(exported((0..100).map(|id| Span { span_id: vec![id + 1; 8], ..click(1, (1, 2)) }).collect()));
    }
    assert_eq!((k6.waiting, k6.iterations.len(), k6.traces.len()), (0, 0, 0));
    assert_eq!(k6.dropped, MAX_WAITING + 100);
}

#[test]
fn an_iteration_without_waiting_spans_stays() {
    let mut k6 = K6Spans::default();
    k6.found(HOST, &page_of(1));
    assert_eq!(moved(&k6.receive(exported(vec![click(1, (1200, 1300))]))).len(), 1);
    let of_second = (0..=MAX_WAITING).map(|_| click(2, (1, 2)));
    k6.receive(exported(of_second.chain([click(3, (1, 2))]).collect()));
    assert_eq!((k6.waiting, k6.iterations.len(), k6.dropped), (1, 2, MAX_WAITING + 1));
    k6.receive(exported(vec![iteration(1)]));
    assert_eq!(k6.label(TRACE.parse().unwrap(), None), Some("ui, VU 1, iteration 4"));
    // Of too many iterations the oldest goes, whatever it has.
    for number in 0..MAX_TRACES {
        let trace_id = [vec![9; 8], number.to_be_bytes().to_vec()].concat();
        k6.receive(exported(vec![Span { trace_id, ..click(9, (1, 2)) }]));
    }
    assert_eq!((k6.iterations.len(), k6.order.len()), (MAX_TRACES, MAX_TRACES));
    assert!(!k6.iterations.contains_key(&[1; 16][..]));
}

#[test]
fn hosts_wait_for_nothing_once_k6_has_ended() {
    let mut k6 = K6Spans::default();
    k6.found(HOST, &page_of(1));
    k6.receive(exported(vec![click(1, (1200, 1300)), navigation(2), iteration(2)]));
    k6.found(HOST, &page_of(2));
    // Spans of an interrupted iteration never come, here even none.
    k6.found(HOST + 2, &page_of(3));
    let effects = k6.end();
    assert_eq!(told(&effects), ["9: 0000000000000003 {}", "7: 0000000000000001 {}"]);
    // Reports of hosts that were under way.
    assert_eq!(told(&k6.found(HOST + 3, &page_of(4))), ["10: 0000000000000004 {}"]);
    assert_eq!(told(&k6.found(HOST + 4, &page_of(1))), ["11: 0000000000000001 {}"]);
    assert_eq!(k6.label(TRACE.parse().unwrap(), Some(page_of(1).root)), None);
}

#[test]
fn an_id_that_a_page_makes_up_changes_nothing() {
    let mut k6 = K6Spans::default();
    let made_up = IterationTrace { k6_span_id: "00000000deadbeef".parse().unwrap(), ..page_of(1) };
    k6.found(HOST, &made_up);
    assert_eq!(moved(&k6.receive(exported(vec![click(1, (1200, 1300))]))), [""; 0]);
    assert_eq!(moved(&k6.found(HOST, &page_of(1))), ["locator.click below 0000000000000001"]);
    k6.found(HOST, &made_up);
    assert_eq!(told(&k6.receive(exported(vec![iteration(1)]))).len(), 1);
    assert_eq!(k6.early.len(), 1, "only of a trace that is not known");
}
