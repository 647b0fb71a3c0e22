use super::*;
use crate::context::ids::Flags;
use crate::observe::session::{EndedIteration, IterationTrace, TestStep};

fn k6_span(time: f64, navigation: u64, k6: u64) -> Observation {
    Observation::K6Span { time, span_id: span_id(navigation), k6_span_id: span_id(k6) }
}

/// A page that k6 has given an id.
fn page(time: f64, id: u64) -> Vec<Observation> {
    let request = id.to_string();
    let mut page = vec![navigates(time, &request, id + 0x100, id), completed(time + 1.0, &request, 200)];
    page.extend([committed(time + 2.0, id), k6_span(time + 3.0, id, id + 0x200)]);
    page
}

fn ended() -> EndedIteration {
    let attributes = [("test.scenario", "ui"), ("test.vu", "3")].map(|(key, value)| (key.into(), value.into())).into();
    EndedIteration { root: ROOT.parse().unwrap(), attributes }
}

fn has_navigation(spans: &[Span]) -> bool {
    spans.iter().any(|span| matches!(span.operation, Operation::Navigation(_)))
}

#[test]
fn the_trace_of_a_page_that_k6_has_given_an_id_is_told_once_per_id() {
    let again = vec![k6_span(3004.0, 0xb, 0x20a), k6_span(3005.0, 0xb, 0x20b)];
    let Recording { mut session, .. } =
        Recording::new().observe(page(2000.0, 0xa)).observe(page(3000.0, 0xb)).observe(again);
    let trace = IterationTrace {
        k6_span_id: span_id(0x20a),
        trace_id: TRACE.parse().unwrap(),
        root: ROOT.parse().unwrap(),
        flags: Flags::SAMPLED,
        tracestate: String::new(),
        since: 2003.0,
    };
    // A page may have set the first one itself.
    let told = [trace.clone(), IterationTrace { k6_span_id: span_id(0x20b), ..trace.clone() }];
    assert_eq!(session.take_iteration_traces(), told);
    assert_eq!(session.take_iteration_traces(), []);
    assert!(session.awaits_iteration() && session.has_iteration(trace.root));

    // The next host reads the session from its journal.
    let mut next: Session = serde_json::from_str(&serde_json::to_string(&session).unwrap()).unwrap();
    next.tell_iterations_again();
    assert_eq!(next.take_iteration_traces(), told);
    next.end_iteration(&ended());
    next.tell_iterations_again();
    assert!(next.take_iteration_traces().is_empty() && !next.awaits_iteration());

    let ids = (0x300..0x400).map(|id| k6_span(3004.0, 0xb, id)).collect();
    let mut session = Recording::new().observe(page(2000.0, 0xa)).observe(page(3000.0, 0xb)).observe(ids).session;
    assert_eq!(session.take_iteration_traces().len(), 20);
}

#[test]
fn a_navigation_that_is_a_root_is_no_iteration() {
    let mut observed = vec![issued(IssuedFor::Navigation, 0xa, None, "01")];
    observed.extend(page(2000.0, 0xa));
    let mut session = Recording::new().observe(observed).session;
    assert!(session.take_iteration_traces().is_empty() && !session.awaits_iteration());
}

#[test]
fn a_navigation_below_a_span_of_the_script_waits_for_no_action() {
    let mut observed =
        vec![issued(IssuedFor::Client, 0xc, None, "01"), issued(IssuedFor::Navigation, 0xa, Some(0xc), "01")];
    observed.extend(page(2000.0, 0xa));
    let mut session = Recording::new().observe(observed).session;
    let [trace] = &session.take_iteration_traces()[..] else { panic!("one trace") };
    assert!(!trace.flags.is_sampled() && !session.awaits_iteration());
}

#[test]
fn a_navigation_waits_for_an_action_that_ends_later() {
    let after = |time| vec![Observation::TabClosed { time, tab_id: 99 }];
    let mut recording = Recording::new().observe(page(2000.0, 0xa)).observe(page(2100.0, 0xb)).observe(after(9000.0));
    assert!(!has_navigation(&recording.spans));
    let trace_id = TRACE.parse().unwrap();
    let action = TestStep { trace_id, span_id: span_id(0x77), start: 1990.0, end: Some(8000.0) };
    recording.session.step(action);
    recording.session.end_iteration(&ended());
    let recording = recording.observe(after(9001.0));
    let ended = recording.spans.iter().find(|span| span.id == span_id(0xa)).unwrap();
    assert_eq!(ended.parent, Some(span_id(0x77)));
    let spans = recording.close(9100);
    let root = spans.last().unwrap().description.as_ref().unwrap();
    assert_eq!(root.attributes.values().map(|value| &**value).collect::<Vec<_>>(), ["ui", "3"]);

    // An iteration of which nothing comes.
    let recording = Recording::new().observe(page(2000.0, 0xa)).observe(page(2100.0, 0xb)).observe(after(40_000.0));
    assert!(has_navigation(&recording.spans));
}
